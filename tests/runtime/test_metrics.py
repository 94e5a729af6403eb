"""Every metric is documented, and what is documented exists; what is counted is what happened."""

import re
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from fairlead.runtime.controller.census import Census
from fairlead.runtime.controller.metrics import ControllerMetrics
from fairlead.runtime.health import Counters
from fairlead.runtime.metrics import AgentMetrics, DriverState, Metrics
from fairlead.sources.kube import Health

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
ROW = re.compile(r"^\| `([a-z_]+)` \| (\w+) \|[^|]*\| (\w+) \| ")
SUFFIX = {"counter": "_total", "info": "_info"}


def _documented(*roles: str) -> dict[str, str]:
    """Name -> type, of the metrics that the page says these roles have."""
    rows = filter(None, map(ROW.match, PAGE.read_text().splitlines()))
    return {row[1]: row[2] for row in rows if row[3] in roles}


def _registered(registry: CollectorRegistry) -> dict[str, str]:
    return {f"{m.name}{SUFFIX.get(m.type, '')}": m.type for m in registry.collect()}


@pytest.mark.parametrize(
    ("metrics", "role"),
    [(ControllerMetrics(Census()), "controller"), (AgentMetrics(), "agent")],
    ids=["controller", "agent"],
)
def test_the_page_has_every_metric_and_no_other(metrics: Metrics, role: str) -> None:
    assert _registered(metrics.registry) == _documented(role, "both")


def test_the_page_has_rows() -> None:
    """Else the test before would prove nothing."""
    assert len(_documented("controller", "agent", "both")) > 20


def _text(metrics: Metrics) -> str:
    return generate_latest(metrics.registry).decode()


def test_requests_are_counted_by_what_rbac_calls_them() -> None:
    metrics = ControllerMetrics(Census())
    for status in (200, 200, 409):
        metrics.requested("patch", "services/status", status, 0.004)
    text = _text(metrics)
    series = 'fairlead_api_requests_total{resource="services/status",status="%s",verb="patch"} %s'
    assert series % (200, "2.0") in text
    assert series % (409, "1.0") in text
    assert 'fairlead_api_request_seconds_bucket{le="0.005",verb="patch"} 3.0' in text


def test_a_kind_is_up_only_while_it_is_read() -> None:
    metrics = AgentMetrics()
    metrics.watched = lambda: (
        Health("Service", synced=True, objects=3),
        Health("Node", synced=True, error="no answer", objects=2),
        Health("VirtualIP", absent=True),
    )
    text = _text(metrics)
    assert 'fairlead_watch_up{kind="Service"} 1.0' in text
    assert 'fairlead_watch_up{kind="Node"} 0.0' in text
    assert 'fairlead_watch_objects{kind="Node"} 2.0' in text
    assert 'fairlead_watch_up{kind="VirtualIP"} 0.0' in text


def test_drivers_are_asked_when_somebody_reads() -> None:
    metrics = AgentMetrics()
    counters = Counters(rounds=4, repairs=1)
    metrics.drivers = lambda: [DriverState("nft", False, counters)]
    metrics.announced = lambda: (3, 4)
    text = _text(metrics)
    assert 'fairlead_driver_up{driver="nft"} 0.0' in text
    assert 'fairlead_driver_rounds_total{driver="nft"} 4.0' in text
    assert 'fairlead_addresses{state="in_place"} 3.0' in text
    counters.rounds = 5
    assert 'fairlead_driver_rounds_total{driver="nft"} 5.0' in _text(metrics)
