"""VIPs by BGP: from the driver's change to the route in the kernel of a real router.

Three engines and a router (FRR) in namespaces, BFD 3 × 100 ms on both ends. Needs root.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from threading import Thread

from bench.figure import Figure, percentile
from fairlead.drivers.bgp import BgpDriver, House
from fairlead.drivers.bgp.names import map_of
from fairlead.lab import Host, Lab
from fairlead.lab.rhi import ROUTER, engine_address, route_health
from fairlead.lab.router import Router
from fairlead.model.addresses import IPAddress
from fairlead.model.desired import BgpChanges, BgpSpeaker
from fairlead.model.peers import BgpPeer, BgpRoute

MANY = 10_000
SINGLE = 15
CRASHES = 10
PLAIN = BgpRoute()
VIP, OTHER = IPv4Address("10.40.0.1"), IPv4Address("10.40.0.2")
CONFIG = """
bfd
 profile fast
  transmit-interval 100
  receive-interval 100
 exit
exit
router bgp 6000
 no bgp ebgp-requires-policy
 neighbor ENGINES peer-group
 neighbor ENGINES remote-as 5000
 neighbor ENGINES bfd
 neighbor ENGINES bfd profile fast
 bgp listen range 10.10.16.192/27 peer-group ENGINES
 bgp listen range fd00:16::/64 peer-group ENGINES
 address-family ipv4 unicast
  maximum-paths 8
 exit-address-family
 address-family ipv6 unicast
  neighbor ENGINES activate
  maximum-paths 8
 exit-address-family
exit
"""
PEERS = {
    "four": BgpPeer(remote=ip_address(ROUTER), asn=6000, local_asn=5000),
    "six": BgpPeer(remote=ip_address("fd00:16::250"), asn=6000, local_asn=5000),
}


class Engine:
    """An engine whose driver speaks to the router."""

    def __init__(self, host: Host, number: int) -> None:
        self.host = host
        self.directory = Path(tempfile.mkdtemp(prefix="fairlead-bench-"))
        self.directory.chmod(0o755)
        self.driver = BgpDriver(house=House(self.directory, hold=600))
        speaker = BgpSpeaker(5000, IPv4Address(engine_address(number)))
        host.call(self.driver.observe)
        self.apply(BgpChanges(speaker, PEERS, {VIP: PLAIN}))

    def apply(self, changes: BgpChanges) -> None:
        """Make changes."""
        self.host.call(self.driver.apply, changes)

    def close(self) -> None:
        """Withdraw everything."""
        self.host.call(self.driver.withdraw)
        self.driver.close()
        shutil.rmtree(self.directory, ignore_errors=True)


def run() -> Iterator[Figure]:
    """Announcing and withdrawing, one and ten thousand; an engine that dies."""
    with Lab(route_health()) as lab, Router(lab["router"], CONFIG) as router:
        with _engines(lab[f"engine-{n}"] for n in (1, 2)) as (first, _):
            _until(lambda: len(router.next_hops(f"{VIP}/32")) == 2)
            before = _flaps(router)
            yield from _single(first, router)
            yield from _many(first, router)
            yield Figure("bgp.flaps", _flaps(router) - before, "sessions", 1)
            yield Figure("bgp.rss.bgpd", _resident(first.host, "bgpd"), "MB")
            yield Figure("bgp.rss.zebra", _resident(first.host, "zebra"), "MB")
        with _engines(lab[f"engine-{n}"] for n in (1, 2)) as engines:
            yield from _crash(engines[1], router)


@contextmanager
def _engines(hosts: Iterator[Host]) -> Iterator[list[Engine]]:
    made: list[Engine] = []
    try:
        made += [Engine(host, number) for number, host in enumerate(hosts, 1)]
        yield made
    finally:
        for engine in made:
            engine.close()


def _single(engine: Engine, router: Router) -> Iterator[Figure]:
    come, go = [], []
    for _ in range(SINGLE):
        come.append(_timed(engine, {OTHER: PLAIN}, lambda: bool(_hops(router))))
        go.append(_timed(engine, {OTHER: None}, lambda: not _hops(router)))
    yield Figure("bgp.one_more.p50", percentile(come, 50), "ms")
    yield Figure("bgp.one_more.worst", max(come), "ms", 300)
    yield Figure("bgp.one_less.p50", percentile(go, 50), "ms")
    yield Figure("bgp.one_less.worst", max(go), "ms", 300)


def _many(engine: Engine, router: Router) -> Iterator[Figure]:
    blocks: list[tuple[str, IPAddress]] = [
        ("v4", IPv4Address("10.50.0.0")),
        ("v6", IPv6Address("fd00:50::")),
    ]
    for name, start in blocks:
        vips = [start + n for n in range(MANY)]
        table = _Table(router, start.version)
        base = table.size()
        coming: dict[IPAddress, BgpRoute | None] = dict.fromkeys(vips, PLAIN)
        took = _timed(engine, coming, lambda: table.has(vips[-1]) and table.size() == base + MANY)  # noqa: B023
        yield Figure(f"bgp.announce.{name}.10k", took / 1000, "s", 2)
        more = _timed(engine, {vips[-1] + 1: PLAIN}, lambda: table.has(vips[-1] + 1))  # noqa: B023
        yield Figure(f"bgp.one_more.{name}.at_10k", more, "ms", 300)
        started = time.perf_counter()
        engine.host.call(engine.driver.observe)
        yield Figure(f"bgp.observe.{name}.10k", (time.perf_counter() - started) * 1000, "ms")
        going: dict[IPAddress, BgpRoute | None] = dict.fromkeys([*vips, vips[-1] + 1])
        took = _timed(engine, going, lambda: not table.has(vips[-1]) and table.size() == base)  # noqa: B023
        yield Figure(f"bgp.withdraw.{name}.10k", took / 1000, "s")
        if name == "v4":
            yield Figure("bgp.announce.v4.10k.vtysh", _vtysh(engine, table, base), "s")


def _vtysh(engine: Engine, table: "_Table", base: int) -> float:
    """The floor: the same lines from a file, by FRR's own shell."""
    name = map_of(PLAIN)
    lines = [f"  network 10.60.{n >> 8}.{n & 255}/32 route-map {name}" for n in range(MANY)]
    text = "\n".join(["router bgp 5000", " address-family ipv4 unicast", *lines])
    file = engine.directory / "floor.conf"
    file.write_text(text + "\n")
    sockets = str(engine.directory / "frr")
    started = time.perf_counter()
    engine.host.run(["vtysh", "--vty_socket", sockets, "-f", str(file)], timeout=120)
    last = IPv4Address("10.60.0.0") + MANY - 1
    _until(lambda: table.has(last) and table.size() >= base + MANY)
    took = time.perf_counter() - started
    file.write_text(text.replace("  network", "  no network") + "\n")
    engine.host.run(["vtysh", "--vty_socket", sockets, "-f", str(file)], timeout=120)
    _until(lambda: table.size() == base)
    return took


