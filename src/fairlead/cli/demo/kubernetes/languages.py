"""Services of three languages: what kubectl shows before, after, and who answers."""

import time

from fairlead.cli.demo import screen
from fairlead.cli.demo.deviation import Deviation
from fairlead.cli.demo.kubernetes.kubeproxy import passed
from fairlead.cli.demo.kubernetes.site import LONG, Site
from fairlead.cli.demo.traffic import Target, answered, ask
from fairlead.lab.probe import Answer

ONE, TWO = "sharedvip-avisvc-lb1", "sharedvip-avisvc-lb2"
SHARED = "100.64.196.61"
STATIC = "192.168.0.220"
OWN = ("192.0.2.10", "fd00:2::10")


def ako(site: Site) -> None:
    """Two Services with one key, pending until there is a pool."""
    site.apply("kubernetes/avi-server.yaml")
    site.kubectl("rollout", "status", "deployment/avi-server", f"--timeout={LONG:.0f}s")
    site.apply("ako-shared-vip/services.yaml")
    site.until(
        lambda: site.reasons(ONE, TWO),
        lambda seen: seen == {ONE: "NoPool", TWO: "NoPool"},
        expected="both Services are pending for want of a pool",
    )
    if any(site.addresses(ONE, TWO).values()):
        raise Deviation(expected="no address without a pool", seen=site.addresses(ONE, TWO))
    site.show("get", "services")
    site.apply("ako-shared-vip/pool.yaml")
    started = time.monotonic()
    site.served(**{ONE: (SHARED,), TWO: (SHARED,)})
    screen.note(f"in place after {time.monotonic() - started:.1f} s")
    site.show("get", "services")
    site.show("get", "fvip")
    _explained(site)
    (node,) = site.holders()[SHARED]
    screen.note(f"{node} holds {SHARED}; Fairlead lets its two ports pass, kube-proxy serves them")
    for protocol in ("TCP", "UDP"):
        passed(site, Target(SHARED, 80, protocol), site.pods("avi-server"))


def _explained(site: Site) -> None:
    said = site.show("fairlead", "explain", f"svc/default/{ONE}")
    if SHARED not in said or f"default/{TWO}" not in said:
        raise Deviation(expected=f"'explain' names {SHARED} and {TWO}", seen=said)


def kubevip(site: Site) -> None:
    """The two commands of the document."""
    site.show("create", "deployment", "test-deploy", "--image=echo", "--port=80", "--replicas=2")
    for name, port in (("http1", 80), ("http2", 81)):
        site.show(
            *("expose", "deployment", "test-deploy", f"--port={port}", "--target-port=80"),
            *("--type=LoadBalancer", "--name", name, f"--load-balancer-ip={STATIC}"),
        )
    site.served(http1=(STATIC,), http2=(STATIC,))
    site.kubectl("rollout", "status", "deployment/test-deploy", f"--timeout={LONG:.0f}s")
    site.show("get", "services", "http1", "http2")
    for port in (80, 81):
        passed(site, Target(STATIC, port), site.pods("test-deploy"))


def own(site: Site) -> None:
    """Both families, and the node of the pod, which sees the client's own address."""
    site.apply("kubernetes/web.yaml")
    site.apply("kubernetes/pool.yaml")
    site.served(web=OWN)
    site.kubectl("rollout", "status", "deployment/web", f"--timeout={LONG:.0f}s")
    node = _node_of(site, "web")
    site.until(
        site.holders,
        lambda seen: all(seen.get(address) == {node} for address in OWN),
        expected=f"{' and '.join(OWN)} on {node}, where the pod is",
    )
    site.show("get", "service", "web")
    screen.note(f"externalTrafficPolicy Local: both addresses are on {node}, where the pod is")
    for address, client in zip(OWN, (site.client.v4, site.client.v6), strict=True):
        target = Target(address, 80)
        screen.answers(target, answered(site.client, target, site.pods("web")))
        outcome = ask(site.client, target)
        seen = str(outcome.client.address) if isinstance(outcome, Answer) else outcome
        if seen != client:
            raise Deviation(expected=f"the pod sees the client, {client}", seen=seen)


def _node_of(site: Site, app: str) -> str:
    (pod,) = site.read("pods", "-l", f"app={app}")["items"]
    return str(pod["spec"]["nodeName"])
