"""The usual topology and the reading of hosts: pure data."""

import ipaddress

import pytest

from fairlead.lab import HostSpec, LabError, Subnet, Topology, cluster


def host(topology: Topology, name: str) -> HostSpec:
    return next(spec for spec in topology.hosts if spec.name == name)


def test_hosts_are_counted_from_the_top_of_every_subnet() -> None:
    topology = cluster(
        lan=["100.64.196.0/24", "80.81.82.80/28", "10.10.0.0/16", "fd00:196::/64"],
        edges=1,
        engines=2,
    )
    assert [spec.name for spec in topology.hosts] == [
        "client",
        "edge",
        "engine-1",
        "engine-2",
        "pod-a",
        "pod-b",
    ]
    assert [str(i) for i in host(topology, "client").lan] == [
        "100.64.196.254/24",
        "80.81.82.94/28",
        "10.10.255.254/16",
        "fd00:196::254/64",
    ]
    assert str(host(topology, "engine-2").lan[1]) == "80.81.82.91/28"


def test_pods_route_through_the_engine_that_is_asked_for() -> None:
    topology = cluster(engines=2, pods_via="engine-2")
    assert [(str(r.to), str(r.via)) for r in host(topology, "pod-a").routes] == [
        ("0.0.0.0/0", "10.244.0.2"),
        ("::/0", "fd00:244::2"),
    ]
    assert host(cluster(pods_via=None), "pod-a").routes == ()


def test_a_subnet_can_be_kept_to_some_roles_and_engines_routed_through_the_edge() -> None:
    topology = cluster(
        lan=[Subnet.of("80.81.82.80/28", "client", "edge"), Subnet.of("192.168.8.0/24")],
        edges=1,
        engines_via="edge",
    )
    engine = host(topology, "engine-1")
    assert [str(i) for i in engine.lan] == ["192.168.8.252/24"]
    assert [(str(r.to), str(r.via)) for r in engine.routes] == [("0.0.0.0/0", "192.168.8.253")]


def test_a_route_needs_a_subnet_in_common() -> None:
    lan = [Subnet.of("10.0.0.0/24", "client"), Subnet.of("10.0.1.0/24", "engine")]
    with pytest.raises(LabError, match="client cannot route through engine-1"):
        cluster(lan=lan, clients_via="engine-1")


def test_a_subnet_too_small_for_its_hosts_is_refused() -> None:
    with pytest.raises(LabError, match=r"192\.0\.2\.0/30 is too small"):
        cluster(lan=["192.0.2.0/30"], engines=2)


@pytest.mark.parametrize("name", ["", "Pod", "a_b", "switch", "fourteen-chars", "-x"])
def test_names_that_cannot_be_interface_names_are_refused(name: str) -> None:
    with pytest.raises(LabError, match="lab host name"):
        Topology((HostSpec.of(name, "pod"),))


def test_an_address_belongs_to_one_host_of_a_segment() -> None:
    first = HostSpec.of("one", "client", lan=["192.0.2.1/24"])
    second = HostSpec.of("two", "client", lan=["192.0.2.1/25"])
    with pytest.raises(LabError, match=r"192\.0\.2\.1 is given to one and to two"):
        Topology((first, second))
    Topology((first, HostSpec.of("two", "pod", pods=["192.0.2.1/24"])))


def test_a_host_is_read_from_strings_and_nonsense_is_refused() -> None:
    spec = HostSpec.of("edge", "edge", lan=["192.0.2.1/24"], routes={"::/0": "fd00::1"}, tcp=[80])
    assert spec.lan == (ipaddress.ip_interface("192.0.2.1/24"),)
    assert spec.forwards
    with pytest.raises(ValueError):
        HostSpec.of("edge", "router")
    with pytest.raises(ValueError):
        HostSpec.of("edge", "edge", lan=["192.0.2.300/24"])
