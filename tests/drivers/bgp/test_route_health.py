"""AKO's users' own network: the router as they configured it, word by word, and our engines.

What they show of it afterwards is asserted: the neighbours, the routes and the BFD sessions.
"""

from collections.abc import Iterator
from ipaddress import IPv4Address

import pytest

from fairlead.lab import Capture
from fairlead.lab.probe import Pong, arp_ask, ping
from fairlead.lab.rhi import CISCO, INTERFACES, ROUTER, VIP, engine_address
from fairlead.lab.router import from_cisco
from fairlead.model.desired import BgpChanges, BgpDesired
from fairlead.model.peers import BfdTimes, BgpPeer, BgpRoute

from .site import Site, opened, until

pytestmark = pytest.mark.root

ADDRESS = IPv4Address(VIP)
PLAIN = BgpRoute()
PEER = BgpPeer(
    remote=IPv4Address(ROUTER), asn=6000, local_asn=5000, bfd=BfdTimes(50, 50, 5), hold=9
)
SILENT = BgpDesired(peers={"csr1000v": PEER})
SERVING = BgpDesired(peers={"csr1000v": PEER}, routes={ADDRESS: PLAIN})


@pytest.fixture(scope="module")
def network() -> Iterator[Site]:
    with opened(from_cisco(CISCO, interfaces=INTERFACES)) as site:
        yield site


def test_the_article(site: Site) -> None:
    """Two engines, no VIP yet; the VIP with two next hops; a third engine; and back again."""
    engines = [site.engine(number) for number in (1, 2)]
    for engine in engines:
        engine.converge(SILENT)
    site.established(1, 2)
    _summary(site, engines=2, prefixes=0)
    assert site.paths(VIP) == set()

    for engine in engines:
        engine.converge(SERVING)
    site.reached(VIP, 1, 2)
    _summary(site, engines=2, prefixes=1)
    _routes(site, 1, 2)
    _bfd(site, 1, 2)
    assert isinstance(site.lab["client"].call(ping, VIP), Pong)

    third = site.engine(3)
    third.converge(SERVING)
    site.reached(VIP, 1, 2, 3)
    _summary(site, engines=3, prefixes=1)
    _routes(site, 1, 2, 3)
    _bfd(site, 1, 2, 3)

    withdrawal = BgpChanges(routes={ADDRESS: None})
    third.call(third.driver.apply, withdrawal)
    site.reached(VIP, 1, 2)
    engines[0].call(engines[0].driver.apply, withdrawal)
    site.reached(VIP, 2)
    _routes(site, 2)
    _summary(site, engines=3, prefixes=None)
    assert isinstance(site.lab["client"].call(ping, VIP), Pong)


def test_nobody_on_the_lan_hears_of_a_vip_in_its_subnet(site: Site) -> None:
    """The VIP lies in the engines' own subnet, and is still the routers' alone: no engine answers
    for it, and none asks in its name."""
    engines = [site.engine(number) for number in (1, 2)]
    for engine in engines:
        engine.converge(SERVING)
    site.reached(VIP, 1, 2)
    with Capture(site.lab.switch, None) as capture:
        assert site.lab["near-1"].call(arp_ask, "lan", VIP) == []
        assert site.lab["near-1"].call(arp_ask, "lan", engine_address(1)) != []
        for engine in engines:
            engine.host.ip("neigh", "flush", "dev", "lan")
        for _ in range(8):  # the replies leave with the VIP as source, and need the router's MAC
            assert isinstance(site.lab["client"].call(ping, VIP), Pong)
        senders = {arp.sender_ip for _, arp in capture.arps()}
    assert {IPv4Address(engine_address(1)), IPv4Address(engine_address(2))} & senders
    assert ADDRESS not in senders


def test_settings_of_the_lan_are_as_before_afterwards(site: Site) -> None:
    engine = site.engine(1)
    before = _settings(site)
    engine.converge(SERVING)
    assert _settings(site) == ("2", "1")
    engine.close()
    assert _settings(site) == before == ("0", "0")


def _settings(site: Site) -> tuple[str, str]:
    base = "net.ipv4.conf.lan.arp_"
    said = site.lab["engine-1"].run(["sysctl", "-n", f"{base}announce", f"{base}ignore"])
    announce, ignore = said.stdout.split()
    return announce, ignore


def _summary(site: Site, *, engines: int, prefixes: int | None) -> None:
    """``show ip bgp summary``: dynamic neighbours of the group, each with so many prefixes."""
    seen = site.router.show("ip bgp summary")
    table = seen.get("ipv4Unicast", seen)
    assert table["as"] == 6000
    assert table["dynamicPeers"] == table["totalPeers"] == engines
    for number in range(1, engines + 1):
        row = table["peers"][engine_address(number)]
        assert row["remoteAs"] == 5000
        assert row["state"] == "Established"
        assert row["dynamicPeer"]
        assert prefixes is None or row["pfxRcd"] == prefixes


def _routes(site: Site, *engines: int) -> None:
    """``show ip route``: one BGP route with exactly these next hops, all of them in use."""
    (route,) = site.router.show(f"ip route {VIP}/32")[f"{VIP}/32"]
    assert route["protocol"] == "bgp"
    assert route["distance"] == 20
    assert route["installed"]
    hops = {hop["ip"]: hop for hop in route["nexthops"]}
    assert set(hops) == set(map(engine_address, engines))
    assert all(hop["fib"] and hop["active"] for hop in hops.values())
    table = site.router.show("ip route")
    assert [prefix for prefix, (row, *_) in table.items() if row["protocol"] == "bgp"] == [
        f"{VIP}/32"
    ]


def _bfd(site: Site, *engines: int) -> None:
    """``show bfd peers``: one session with each engine, up, as fast as it was configured."""
    wanted = set(map(engine_address, engines))

    def up() -> bool:
        rows = site.router.show("bfd peers")
        return {row["peer"] for row in rows if row["status"] == "up"} == wanted

    until(up, f"BFD with {sorted(wanted)}")
    for row in site.router.show("bfd peers"):
        assert row["receive-interval"] == row["transmit-interval"] == 50
        assert row["detect-multiplier"] == 5
        assert row["remote-receive-interval"] == row["remote-transmit-interval"] == 50
