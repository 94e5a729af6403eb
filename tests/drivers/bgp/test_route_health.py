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
    _pings(site)

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
    _pings(site)


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
            _pings(site)
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


def _pings(site: Site) -> None:
    until(lambda: isinstance(site.lab["client"].call(ping, VIP), Pong), "the VIP answers")


def _settings(site: Site) -> tuple[str, str]:
    base = "net.ipv4.conf.lan.arp_"
    said = site.lab["engine-1"].run(["sysctl", "-n", f"{base}announce", f"{base}ignore"])
    announce, ignore = said.stdout.split()
    return announce, ignore


def _summary(site: Site, *, engines: int, prefixes: int | None) -> None:
    """``show ip bgp summary``: dynamic neighbours of the group, each with so many prefixes."""
    wanted = {engine_address(number) for number in range(1, engines + 1)}

    def shown() -> bool:
        seen = site.router.show("ip bgp summary")
        table = seen.get("ipv4Unicast", seen)
        rows = table.get("peers", {})
        return (
            table.get("as") == 6000
            and table.get("dynamicPeers") == table.get("totalPeers") == engines
            and set(rows) == wanted
            and all(row["remoteAs"] == 5000 and row["dynamicPeer"] for row in rows.values())
            and all(row["state"] == "Established" for row in rows.values())
            and all(prefixes in (None, row["pfxRcd"]) for row in rows.values())
        )

    until(shown, f"{engines} dynamic neighbours with {prefixes} prefixes")


def _routes(site: Site, *engines: int) -> None:
    """``show ip route``: one BGP route with exactly these next hops, all of them in use."""
    wanted, prefix = set(map(engine_address, engines)), f"{VIP}/32"

    def shown() -> bool:
        table = site.router.show("ip route")
        learned = [name for name, (row, *_) in table.items() if row["protocol"] == "bgp"]
        route = site.router.show(f"ip route {prefix}").get(prefix, [{"nexthops": ()}])[0]
        hops = {hop["ip"] for hop in route["nexthops"] if hop.get("fib") and hop["active"]}
        return (
            learned == [prefix]
            and hops == wanted
            and len(route["nexthops"]) == len(wanted)
            and (route["protocol"], route["distance"], route["installed"]) == ("bgp", 20, True)
        )

    until(shown, f"a route by {sorted(wanted)}")


def _bfd(site: Site, *engines: int) -> None:
    """``show bfd peers``: one session with each engine, up, as fast as it was configured."""
    wanted = set(map(engine_address, engines))

    def shown() -> bool:
        rows = site.router.show("bfd peers")
        return {row["peer"] for row in rows if row["status"] == "up"} == wanted and all(
            row["receive-interval"] == row["transmit-interval"] == 50
            and row["detect-multiplier"] == 5
            and row["remote-receive-interval"] == row["remote-transmit-interval"] == 50
            for row in rows
        )

    until(shown, f"BFD with {sorted(wanted)}")
