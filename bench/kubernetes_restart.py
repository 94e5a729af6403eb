"""A controller that is started again where 50 000 Services are served: nothing is to be written.

One has run before, so that all is as it left it, the Lease too.
"""

import time
from collections.abc import Iterator

from bench.api_writes import writes
from bench.figure import Figure
from bench.kubernetes_cluster import Cluster, cluster
from bench.machine import others

SERVICES = 50_000
RESTARTS = 3
SETTLED = 40.0
"""Seconds after which the one before has also written how full the pools are."""
IDLE = 60.0
"""Seconds of rest that are watched."""


def run() -> Iterator[Figure]:
    """How long until it leads, has compared everything and is ready; and what it takes."""
    with cluster(SERVICES, settled=True) as place:
        with place.controller() as process:
            process.wait_led()
            time.sleep(SETTLED)
        seconds = [_restart(place) for _ in range(RESTARTS - 1)]
        yield from _last(place, seconds)


def _restart(place: Cluster) -> float:
    with place.controller() as process:
        return process.wait_led()


def _last(place: Cluster, before: list[float]) -> Iterator[Figure]:
    written = writes(place.control)
    servers = (place.control.pid("kube-apiserver"), place.control.pid("etcd"))
    with place.controller() as process, others(*servers, process.pid) as foreign:
        seconds = [*before, process.wait_led()]
        idle = process.idle_percent(IDLE)
        made = (writes(place.control) - written).total()
        yield Figure("controller.restart.50k", max(seconds), "s", 30)
        yield Figure("controller.restart.50k.fastest", min(seconds), "s")
        yield Figure("controller.restart.writes", made, "writes", 1)
        yield Figure("controller.restart.rss.50k", process.peak_mb, "MB", 500)
        yield Figure("controller.idle.50k", idle, "% of a core", 1)
    yield Figure("controller.restart.others", foreign.percent, "%")
