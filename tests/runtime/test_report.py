"""The log: one line for each event, one key for each object."""

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from fairlead.runtime.health import DriverHealth
from fairlead.runtime.pipeline import Refused
from fairlead.runtime.report import LogReporter, Started, Stopped
from fairlead.runtime.verdicts import News
from fairlead.sources.files import Problem

from ..planner.make import claim, planned, ref, then


def logged(tell: Any) -> list[dict[str, Any]]:
    out = io.StringIO()
    processors: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.JSONRenderer(),
    ]
    tell(LogReporter(structlog.wrap_logger(structlog.WriteLogger(out), processors=processors)))
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_verdicts() -> None:
    news = News()
    one = planned(claim("a", share="x"), claim("b", share="x"))
    two = then(one, claim("b", share="x"))

    def tell(reporter: LogReporter) -> None:
        reporter.verdicts(one, news.about(one, None))
        reporter.verdicts(two, news.about(two, None))

    served, rejected, gone, healed = logged(tell)
    assert served == {
        "event": "Served",
        "level": "info",
        "object": "Service/default/a",
        "addresses": "192.0.2.10",
    }
    assert (rejected["event"], rejected["reason"]) == ("Rejected", "PortConflict")
    assert "default/a" in rejected["why"]
    assert gone == {"event": "gone", "level": "info", "object": "Service/default/a"}
    assert healed["object"] == "Service/default/b"
    assert healed["event"] == "Served"


def test_problems_are_told_once() -> None:
    broken = Problem("a.yaml", 3, "not YAML")

    def tell(reporter: LogReporter) -> None:
        reporter.read([broken], {"apps/v1 Deployment": 2})
        reporter.read([broken], {"apps/v1 Deployment": 2})
        reporter.read([], {})
        reporter.read([broken], {})

    assert [(line["event"], line.get("line")) for line in logged(tell)] == [
        ("unreadable", 3),
        ("not read", None),
        ("unreadable", 3),
    ]


def test_everything_else() -> None:
    refused = Refused((), (ref("a"),), "0123", "too many")

    def tell(reporter: LogReporter) -> None:
        reporter.started(Started("here", Path("/state"), ephemeral=True, remembered=2))
        reporter.refused(refused)
        reporter.refused(None)
        reporter.health(DriverHealth("nft", False, "broken", datetime.now(UTC)))
        reporter.health(DriverHealth("nft", True, "", datetime.now(UTC)))
        reporter.stopped(Stopped(kept=False, clean=True))

    lines = logged(tell)
    assert [line["level"] for line in lines] == [
        *("info", "error", "warning", "info", "error", "info", "info")
    ]
    assert lines[0]["ephemeral"] is True
    assert lines[1]["why"] == "too many"
    assert lines[2]["object"] == "Service/default/a"
    assert lines[4]["why"] == "broken"
