"""A controller that starts where 10 000 Services wait, beside the API server's own limit.

It has to make 20 000 writes. The floor makes the same ones and does nothing else
(:mod:`bench.bare`), with as many at once as is best for it. Each round has a control plane of its
own with the same content, and rounds alternate. Both rates are from the first write to the last, as
etcd counts them; ``with_start`` also counts what a controller has to do before: start, read,
decide.
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from bench.api_writes import Written, writes
from bench.figure import Figure
from bench.kubernetes_cluster import Cluster, cluster
from bench.machine import cpu_seconds, others

SERVICES = 10_000
CONCURRENCIES = (1, 4, 16, 32, 64)
TRIALS = 2
"""How often each concurrency is tried, in turn, on its share of the Services."""
ROUNDS = 3
NOISE = 50
"""Writes of the API server itself and of Leases, before which nothing has begun."""
METALLB = 19.0
"""Addresses a second given by MetalLB 0.15.2's controller, measured once on such a machine."""


class Round(NamedTuple):
    """``rate`` and ``with_start`` in writes a second; ``cpu``: microseconds of all CPUs for one
    write, API server and etcd included; ``more``: writes beyond those expected."""

    rate: float
    with_start: float
    cpu: float
    others: float
    more: int = 0
    peak_mb: float = 0.0


class Writing(Protocol):
    """Something that writes."""

    pid: int


def run() -> Iterator[Figure]:
    """The floor's rate by concurrency, then both side by side."""
    best, rates = _best_concurrency()
    for concurrency, rate in rates.items():
        yield Figure(f"bare.{concurrency}_at_once", rate, "writes/s")
    floor: list[Round] = []
    own: list[Round] = []
    for number in range(ROUNDS):
        if number % 2 == 0:
            floor.append(_floor(best))
        own.append(_controller())
        if number % 2:
            floor.append(_floor(best))
    yield from _figures(floor, own)


def _figures(floor: list[Round], own: list[Round]) -> Iterator[Figure]:
    limit = statistics.median(r.rate for r in floor)
    rate = statistics.median(r.rate for r in own)
    whole = statistics.median(r.with_start for r in own)
    cpu = [statistics.median(r.cpu for r in rounds) for rounds in (floor, own)]
    yield Figure("controller.start.floor", limit, "writes/s")
    yield Figure("controller.start.floor.slowest", min(r.rate for r in floor), "writes/s")
    yield Figure("controller.start.floor.fastest", max(r.rate for r in floor), "writes/s")
    yield Figure("controller.start.rate", rate, "writes/s")
    yield Figure("controller.start.rate.slowest", min(r.rate for r in own), "writes/s")
    yield Figure("controller.start.rate.fastest", max(r.rate for r in own), "writes/s")
    yield Figure("controller.start.of_floor", 100 * rate / limit, "%", 80, ">")
    yield Figure("controller.start.of_floor.with_start", 100 * whole / limit, "%")
    yield Figure("controller.start.of_floor.by_cpu", 100 * cpu[0] / cpu[1], "%")
    yield Figure("controller.start.writes_too_many", max(r.more for r in own), "writes", 1)
    yield Figure("controller.start.rss.10k", max(r.peak_mb for r in own), "MB", 200)
    yield Figure("controller.start.others", max(r.others for r in floor + own), "%")
    yield Figure("controller.start.metallb_elsewhere", METALLB, "writes/s")


def _best_concurrency() -> tuple[int, dict[int, float]]:
    share = SERVICES // (len(CONCURRENCIES) * TRIALS)
    rates: dict[int, list[float]] = {concurrency: [] for concurrency in CONCURRENCIES}
    with cluster(SERVICES) as place:
        for number, concurrency in enumerate(CONCURRENCIES * TRIALS):
            bare = _Bare(place, concurrency, first=number * share, count=share)
            rates[concurrency].append(2 * share / bare.seconds())
    middle = {concurrency: statistics.mean(found) for concurrency, found in rates.items()}
    return max(middle, key=lambda concurrency: middle[concurrency]), middle


def _floor(concurrency: int) -> Round:
    with cluster(SERVICES) as place:
        bare = _Bare(place, concurrency, first=0, count=SERVICES)
        found = _measure(place, bare, bare.check)
        bare.seconds()  # its last answers come before the API server goes
        return found


def _controller() -> Round:
    with cluster(SERVICES) as place:
        before = writes(place.control)
        with place.controller() as process:
            found = _measure(place, process, process.check)
            process.wait_led()
            done = writes(place.control) - before
            for verb, resource in (("POST", "virtualips"), ("APPLY", "services/status")):
                done[Written(verb, resource)] -= SERVICES
            del done[Written("PATCH", "addresspools/status")]  # what the pool says of itself
            more = sum(map(abs, done.values()))
            return found._replace(more=more, peak_mb=process.peak_mb)


class _Bare:
    """The bare client as a process."""

    def __init__(self, place: Cluster, concurrency: int, *, first: int, count: int) -> None:
        numbers = map(str, (concurrency, first, count))
        argv = [sys.executable, "-m", "bench.bare", str(place.control.kubeconfig), *numbers]
        self._popen = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        self.pid = self._popen.pid

    def check(self) -> None:
        """Raises when it has failed."""
        over = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if over is not None and over.si_status:
            raise RuntimeError(f"the bare client failed: {over.si_status}")

    def seconds(self) -> float:
        """What its own clock says, at its end."""
        out, _ = self._popen.communicate()
        if self._popen.returncode:
            raise RuntimeError(f"the bare client failed: {self._popen.returncode}")
        return float(out)


def _measure(place: Cluster, process: Writing, check: Callable[[], None]) -> Round:
    """Follow the writes of a process that was started just now."""
    control, etcd = place.control, place.etcd
    servers = (control.pid("kube-apiserver"), control.pid("etcd"))
    start, before, first = time.monotonic(), etcd.revision(), 0.0
    spent = -sum(map(cpu_seconds, servers))
    with others(*servers, process.pid) as foreign:
        while (count := etcd.revision() - before) < 2 * place.services:
            check()
            if not first and count > NOISE:
                first, count_first = time.monotonic(), count
            time.sleep(0.05)
        end = time.monotonic()
        spent += sum(map(cpu_seconds, (*servers, process.pid)))
    return Round(
        rate=(count - count_first) / (end - first),
        with_start=count / (end - start),
        cpu=1e6 * spent / count,
        others=foreign.percent,
    )
