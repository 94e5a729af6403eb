"""How long a Service waited is measured by one clock, and costs no memory afterwards."""

from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from fairlead.model.kube import LoadBalancerIngress, LoadBalancerStatus, ServiceStatus
from fairlead.runtime.controller.arrivals import Arrivals

from ..objects import added, deleted, service

WEB = service("web")
SHOWN = replace(
    WEB, status=ServiceStatus(LoadBalancerStatus((LoadBalancerIngress(ip="192.0.2.1"),)))
)


def long_ago() -> str:
    """90 seconds ago, whenever that is asked."""
    return (datetime.now(UTC) - timedelta(seconds=90)).isoformat()


def test_what_comes_is_timed_from_its_arrival_whatever_its_creation_says() -> None:
    now = 100.0
    arrivals = Arrivals(lambda: now)
    arrivals.note(added(WEB), 99.0)
    arrivals.note(
        added(replace(WEB, spec=replace(WEB.spec, external_traffic_policy="Local"))), 99.9
    )
    assert arrivals.served(WEB.ref, long_ago()) == 1.0
    assert len(arrivals) == 0


def test_what_was_there_before_is_timed_from_its_creation() -> None:
    assert 89 < Arrivals().served(WEB.ref, long_ago()) < 120


def test_a_clock_that_is_behind_makes_no_negative_time() -> None:
    later = (datetime.now(UTC) + timedelta(seconds=60)).isoformat()
    assert Arrivals().served(WEB.ref, later) == 0.0
    assert Arrivals().served(WEB.ref, "") == 0.0


def test_what_another_replica_served_or_what_went_is_forgotten() -> None:
    arrivals = Arrivals()
    arrivals.note(added(WEB, service("gone"), service("inner", kind="ClusterIP")), 1.0)
    assert len(arrivals) == 2
    arrivals.note([*added(SHOWN), *deleted(service("gone"))], 2.0)
    assert len(arrivals) == 0
