"""Three engines at rest: what their agents ask of the API server, and what they cost."""

import time
from collections.abc import Iterator

from bench.failover_cluster import ClusterSite, cluster_site
from bench.figure import Figure
from bench.machine import cpu_seconds, memory_mb, strangers
from fairlead.lab.engines import AGENT, FENCE

SIZES = (10, 1000)
CALM = 10.0
"""Seconds after the last VIP has come home before it counts as rest."""
REST = 45.0


def run() -> Iterator[Figure]:
    """With few VIPs and with many."""
    for vips in SIZES:
        with cluster_site(nodes=3, vips=vips) as here:
            time.sleep(CALM)
            yield from _rest(here, vips)


def _rest(here: ClusterSite, vips: int) -> Iterator[Figure]:
    names = here.engines.names
    before, used = here.requests(), {name: _used(here, name) for name in names}
    with strangers() as foreign:
        time.sleep(REST)
    asked = here.requests() - before
    rates = [asked[here.lab[name].v4] / REST for name in names]
    agents = [100 * (_used(here, name)[0] - used[name][0]) / REST for name in names]
    fences = [100 * (_used(here, name)[1] - used[name][1]) / REST for name in names]
    sizes = [memory_mb(here.engines.pid(name, AGENT)) for name in names]
    goal = 120 if vips == 1000 else None
    yield Figure(f"failover.rest.requests.{vips}", max(rates), "a second, each agent", 0.2)
    yield Figure(f"failover.rest.agent_rss.{vips}", max(sizes), "MB", goal)
    yield Figure(f"failover.rest.agent_cpu.{vips}", max(agents), "% of a core", 2)
    yield Figure(f"failover.rest.fence_cpu.{vips}", max(fences), "% of a core")
    rss = max(memory_mb(here.engines.pid(name, FENCE)) for name in names)
    yield Figure(f"failover.rest.fence_rss.{vips}", rss, "MB")
    yield Figure(f"failover.rest.others.{vips}", foreign.percent, "%")


def _used(here: ClusterSite, name: str) -> tuple[float, float]:
    """CPU seconds of an agent and of its fence so far."""
    pid = here.engines.pid
    return cpu_seconds(pid(name, AGENT)), cpu_seconds(pid(name, FENCE))
