"""A VIP that is scaled out by BGP: one engine, two, three, and what becomes of open connections."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from fairlead.cli.demo import screen
from fairlead.cli.demo.deviation import Deviation
from fairlead.lab import Hosts, Lab
from fairlead.lab.ecmp import Flows, Resilient, spread_by_ports
from fairlead.lab.rhi import INTERFACES, PATIENT, ROUTER, engine_address, route_health
from fairlead.lab.router import Router, from_cisco

VIP, KEPT = "198.51.100.10", "198.51.100.11"
"""The second one goes by a resilient group on the router."""
ENGINES = 3
FLOWS = 60
PATIENCE = 30.0
WIDTHS = (10, 42, 20, 22)
OWN = "fairlead.dev/v1alpha1"
Object = dict[str, object]


def perform() -> None:
    """Show it; raises :class:`Deviation` when something is not as it should be."""
    screen.heading("VIPs announced by BGP to a router: 1 → 2 → 3 engines, and back")
    with _site() as (hosts, router, scale):
        client = hosts["client"]
        scale(1)
        first = {vip: _learned(router, vip, 1) for vip in (VIP, KEPT)}
        resilient = Resilient(router.host, KEPT)
        resilient.follow(first[KEPT])
        screen.note(f"$ fairlead scale vip/{VIP} --engines N, with {FLOWS} connections to each VIP")
        _row("ENGINES", "NEXT HOPS", "FLOWS THAT STAYED", "WITH A RESILIENT GROUP")
        _row("1", _names(first[VIP]), "", "")
        with Flows(client, VIP, count=FLOWS) as plain, Flows(client, KEPT, count=FLOWS) as kept:
            for engines in (2, 3, 2):
                _row(*_step(router, scale, resilient, (plain, kept), engines))
        resilient.remove()
    screen.note("flows that came to another engine were reset at once, and none hung")


def _row(*cells: str) -> None:
    """A row of the table, as soon as it is known."""
    screen.output("".join(f"{cell:<{width}}" for cell, width in zip(cells, WIDTHS, strict=True)))


def _step(
    router: Router,
    scale: Callable[[int], None],
    resilient: Resilient,
    flows: tuple[Flows, Flows],
    engines: int,
) -> list[str]:
    scale(engines)
    hops = {vip: _learned(router, vip, engines) for vip in (VIP, KEPT)}
    resilient.follow(hops[KEPT])
    became = [one.ask() for one in flows]
    hanging = sum(one.silent.total() for one in became)
    if hanging:
        raise Deviation(expected="connections that are answered or reset", seen=became)
    for one in flows:
        one.refill()
    shares = [f"{one.answered.total()} of {FLOWS} ({one.stayed:.0%})" for one in became]
    return [str(engines), _names(hops[VIP]), *shares]


def _learned(router: Router, vip: str, count: int) -> set[str]:
    """The next hops by BGP, once there are so many."""
    deadline = time.monotonic() + PATIENCE
    while True:
        routes = router.show(f"ip route {vip}/32").get(f"{vip}/32", [])
        found = {h["ip"] for r in routes if r["protocol"] == "bgp" for h in r["nexthops"]}
        if len(found) == count:
            return found
        if time.monotonic() > deadline:
            raise Deviation(expected=f"{count} next hops of {vip}", seen=sorted(found))
        time.sleep(0.1)


def _names(hops: set[str]) -> str:
    return " ".join(sorted(hops))


@contextmanager
def _site() -> Iterator[tuple[Hosts, Router, Callable[[int], None]]]:
    """Three engines with `fairlead up`, a router and a client behind it; how to scale."""
    config = from_cisco(PATIENT, interfaces=INTERFACES)
    with (
        TemporaryDirectory(prefix="fairlead-demo-") as name,
        Lab(route_health(engines=ENGINES)) as hosts,
        Router(hosts["router"], config) as router,
    ):
        spread_by_ports(router.host)
        manifests = Path(name) / "manifests"
        manifests.mkdir()

        def scale(engines: int) -> None:
            part = manifests / ".part"
            part.write_bytes(b"\n---\n".join(map(msgspec.json.encode, _objects(hosts, engines))))
            part.rename(manifests / "site.yaml")

        scale(1)
        running = [_up(hosts, number, Path(name)) for number in range(1, ENGINES + 1)]
        try:
            yield hosts, router, scale
        finally:
            for process in running:
                process.terminate()
            for process in running:
                process.wait(timeout=30)


def _up(hosts: Hosts, number: int, directory: Path) -> "subprocess.Popen[str]":
    name = f"engine-{number}"
    command = [sys.executable, "-m", "fairlead", "up", "-f", str(directory / "manifests")]
    command += ["--state", str(directory / name), "--engine", name]
    with (directory / f"{name}.log").open("a") as log:
        return hosts[name].popen(command, stdout=log, stderr=log)


def _objects(hosts: Hosts, engines: int) -> Iterator[Object]:
    """The site, and two Services that ask for so many engines."""
    for number in range(1, ENGINES + 1):
        addresses = [{"type": "InternalIP", "address": engine_address(number)}]
        status = {"addresses": addresses, "conditions": [{"type": "Ready", "status": "True"}]}
        meta: Object = {"name": f"engine-{number}"}
        yield {"apiVersion": "v1", "kind": "Node", "metadata": meta, "status": status}
    peer = {"peerAsn": 6000, "localAsn": 5000, "address": ROUTER}
    group = {"nodeSelector": {}, "mode": "ActiveActive"}
    pool = {"addresses": [f"{VIP}-{KEPT}"], "announce": "bgp"}
    yield {"apiVersion": OWN, "kind": "BGPPeer", "metadata": {"name": "tor"}, "spec": peer}
    yield {"apiVersion": OWN, "kind": "EngineGroup", "metadata": {"name": "default"}, "spec": group}
    yield {"apiVersion": OWN, "kind": "AddressPool", "metadata": {"name": "vips"}, "spec": pool}
    for name in ("a", "b"):
        yield from _service(hosts, name, engines)


def _service(hosts: Hosts, name: str, engines: int) -> Iterator[Object]:
    notes = {"fairlead.dev/engines": str(engines)}
    ports = [{"port": 80, "targetPort": 8080}]
    yield {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "annotations": notes},
        "spec": {"type": "LoadBalancer", "loadBalancerClass": "fairlead.dev/vip", "ports": ports},
    }
    yield {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [pod.v4]} for pod in hosts.with_role("pod")],
        "ports": [{"port": 8080, "protocol": "TCP"}],
    }
