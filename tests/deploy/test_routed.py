"""BGP in pods: VIPs announced to a real router, with a password and BFD."""

import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from fairlead.lab.kubernetes import KubernetesLab
from fairlead.lab.router import Router
from fairlead.lab.topology import HostSpec
from fairlead.publish.crds import definitions

from ..kube import eventually
from .rendered import NAMESPACE, objects, template
from .test_running import asked, logs

pytestmark = pytest.mark.root
ROUTER = "192.0.2.1"
VIP = "198.51.100.10"
KEY = "between-us"
CONFIG = f"""\
router bgp 65001
 no bgp ebgp-requires-policy
 neighbor NODES peer-group
 neighbor NODES remote-as 65000
 neighbor NODES password {KEY}
 neighbor NODES bfd
 bgp listen range 192.0.2.0/24 peer-group NODES
 address-family ipv4 unicast
  neighbor NODES activate
 exit-address-family
"""
VALUES = (
    "--set=bgp.enabled=true",
    '--set-json=bgp.secrets=["uplink"]',
    "--set=controller.replicas=1",
)


def _own(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    api = {"apiVersion": "fairlead.dev/v1alpha1", "kind": kind}
    return {**api, "metadata": {"name": name}, "spec": spec}


def _site() -> list[dict[str, Any]]:
    """Routed addresses, the router, and a Service with a pod."""
    labels = {"app": "web"}
    peer = {"peerAsn": 65001, "localAsn": 65000, "address": ROUTER, "password": {"name": "uplink"}}
    container = {"name": "web", "image": "nginx", "ports": [{"containerPort": 80}]}
    meta = {"name": "web", "namespace": "default", "labels": labels}
    return [
        _own("AddressPool", "routed", {"addresses": [f"{VIP}-198.51.100.20"], "announce": "bgp"}),
        _own("BGPPeer", "uplink", peer),
        {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"containers": [container]}},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {
                "type": "LoadBalancer",
                "loadBalancerClass": "fairlead.dev/vip",
                "ports": [{"port": 80}],
                "selector": labels,
            },
        },
    ]


@pytest.fixture(scope="module")
def lab() -> Iterator[KubernetesLab]:
    """Two nodes and a router, after an installation with BGP."""
    router = HostSpec.of("router", "edge", lan=[f"{ROUTER}/24"])
    meta = {"name": "uplink", "namespace": NAMESPACE}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": meta,
        "stringData": {"password": KEY},
    }
    with KubernetesLab(nodes=2, others=[router]) as made:
        made.kubectl("create", "namespace", NAMESPACE)
        made.apply([*definitions(), secret])
        made.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd", "--all")
        made.apply(objects(template(*VALUES)))
        yield made


def test_a_router_learns_a_vip_from_pods(lab: KubernetesLab) -> None:
    with Router(lab["router"], CONFIG) as router:
        lab.apply(_site())
        learned = partial(router.next_hops, f"{VIP}/32")
        assert eventually(learned, timeout=90), logs(lab)
        assert eventually(lambda: lab["router"].call(asked, VIP)), logs(lab)
        assert len(learned()) == 1
        scale(lab, 2)
        assert eventually(lambda: len(learned()) == 2, timeout=60), logs(lab)
        scale(lab, 1)
        assert eventually(lambda: len(learned()) == 1, timeout=60), logs(lab)
        lab.kubectl("delete", "service", "web")
        assert eventually(lambda: not learned()), logs(lab)


def scale(lab: KubernetesLab, engines: int) -> None:
    """What a user types, on a host that reaches the API server."""
    command = [sys.executable, "-m", "fairlead", "scale", f"vip/{VIP}", "--engines", str(engines)]
    access = ["--cluster", "--kubeconfig", str(lab.control.kubeconfig)]
    done = lab["router"].run([*command, *access], timeout=60)
    assert done.returncode == 0, done.stderr
    assert f"virtualip/{VIP} scaled: {engines} engines" in done.stdout
