"""The document's DHCP example on a real cluster, with a real server: from 0.0.0.0 to an address
that stays when its holder dies."""

from collections.abc import Iterator

import pytest

from fairlead.lab.dhcp import DhcpServer
from fairlead.lab.kubernetes import KubernetesLab

from ..serving import becomes, until
from .agents import holders
from .system import Person, Running, run

pytestmark = pytest.mark.root
EXAMPLE = "kube-vip-shared-ip/dhcp.yaml"
NAME = "nginx-dhcp"
LEASED, TAKEN = "AddressLeased", "AddressLeaseTaken"


@pytest.fixture(scope="module")
def cluster() -> Iterator[KubernetesLab]:
    """Two nodes on the LAN of the document."""
    with KubernetesLab(nodes=2, lan=["192.168.0.0/24"], ipv6=False) as lab:
        yield lab


@pytest.fixture(scope="module")
def running(cluster: KubernetesLab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Fairlead on it."""
    yield from run(cluster, tmp_path_factory.mktemp("fairlead"), handleUnclassed=True)


@pytest.fixture
def server(cluster: KubernetesLab) -> Iterator[DhcpServer]:
    """The DHCP server of the LAN."""
    with DhcpServer(
        cluster["client"], pool=("192.168.0.150", "192.168.0.159"), renew=5, rebind=9
    ) as made:
        yield made
        print(made.said()[-5000:])


@pytest.fixture
def kubectl(cluster: KubernetesLab, running: Running) -> Iterator[Person]:
    """Somebody with kubectl; what he made is gone after the test."""
    person = Person(cluster)
    yield person
    person.clean()


def _address(kubectl: Person) -> str:
    shown = until("an address", kubectl.shown, lambda seen: seen.get(NAME, "<") not in "<pending>")
    return shown[NAME]


def _events(kubectl: Person) -> set[str]:
    about = f"--field-selector=involvedObject.name={NAME},type=Normal"
    return {one["reason"] for one in kubectl.read("events", about)["items"]}


def _lease(kubectl: Person) -> dict[str, str]:
    (one,) = kubectl.read("addressleases")["items"]
    return {**one["spec"], **one.get("status", {})}


def test_the_document_s_service_gets_an_address_and_keeps_it(
    kubectl: Person, running: Running, server: DhcpServer
) -> None:
    kubectl.apply(EXAMPLE)
    address = _address(kubectl)
    (given,) = server.leases()
    assert (given.address, given.name) == (address, "mydhcp-test")
    lease = _lease(kubectl)
    assert (lease["state"], lease["address"], lease["mac"]) == ("Bound", address, given.mac)
    (holder,) = until("a holder", lambda: holders(running.agents, address), bool)
    assert lease["engine"] == holder
    becomes("NoReadyBackend", kubectl.reason, NAME)
    # it is renewed by the one that holds it
    renewed = until("a renewal", lambda: _lease(kubectl), lambda seen: seen != lease, 25)
    assert (renewed["address"], renewed["engine"]) == (address, holder)
    # its agent is killed within the lease: the same lease, and no gap of the address
    asked = server.said().count("DHCPDISCOVER")
    running.agents[holder].kill()
    running.agents[holder].start("cluster")
    acknowledged = server.said().count("DHCPACK")
    until("its word", server.said, lambda said: said.count("DHCPACK") > acknowledged, 25)
    assert holders(running.agents, address) == {holder}
    assert server.said().count("DHCPDISCOVER") == asked
    # another agent takes it over, and the server is asked by the same client
    running.agents[holder].stop()
    (other,) = running.agents.keys() - {holder}
    cordoned = ("cordon", holder)
    kubectl(*cordoned)
    until("the other", lambda: holders(running.agents, address), lambda seen: seen == {other}, 30)
    until("its lease", lambda: _lease(kubectl), lambda seen: seen["engine"] == other, 20)
    assert _lease(kubectl)["address"] == address
    assert server.said().count("DHCPDISCOVER") == asked
    until("Events", lambda: _events(kubectl), lambda seen: seen >= {LEASED, TAKEN})
    assert kubectl.shown()[NAME] == address
    kubectl("uncordon", holder)
    running.agents[holder].start("cluster")
    until("its return", lambda: holders(running.agents, address), lambda seen: len(seen) == 1, 30)
    assert [one.address for one in server.leases()] == [address]
    # and with the Service goes all of it
    kubectl("delete", "service", NAME)
    becomes([], server.leases)
    becomes([], lambda: kubectl.read("addressleases")["items"])
    becomes({}, kubectl.ledger)
