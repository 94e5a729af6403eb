"""A Service of a real cluster is reached from the internet through a real gateway, also after its
VIP has moved to another node."""

import json
from collections.abc import Iterator

import pytest

from fairlead.lab.gateway import ADDRESS, Gateway
from fairlead.lab.kubernetes import KubernetesLab

from ..asking import User
from ..serving import becomes, until
from .agents import holders
from .system import Person, Running, run

pytestmark = pytest.mark.root
CONFIG = "enableUPNP: true\nupnpRefreshSeconds: 1\n"
VIP, PORT, NAME = "192.0.2.20", 32380, "plunder-nginx"
OPEN = {NAME: f"{VIP},{ADDRESS}"}
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": NAME, "annotations": {"kube-vip.io/forwardUPNP": "true"}},
    "spec": {
        "type": "LoadBalancer",
        "loadBalancerIP": VIP,
        "selector": {"app": NAME},
        "ports": [{"port": PORT, "targetPort": 8080, "protocol": "TCP"}],
    },
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[KubernetesLab]:
    """Two nodes; the first client is their router, the second is somebody outside."""
    with KubernetesLab(nodes=2, clients=2, ipv6=False) as lab:
        for name in lab.nodes:
            lab[name].ip("route", "add", "80.81.90.0/24", "via", lab["client"].v4)
        yield lab


@pytest.fixture(scope="module")
def running(cluster: KubernetesLab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Fairlead on it."""
    directory = tmp_path_factory.mktemp("fairlead")
    for found in run(cluster, directory, handleUnclassed=True, enableUPNP=True):
        for agent in found.agents.values():
            agent.stop()
            agent.start("cluster", CONFIG)
        yield found


@pytest.fixture
def gateway(cluster: KubernetesLab) -> Iterator[Gateway]:
    with Gateway(cluster["client"], cluster["client-2"], secure=True) as made:
        yield made


@pytest.fixture
def kubectl(cluster: KubernetesLab, running: Running) -> Iterator[Person]:
    """Somebody with kubectl; what he made is gone after the test."""
    person = Person(cluster)
    yield person
    person("delete", "deployments", "--all")
    person.clean()


def _modes(kubectl: Person) -> list[tuple[str, str]]:
    status = kubectl.read("service", NAME)["status"]
    return [(one["ip"], one["ipMode"]) for one in status["loadBalancer"].get("ingress", ())]


def _events(kubectl: Person) -> set[str]:
    return {one["reason"] for one in kubectl.read("events")["items"]}


def test_the_document_s_service_on_the_internet(
    kubectl: Person, running: Running, gateway: Gateway
) -> None:
    outside = User(gateway.outside)
    kubectl("create", "deployment", NAME, "--image=echo", "--replicas=2", "--port=8080")
    kubectl("apply", "-f", "-", input=json.dumps(SERVICE))
    until("both addresses", kubectl.shown, lambda seen: seen == OPEN, 60)
    assert _modes(kubectl) == [(VIP, "VIP"), (ADDRESS, "Proxy")]
    until("an answer", lambda: outside.tcp(ADDRESS, PORT), lambda who: NAME in who, 60)
    assert "PortForwarded" in _events(kubectl)
    # it moves, and the mapping stays what it was
    (holder,) = until("a holder", lambda: holders(running.agents, VIP), bool)
    (before,) = gateway.rules()
    running.agents[holder].stop()
    (other,) = running.agents.keys() - {holder}
    kubectl("cordon", holder)
    until("the other", lambda: holders(running.agents, VIP), lambda seen: seen == {other}, 40)
    until("an answer", lambda: outside.tcp(ADDRESS, PORT), lambda who: NAME in who, 60)
    assert gateway.rules() == [before]
    until("both addresses", kubectl.shown, lambda seen: seen == OPEN, 60)
    kubectl("uncordon", holder)
    running.agents[holder].start("cluster", CONFIG)
    until("its return", lambda: holders(running.agents, VIP), lambda seen: len(seen) == 1, 40)
    # the gateway forgets, and is told again by whoever holds the VIP
    gateway.restart()
    until("an answer", lambda: outside.tcp(ADDRESS, PORT), lambda who: NAME in who, 60)
    # nobody wants it any more
    kubectl("annotate", "service", NAME, "kube-vip.io/forwardUPNP-")
    until("no mapping", gateway.rules, lambda rules: rules == [], 60)
    kubectl.serves(plunder_nginx=VIP)
    kubectl("annotate", "service", NAME, "kube-vip.io/forwardUPNP=true")
    until("both addresses", kubectl.shown, lambda seen: seen == OPEN, 60)
    kubectl("delete", "service", NAME)
    until("no mapping", gateway.rules, lambda rules: rules == [], 60)
    becomes({}, kubectl.ledger)
