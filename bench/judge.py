"""The figures of some crashes, beside their goals."""

from collections.abc import Iterator, Sequence

from bench.failover_site import Crash
from bench.figure import Figure, percentile


def of_crashes(
    name: str, found: Sequence[Crash], *, median: float, worst: float | None = None
) -> Iterator[Figure]:
    """The figures of some crashes, beside their goals in ms."""
    outages = [ms for one in found for ms in one.outages]
    yield Figure(f"{name}.median", percentile(outages, 50), "ms", median)
    yield Figure(f"{name}.worst", max(outages), "ms", worst)
    yield Figure(f"{name}.first_arp", max(one.first_claim for one in found), "ms", 20)
    yield Figure(f"{name}.doubles", max(one.doubles for one in found), "ms", 1)
    yield Figure(f"{name}.moved_needlessly", max(one.moved for one in found), "VIPs", 1)
    yield Figure(f"{name}.prober_lag", max(one.lag for one in found), "ms")
    yield Figure(f"{name}.repetitions", len(found), "crashes")
