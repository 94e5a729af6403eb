"""Engines that fail: how long VIPs are silent, who answers twice, and what moves without need.

A prober on the client's host asks for each VIP every 20 ms (every 50 ms from 11 VIPs on) by ARP. A
crash is both cables of an engine cut; keepalived runs beside Fairlead on the same LAN and crashes
in turn with it. Figures of other peers are printed beside. Needs root and keepalived.
"""

from collections.abc import Iterator

from bench import failover_faults, failover_pair, failover_rest, peers
from bench.failover_site import PEER_VIP, Crash, Site, crash, site
from bench.figure import Figure, percentile
from bench.judge import of_crashes
from bench.keepalived import Keepalived, outage
from bench.machine import strangers

REPETITIONS = 5
MANY = 500


def run(repetitions: int = REPETITIONS) -> Iterator[Figure]:
    """All of it: crashes, other faults, two engines, rest."""
    yield from peers.figures()
    yield from crashes(repetitions)
    yield from failover_faults.run()
    yield from failover_pair.run(repetitions)
    yield from failover_rest.run()


def crashes(repetitions: int) -> Iterator[Figure]:
    """Three engines: one VIP beside keepalived, then 500."""
    with strangers() as foreign, site(1) as one:
        yield from _beside_keepalived(one, repetitions)
    yield Figure("failover.crash.1.others", foreign.percent, "%")
    with strangers() as foreign, site(MANY) as many:
        names = many.engines.names
        found = [_crash(many, names[turn % len(names)]) for turn in range(repetitions)]
        yield from of_crashes(f"failover.crash.{MANY}", found, median=400, worst=700)
    yield Figure(f"failover.crash.{MANY}.others", foreign.percent, "%")


def _beside_keepalived(one: Site, repetitions: int) -> Iterator[Figure]:
    """In turn, so that both have the same machine."""
    (victim,) = one.engines.homes.values()
    peer = Keepalived(one.hosts.with_role("node"), PEER_VIP, one.directory)
    ours, theirs = [], []
    for _ in range(repetitions):
        ours.append(_crash(one, victim))
        theirs.append(outage(peer, one.client))
    yield from of_crashes("failover.crash.1", ours, median=350)
    median = percentile(theirs, 50)
    yield Figure("keepalived.crash.1.median", median, "ms")
    yield Figure("keepalived.crash.1.worst", max(theirs), "ms")
    mine = percentile([ms for found in ours for ms in found.outages], 50)
    yield Figure("failover.crash.1.over_keepalived", mine / median, "x", 1.1)


def _crash(here: Site, victim: str) -> Crash:
    return crash(here.engines, here.client, here.hosts.with_role("engine"), victim)
