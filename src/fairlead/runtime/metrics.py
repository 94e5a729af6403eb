"""Prometheus metrics of a process, in a registry of its own; docs/metrics.md tells every name.

No label ever names a Service, an address or a namespace: the number of series must not grow with
what is served. What is known anyway is read when somebody asks, so counting costs nothing.
"""

from collections import Counter as Counted
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Literal, NamedTuple

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from fairlead import __version__
from fairlead.model.verdict import Forward
from fairlead.runtime.health import Counters
from fairlead.sources.kube.health import Health

if TYPE_CHECKING:
    from fairlead.model.dhcp import Leased

Role = Literal["controller", "agent"]
QUICK = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2, 5, 10, 30, 60, 300)
"""Seconds; close together where the goals are (50, 100, 200 ms)."""
NOT_OPEN = ("NoGateway", "PortForwardConflict", "PortForwardRefused")
"""Reason codes of ports that are not open on a gateway."""
REQUESTS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15)
"""Seconds of a request to the API server."""
PLANS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""Seconds of a plan."""


class _Series(NamedTuple):
    """Of one kind of request."""

    counter: Counter
    histogram: Histogram


class Metrics:
    """What controller and agent both have. ``watched``: how the watches of the API are doing."""

    def __init__(self, role: Role) -> None:
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self.watched: Callable[[], Iterable[Health]] = tuple
        ProcessCollector(registry=self.registry)
        self.registry.register(_Build(role))
        self.registry.register(_Watches(lambda: self.watched()))
        self.loop_lag = Gauge(
            "fairlead_loop_lag_seconds",
            "How late the event loop was, at worst, in the last ten seconds",
            registry=self.registry,
        )
        self._requests = Counter(
            "fairlead_api_requests",
            "Requests to the API server; status 0: no answer came",
            ["verb", "resource", "status"],
            registry=self.registry,
        )
        self._request_seconds = Histogram(
            "fairlead_api_request_seconds",
            "How long the API server took to answer; of a watch, to begin",
            ["verb"],
            buckets=REQUESTS,
            registry=self.registry,
        )
        self._series: dict[tuple[str, str, int], _Series] = {}
        self._failures = Counter(
            "fairlead_failures",
            "What failed and is tried again",
            ["what"],
            registry=self.registry,
        )

    def requested(self, verb: str, resource: str, status: int, seconds: float) -> None:
        """A request to the API server ended. The hook of
        :class:`~fairlead.sources.kube.client.ApiClient`."""
        key = (verb, resource, status)
        series = self._series.get(key)
        if series is None:  # finding them by their labels costs more than counting
            count = self._requests.labels(verb, resource, str(status))
            series = self._series[key] = _Series(count, self._request_seconds.labels(verb))
        series.counter.inc()
        series.histogram.observe(seconds)

    def failed(self, what: str) -> None:
        """Something failed, and is tried again."""
        self._failures.labels(what).inc()


class DriverState(NamedTuple):
    """A driver of an agent, as metrics show it."""

    name: str
    ok: bool
    counters: Counters


class AgentMetrics(Metrics):
    """An agent's. ``drivers``, ``announced``, ``leases`` and ``forwards`` are asked when somebody
    reads the metrics: ``announced`` says how many addresses are in place and how many are placed
    here."""

    def __init__(self) -> None:
        super().__init__("agent")
        self.drivers: Callable[[], Iterable[DriverState]] = tuple
        self.announced: Callable[[], tuple[int, int]] = lambda: (0, 0)
        self.leases: Callable[[], Iterable[Leased]] = tuple
        self.forwards: Callable[[], Iterable[Forward]] = tuple
        self.time_to_announce = Histogram(
            "fairlead_time_to_announce_seconds",
            "From the moment an agent learns that an address is its to serve, to its announcement",
            buckets=QUICK,
            registry=self.registry,
        )
        self.moves = Counter(
            "fairlead_vip_moves",
            "VIPs that changed: their address, or the engine that holds them",
            ["of"],
            registry=self.registry,
        )
        self.lease_changes = Counter(
            "fairlead_dhcp_lease_changes",
            "What DHCP servers said: a lease is bound or renewed, refused, or lost",
            ["state"],
            registry=self.registry,
        )
        self.registry.register(_Drivers(self))
        self.registry.register(_Leases(self))
        self.registry.register(_Forwards(self))


class _Build(Collector):
    def __init__(self, role: Role) -> None:
        self._said = {"version": __version__, "role": role}

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily("fairlead_build", "Which Fairlead this is", self._said)


class _Watches(Collector):
    """One series for each kind that is read."""

    def __init__(self, watched: Callable[[], Iterable[Health]]) -> None:
        self._watched = watched

    def collect(self) -> Iterator[Metric]:
        objects = GaugeMetricFamily(
            "fairlead_watch_objects", "Objects known, by kind", labels=["kind"]
        )
        up = GaugeMetricFamily(
            "fairlead_watch_up",
            "1 while a kind is read, 0 while it cannot be or does not exist",
            labels=["kind"],
        )
        for health in self._watched():
            objects.add_metric([health.kind], health.objects)
            up.add_metric([health.kind], health.synced and not health.absent and not health.error)
        yield objects
        yield up


class _Forwards(Collector):
    def __init__(self, metrics: AgentMetrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        states = GaugeMetricFamily(
            "fairlead_forwards",
            "Ports of this engine's VIPs on the gateway, by state: Open, Waiting, or why not",
            labels=["state"],
        )
        found = Counted(map(_state, self._metrics.forwards()))
        for state in ("Open", "Waiting", *NOT_OPEN):
            states.add_metric([state], found[state])
        yield states


def _state(one: Forward) -> str:
    if one.external is not None:
        return "Open"
    return one.code.value or "Waiting"


class _Leases(Collector):
    def __init__(self, metrics: AgentMetrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        leases = [*self._metrics.leases()]
        states = GaugeMetricFamily(
            "fairlead_dhcp_leases", "Leases of this engine, by state", labels=["state"]
        )
        for state in ("Bound", "Refused", "Lost"):
            states.add_metric([state], sum(one.state == state for one in leases))
        yield states
        ends = [one.expires for one in leases if one.expires is not None]
        yield GaugeMetricFamily(
            "fairlead_dhcp_next_expiry_timestamp_seconds",
            "When the first lease of this engine ends unless it is renewed; 0: none does",
            value=min(ends, default=0.0),
        )


class _Drivers(Collector):
    def __init__(self, metrics: AgentMetrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("fairlead_driver_up", "1 while a driver works", labels=["driver"])
        families = {
            name: CounterMetricFamily(f"fairlead_driver_{name}", about, labels=["driver"])
            for name, about in (
                ("rounds", "Full rounds, which compare everything"),
                ("changes", "Rounds and changes that had something to do"),
                ("repairs", "Full rounds that found something to do although nothing was decided"),
                ("failures", "Rounds and changes that failed"),
            )
        }
        for driver in self._metrics.drivers():
            up.add_metric([driver.name], driver.ok)
            for name, family in families.items():
                family.add_metric([driver.name], getattr(driver.counters, name))
        yield up
        yield from families.values()
        in_place, placed = self._metrics.announced()
        addresses = GaugeMetricFamily(
            "fairlead_addresses",
            "Addresses of this engine: placed here, and of those in place",
            labels=["state"],
        )
        addresses.add_metric(["placed"], placed)
        addresses.add_metric(["in_place"], in_place)
        yield addresses
