"""The controller's metrics."""

from collections.abc import Callable, Iterator

from prometheus_client import Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from fairlead.publish.inventory import FAMILIES
from fairlead.runtime.controller.census import Census, PoolUse
from fairlead.runtime.metrics import PLANS, QUICK, Metrics


class ControllerMetrics(Metrics):
    """``queued``: how much is to be written. ``census``: what is counted of plans."""

    def __init__(self, census: Census) -> None:
        super().__init__("controller")
        self.census = census
        self.queued: Callable[[], int] = lambda: 0
        self.leader = Gauge("fairlead_leader", "1 while this replica leads", registry=self.registry)
        Gauge(
            "fairlead_queue_depth",
            "Groups and objects that are still to be written",
            registry=self.registry,
        ).set_function(lambda: self.queued())
        self.time_to_address = Histogram(
            "fairlead_time_to_address_seconds",
            "From the moment a Service without an address is seen to its status being written",
            buckets=QUICK,
            registry=self.registry,
        )
        self.plan_seconds = Histogram(
            "fairlead_plan_seconds", "How long a decision took", buckets=PLANS,
            registry=self.registry,
        )  # fmt: skip
        self.withheld = Gauge(
            "fairlead_withheld_addresses",
            "Addresses that would go, and that the guard keeps until somebody confirms",
            registry=self.registry,
        )
        self.registry.register(_Plan(census))


class _Plan(Collector):
    """The numbers of the newest plan."""

    def __init__(self, census: Census) -> None:
        self._census = census

    def collect(self) -> Iterator[Metric]:
        census = self._census
        about = "VIPs that changed: their address, or the engine that holds them"
        moves = CounterMetricFamily("fairlead_vip_moves", about, labels=["of"])
        moves.add_metric(["address"], census.moves)
        yield moves
        yield GaugeMetricFamily("fairlead_vips", "VIPs, internal ones aside", census.vips)
        yield GaugeMetricFamily(
            "fairlead_services_per_vip",
            "Share density: how many objects are behind a VIP, on average",
            census.members / census.vips if census.vips else 0.0,
        )
        yield self._verdicts()
        yield from self._pools()

    def _verdicts(self) -> Metric:
        found = GaugeMetricFamily(
            "fairlead_verdicts", "Objects by state and reason code", labels=["state", "reason"]
        )
        for standing, count in [*self._census.verdicts.items()]:
            if count:
                found.add_metric([standing.state, standing.reason], count)
        return found

    def _pools(self) -> Iterator[Metric]:
        labels = ["pool", "family"]
        sizes = GaugeMetricFamily(
            "fairlead_pool_size", "Addresses that a pool can hand out", labels=labels
        )
        used = GaugeMetricFamily(
            "fairlead_pool_assigned", "Addresses of a pool that are held", labels=labels
        )
        plan, assigned = self._census.plan, self._census.assigned
        for pool in plan.claims.pools if plan else ():
            for name, family in FAMILIES.items():
                if size := pool.size(family):
                    sizes.add_metric([pool.name, name], float(size))
                    used.add_metric([pool.name, name], assigned[PoolUse(pool.name, name)])
        yield sizes
        yield used
