"""What routers hear of VIPs, and what engines take from routers: sessions of every kind."""

from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Any

import pytest
from msgspec.structs import replace

from fairlead.drivers.bgp import BgpError
from fairlead.lab.probe import Pong, ping
from fairlead.lab.rhi import engine_address
from fairlead.model.addresses import IPAddress
from fairlead.model.desired import BgpChanges, BgpDesired, BgpSpeaker
from fairlead.model.objects import SecretKey
from fairlead.model.peers import BgpPeer, BgpRoute

from .site import TOR, TOR6, Engine, Site, never, until

pytestmark = pytest.mark.root

PLAIN = BgpRoute()
VIP, OTHER, SIX = IPv4Address("10.40.0.1"), IPv4Address("10.40.0.2"), IPv6Address("fd00:40::1")
KEY = SecretKey(name="routers")
PASSWORD = "Fa|r'lead-\"9!"


def test_both_families_each_over_its_own_session(site: Site) -> None:
    engine = site.engine(1)
    engine.converge(BgpDesired(peers={"four": TOR, "six": TOR6}, routes={VIP: PLAIN, SIX: PLAIN}))
    site.reached(VIP, 1)
    until(lambda: _paths(site, SIX, "ipv6") == 1, "the IPv6 VIP")
    for address in (VIP, SIX):
        until(
            lambda address=address: isinstance(  # type: ignore[misc]
                site.lab["client"].call(ping, address), Pong
            ),
            f"{address} answers",
        )
    assert set(site.sessions("ipv4")) >= {engine_address(1)}
    assert site.sessions("ipv6")["fd00:16::192"]["pfxRcd"] == 1
    assert site.sessions("ipv4")[engine_address(1)]["pfxRcd"] == 1


def test_labels_choose_routers_and_attributes_add_up(site: Site) -> None:
    engine = site.engine(1)
    tor = replace(
        TOR,
        labels=frozenset({"blue"}),
        communities=((65001, 1), (65001, 2, 3)),
        prepend=2,
        local_preference=300,
    )
    routes: dict[IPAddress, BgpRoute] = {
        VIP: BgpRoute(labels=("green", "blue"), communities=((65001, 9),), prepend=1),
        OTHER: BgpRoute(labels=("green",)),
    }
    engine.converge(BgpDesired(peers={"tor": tor}, routes=routes))
    site.reached(VIP, 1)
    path = _path(site, VIP)
    assert path["aspath"]["string"] == "5000 5000 5000 5000"
    assert path["community"]["list"] == ["65001:1", "65001:9"]
    assert path["largeCommunity"]["list"] == ["65001:2:3"]
    assert site.paths(OTHER) == set()
    tor = replace(tor, labels=frozenset({"blue", "green"}), communities=(), prepend=0)
    engine.call(engine.driver.apply, BgpChanges(peers={"tor": tor}))
    site.reached(OTHER, 1)
    until(lambda: _path(site, VIP)["aspath"]["string"] == "5000 5000", "fewer prepends")
    assert _flaps(site, 1) == 0


def test_a_router_of_our_own_as_gets_a_preference(site: Site) -> None:
    address = engine_address(1)
    site.router.configure(
        f"router bgp 6000\n neighbor {address} remote-as 6000\n neighbor {address} passive\n"
        " no bgp network import-check\n address-family ipv4 unicast\n  network 10.40.0.9/32\n"
        f"  neighbor {address} activate\n exit-address-family\nexit\n"
    )
    engine = site.engine(1)
    internal = replace(TOR, asn=6000, local_asn=6000, local_preference=222, prepend=3, bfd=None)
    try:
        engine.speaker = BgpSpeaker(6000, engine.speaker.router_id)
        engine.converge(BgpDesired(peers={"tor": internal}, routes={VIP: PLAIN}))
        site.reached(VIP, 1)
        path = _path(site, VIP)
        assert path["locPrf"] == 222
        assert path["aspath"]["string"] == "Local"
        assert path["peer"]["type"] == "internal"
        never(lambda: "10.40.0.9" in _table(engine), "a route of the router", seconds=0.5)
    finally:
        site.router.configure(
            f"router bgp 6000\n no neighbor {address}\n address-family ipv4 unicast\n"
            "  no network 10.40.0.9/32\n exit-address-family\nexit\n"
        )


def test_only_vips_leave_whatever_is_typed(site: Site) -> None:
    engine = site.engine(1)
    engine.converge(BgpDesired(peers={"tor": TOR}, routes={VIP: PLAIN}))
    site.reached(VIP, 1)
    engine.by_hand(
        "router bgp 5000",
        "address-family ipv4 unicast",
        "network 10.244.0.0/16",
        "network 10.66.0.1/32",
        "redistribute connected",
        "redistribute kernel",
    )
    engine.host.ip("route", "add", "10.67.0.0/16", "via", "10.10.16.10")
    never(lambda: site.sessions()[engine_address(1)]["pfxRcd"] != 1, "more than a VIP", seconds=1.5)
    engine.host.ip("route", "del", "10.67.0.0/16")


def test_nothing_is_taken_from_a_router(site: Site) -> None:
    engine = site.engine(1)
    site.router.configure(
        "router bgp 6000\n no bgp network import-check\n address-family ipv4 unicast\n"
        "  network 0.0.0.0/0\n  network 10.40.0.9/32\n exit-address-family\nexit\n"
    )
    engine.converge(BgpDesired(peers={"tor": TOR}, routes={VIP: PLAIN}))
    site.reached(VIP, 1)
    until(lambda: site.sessions()[engine_address(1)]["pfxSnt"] >= 2, "the router told its routes")
    kernel = engine.host.ip("route")

    def taken() -> bool:
        table = _table(engine)
        return "10.40.0.9" in table or "0.0.0.0/0" in table or engine.host.ip("route") != kernel

    never(taken, "a route of the router", seconds=1.0)
    site.router.configure(
        "router bgp 6000\n address-family ipv4 unicast\n  no network 0.0.0.0/0\n"
        "  no network 10.40.0.9/32\n exit-address-family\nexit\n"
    )


