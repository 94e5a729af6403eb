"""Two engines: the one that is left goes on once it has written that to the API (ADR 0023)."""

from collections.abc import Iterator

from bench.failover_cluster import cluster_site
from bench.failover_site import crash
from bench.figure import Figure
from bench.judge import of_crashes
from bench.machine import strangers

SIZES = ((1, 350, None), (500, 400, 700))
"""VIPs, and the goals in ms for the median and the worst."""


def run(repetitions: int) -> Iterator[Figure]:
    """Crashes of either, at 1 VIP and at 500."""
    for vips, median, worst in SIZES:
        with strangers() as foreign, cluster_site(nodes=2, vips=vips) as here:
            client, hosts = here.lab["client"], [here.lab[name] for name in here.engines.names]
            victims = [name for name in here.engines.names if here.engines.at_home_on(name)]
            found = [
                crash(here.engines, client, hosts, victims[turn % len(victims)])
                for turn in range(repetitions)
            ]
            yield from of_crashes(f"failover.pair.crash.{vips}", found, median=median, worst=worst)
        yield Figure(f"failover.pair.crash.{vips}.others", foreign.percent, "%")
