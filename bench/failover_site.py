"""A LAN with engines, a client, two hosts for a peer and pods, and what is measured of a crash."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bench.arrivals import Arrivals
from fairlead.lab import Host, Hosts, Lab, cluster
from fairlead.lab.engines import Engines, open_directory
from fairlead.lab.probe import Holders
from fairlead.lab.published import objects, written

if TYPE_CHECKING:
    from fairlead.model.addresses import IPAddress

LAN = "10.77.0.0/16"
FIRST = IPv4Address("10.77.1.0")
PEER_VIP = IPv4Address("10.77.9.9")
TARGET = 8080
SETTLED = 0.7
"""Seconds of quiet before and after a fault."""


class Site(NamedTuple):
    """Engines at work, and the hosts beside them."""

    hosts: Hosts
    engines: Engines
    directory: Path

    @property
    def client(self) -> Host:
        """Where the prober is."""
        return self.hosts["client"]


@contextmanager
def site(vips: int, engines: int = 3) -> Iterator[Site]:
    """VIPs spread over engines whose agents read a folder; every VIP is at home."""
    plan = cluster(lan=[LAN], pod_networks=["10.244.0.0/16"], engines=engines, nodes=2, pods=2)
    with open_directory() as name, Lab(plan) as hosts:
        names = [host.name for host in hosts.with_role("engine")]
        homes: dict[IPAddress, str] = {FIRST + n: names[n % engines] for n in range(vips)}
        manifests = objects(
            engines={one: hosts[one].v4 for one in names},
            homes=homes,
            pods=[host.v4 for host in hosts.with_role("pod")],
            target=TARGET,
        )
        folder = Path(name) / "manifests"
        folder.mkdir()
        (folder / "site.yaml").write_text(written(manifests))
        made = Engines(hosts, names, Path(name), homes=homes, source=["-f", str(folder)])
        made.start()
        made.until(made.well, "every VIP at home", seconds=120)
        yield Site(hosts, made, Path(name))


class Crash(NamedTuple):
    """What one crash cost: ``outages`` in ms, one for each VIP of the engine; ``first_claim``: ms
    from the first address on its new interface to the first gratuitous ARP; ``doubles``: ms in
    which two answered for one VIP, until everything was at home again; ``moved``: VIPs of other
    engines that changed hands; ``lag``: ms that the prober was late at worst."""

    outages: list[float]
    first_claim: float
    doubles: float
    moved: int
    lag: float


def crash(engines: Engines, client: Host, hosts: Sequence[Host], victim: str) -> Crash:
    """Cut both cables of an engine, and mend them once the others have its VIPs."""
    vips = list(engines.homes)
    lost = engines.at_home_on(victim)
    with Arrivals(hosts) as arrivals, Holders(client, vips, every=period(len(vips))) as seen:
        time.sleep(SETTLED)
        cut = seen.now()
        engines.crash(victim)
        time.sleep(2 * SETTLED)
        engines.until(lambda: engines.held_without(victim), "the take-over")
        time.sleep(SETTLED)
        back = seen.now()
        came = {vip: at for (_, vip), at in arrivals.at.items() if cut < at < back}
        engines.mend(victim)
        engines.until(engines.well, "everything at home again", seconds=60)
        time.sleep(SETTLED)
    claims = [seen.announced(vip, since=cut) for vip in lost]
    claimed = min(at for at in claims if at is not None)
    return Crash(
        [1000 * seen.outage(vip, since=cut, until=back) for vip in lost],
        1000 * (claimed - min(came.values())),
        1000 * max(seen.doubles(vip) for vip in vips),
        sum(seen.moves(vip, since=cut) > 0 for vip in vips if vip not in lost),
        1000 * seen.lag,
    )


def period(vips: int) -> float:
    """Seconds between two questions for one VIP."""
    return 0.02 if vips <= 10 else 0.05