def test_routers_may_come_from_a_range(site: Site) -> None:
    """The engine waits; the router connects to it, from another address of its own."""
    address = engine_address(2)
    engine = site.engine(2)
    peer = BgpPeer(remote=ip_network("10.10.16.248/29"), asn=6000, local_asn=5000, labels=_all())
    engine.converge(BgpDesired(peers={"rack": peer}, routes={VIP: BgpRoute(labels=("any",))}))
    site.router.configure(
        f"router bgp 6000\n neighbor {address} remote-as 5000\n neighbor {address} bfd\n"
        f" neighbor {address} bfd profile cisco\n neighbor {address} timers connect 1\n"
        f" address-family ipv4 unicast\n  neighbor {address} activate\n exit-address-family\nexit\n"
    )
    try:
        site.reached(VIP, 2)
        assert not site.sessions()[address].get("dynamicPeer")
        engine.call(engine.driver.apply, BgpChanges(routes={VIP: None}))
        site.reached(VIP)
    finally:
        site.router.configure(f"router bgp 6000\n no neighbor {address}\nexit\n")


def test_a_router_some_hops_away(site: Site) -> None:
    address = engine_address(1)
    site.router.host.ip("addr", "add", "10.255.0.1/32", "dev", "lo")
    site.router.configure(
        f"router bgp 6000\n neighbor {address} remote-as 5000\n neighbor {address} bfd\n"
        f" neighbor {address} ebgp-multihop 4\n neighbor {address} update-source 10.255.0.1\n"
        f" neighbor {address} timers connect 1\n"
        f" address-family ipv4 unicast\n  neighbor {address} activate\n exit-address-family\nexit\n"
    )
    engine = site.engine(1)
    far = replace(TOR, remote=IPv4Address("10.255.0.1"), hops=4)
    try:
        engine.converge(BgpDesired(peers={"far": far}, routes={VIP: PLAIN}))
        site.reached(VIP, 1)
        until(lambda: any(map(_far, site.router.show("bfd peers"))), "BFD over several hops")
    finally:
        site.router.configure(f"router bgp 6000\n no neighbor {address}\nexit\n")
        site.router.host.ip("addr", "del", "10.255.0.1/32", "dev", "lo")


def test_a_password_is_used_and_seen_by_nobody(site: Site) -> None:
    address = engine_address(1)
    values = ["wrong"]
    engine = site.engine(1, secrets=lambda key: values[-1])
    site.router.configure(
        f"router bgp 6000\n neighbor {address} remote-as 5000\n"
        f" neighbor {address} password {PASSWORD}\n neighbor {address} timers connect 1\n"
        f" address-family ipv4 unicast\n  neighbor {address} activate\n exit-address-family\nexit\n"
    )
    desired = BgpDesired(peers={"tor": replace(TOR, password=KEY, bfd=None)}, routes={VIP: PLAIN})
    try:
        engine.converge(desired)
        never(lambda: site.paths(VIP) != set(), "a session in spite of it", seconds=1.5)
        values.append(PASSWORD)
        engine.converge(desired)
        site.reached(VIP, 1)
        lines = site.lab["engine-1"].run(["ps", "-eo", "args"]).stdout
        assert PASSWORD not in lines
        assert PASSWORD not in (engine.directory / "log").read_text()
    finally:
        site.router.configure(f"router bgp 6000\n no neighbor {address}\nexit\n")


def test_what_frr_refuses_is_named_and_the_rest_is_done(site: Site) -> None:
    engine = site.engine(1)
    own = replace(TOR, remote=IPv4Address(engine_address(1)))
    engine.converge(BgpDesired(peers={"tor": TOR}, routes={VIP: PLAIN}))
    site.reached(VIP, 1)  # by now bgpd knows the addresses of the host
    with pytest.raises(BgpError, match="Can not configure the local system as neighbor"):
        engine.converge(BgpDesired(peers={"own": own, "tor": TOR}, routes={VIP: PLAIN}))
    site.reached(VIP, 1)


def test_an_address_of_the_host_is_never_announced(site: Site) -> None:
    engine = site.engine(1)
    mine = IPv4Address(engine_address(1))
    with pytest.raises(BgpError, match="the host itself has this address"):
        engine.converge(BgpDesired(peers={"tor": TOR}, routes={mine: PLAIN, VIP: PLAIN}))
    site.reached(VIP, 1)
    assert site.paths(mine) == set()


def _table(engine: Engine) -> str:
    sockets = str(engine.driver_house.vty("bgpd").parent)
    argv = ["vtysh", "--vty_socket", sockets, "-c", "show bgp ipv4 unicast json"]
    return engine.host.run(argv, check=True).stdout


def _all() -> frozenset[str]:
    return frozenset({"any"})


def _paths(site: Site, address: object, family: str) -> int:
    return len(site.router.show(f"bgp {family} unicast {address}/128").get("paths", []))


def _path(site: Site, address: object) -> Any:
    (path,) = site.router.show(f"bgp ipv4 unicast {address}/32")["paths"]
    return path


def _flaps(site: Site, number: int) -> int:
    dropped = site.sessions()[engine_address(number)].get("connectionsDropped", 0)
    assert isinstance(dropped, int)
    return dropped


def _far(row: Any) -> bool:
    return bool(row["multihop"] and row["status"] == "up")