def _crash(engine: Engine, router: Router) -> Iterator[Figure]:
    """Both cables of an engine are cut, as when its power fails: nobody sees a link go down."""
    took = []
    address = next(str(one.ip) for one in engine.host.spec.lan if one.version == 4)
    for _ in range(CRASHES):
        _until(lambda: len(router.next_hops(f"{VIP}/32")) == 2)
        _until(lambda: _bfd(router, address))
        time.sleep(0.3)
        for segment in ("lan", "pods"):
            engine.host.cut(segment, silently=True)
        took.append(_until(lambda: address not in router.next_hops(f"{VIP}/32")) * 1000)
        for segment in ("lan", "pods"):
            engine.host.mend(segment)
    yield Figure("bgp.engine_dead.p50", percentile(took, 50), "ms", 500)
    yield Figure("bgp.engine_dead.worst", max(took), "ms", 500)


class _Table:
    """How many BGP routes the router's kernel has in a family."""

    def __init__(self, router: Router, version: int) -> None:
        self._router, self._family = router, f"-{version}"

    def has(self, address: IPAddress) -> bool:
        """Whether one is there: a look-up, which costs the same however many there are."""
        said = self._router.host.run(["ip", self._family, "route", "get", str(address)])
        return " via " in said.stdout

    def size(self) -> int:
        """One line a route; those of several paths have more in IPv4."""
        lines = self._router.host.ip(self._family, "route", "show", "proto", "bgp").splitlines()
        return sum(not line.startswith(("\t", " ")) for line in lines)


def _timed(
    engine: Engine,
    routes: dict[IPAddress, BgpRoute | None],
    there: Callable[[], bool],
) -> float:
    """Milliseconds from the change until the router's kernel has it. The driver returns later than
    that from a withdrawal, because it gives routers time."""
    changing = Thread(target=engine.apply, args=(BgpChanges(routes=routes),))
    started = time.perf_counter()
    changing.start()
    _until(there)
    took = (time.perf_counter() - started) * 1000
    changing.join()
    return took


def _until(what: Callable[[], bool], patience: float = 60.0) -> float:
    """Poll until it holds; the seconds it took."""
    started = time.monotonic()
    while not what():
        if time.monotonic() - started > patience:
            raise TimeoutError("the router never got there")
        time.sleep(0.002)
    return time.monotonic() - started


def _hops(router: Router) -> set[str]:
    return router.next_hops(f"{OTHER}/32")


def _bfd(router: Router, address: str) -> bool:
    rows = router.show("bfd peers")
    return any(row["peer"] == address and row["status"] == "up" for row in rows)


def _flaps(router: Router) -> int:
    rows = [
        *router.show("bgp ipv4 unicast summary")["peers"].values(),
        *router.show("bgp ipv6 unicast summary")["peers"].values(),
    ]
    return sum(int(row["connectionsDropped"]) for row in rows)


def _resident(host: Host, name: str) -> float:
    home = host.netns.stat().st_ino
    for entry in Path("/proc").iterdir():
        try:
            inside = entry.name.isdigit() and os.stat(entry / "ns/net").st_ino == home
            if inside and (entry / "comm").read_text().strip() == name:
                lines = (entry / "status").read_text().splitlines()
                found = next(line for line in lines if line.startswith("VmRSS"))
                return int(found.split()[1]) / 1024
        except OSError:
            continue
    return 0.0
