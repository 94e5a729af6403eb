"""Taking and letting go of 500 VIPs on a LAN, in a network namespace of the benchmark's own."""

import time
from ipaddress import IPv4Address, IPv6Address

from bench.figure import Figure, percentile
from fairlead.drivers.l2 import L2Driver
from fairlead.lab import Lab, cluster
from fairlead.model.addresses import IPAddress
from fairlead.model.desired import L2Changes

VIPS = 500
RUNS = 5


def run() -> list[Figure]:
    """Both families, without the probe, which only waits. Needs root."""
    v4: list[IPAddress] = [IPv4Address("192.0.2.0") + (n % 200) + 20 for n in range(200)]
    v6: list[IPAddress] = [IPv6Address("fd00:2::1:0") + n for n in range(VIPS)]
    with Lab(cluster(lan=["192.0.2.0/24", "fd00:2::/64"], pods=1)) as lab:
        return [
            *lab["engine-1"].call(_measure, "v4.200", v4),
            *lab["engine-1"].call(_measure, "v6.500", v6),
        ]


def _measure(name: str, addresses: list[IPAddress]) -> list[Figure]:
    driver = L2Driver()
    take, release = [], []
    some = frozenset(addresses)
    for _ in range(RUNS):
        take.append(_timed(driver, L2Changes(some, frozenset())))
        release.append(_timed(driver, L2Changes(frozenset(), some)))
    return [
        Figure(f"l2.take.{name}", percentile(take, 50), "ms"),
        Figure(f"l2.release.{name}", percentile(release, 50), "ms"),
    ]


def _timed(driver: L2Driver, changes: L2Changes) -> float:
    start = time.perf_counter()
    driver.apply(changes)
    return (time.perf_counter() - start) * 1000
