"""What the controller logs and counts of what it hears."""

import asyncio
import io
import json
from collections.abc import Callable
from typing import Any

from fairlead.model.addresses import parse_address
from fairlead.model.config import Config
from fairlead.model.ledger import Ledger
from fairlead.model.names import Ref
from fairlead.runtime.controller.arrivals import Arrivals
from fairlead.runtime.controller.census import Census
from fairlead.runtime.controller.intake import HOW, Lack, lacks
from fairlead.runtime.controller.metrics import ControllerMetrics
from fairlead.runtime.controller.readiness import RECENT, Reached
from fairlead.runtime.controller.telemetry import MANY, Telemetry
from fairlead.runtime.logs import make_log
from fairlead.runtime.pipeline import Pipeline, Refused
from fairlead.sources.kube import Health

from ..objects import added, pool, service


class Scene:
    """A telemetry that nobody else hears."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        self.metrics = ControllerMetrics(Census())
        self.telemetry = Telemetry(make_log(self.stream, "json"), self.metrics, Arrivals())

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)

    def until(self, done: Callable[[], bool], lacking: tuple[Lack, ...] = ()) -> None:
        """Let its loops turn until something is so."""

        async def turn() -> None:
            loops = [
                asyncio.create_task(self.telemetry.count()),
                asyncio.create_task(self.telemetry.watch(lambda: lacking)),
            ]
            async with asyncio.timeout(10):
                while not done():  # noqa: ASYNC110  (nothing sets an event)
                    await asyncio.sleep(0.01)
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)

        asyncio.run(turn())


def test_a_failure_is_counted_each_time_and_said_once() -> None:
    scene = Scene()
    for _ in range(1000):
        scene.telemetry.failed("write", "no answer in time")
    assert scene.value("fairlead_failures_total", what="write") == 1000
    (line,) = scene.lines
    assert (line["event"], line["level"], line["why"]) == ("fails", "warning", "no answer in time")


def test_what_works_again_is_said_only_after_a_failure() -> None:
    scene = Scene()
    scene.telemetry.failed("lease", "")
    assert scene.lines == []
    scene.telemetry.failed("lease", "no answer")
    scene.telemetry.failed("lease", "")
    scene.telemetry.failed("lease", "no answer")
    assert [line["event"] for line in scene.lines] == ["fails", "works", "fails"]


def test_verdicts_that_wait_are_logged_and_a_flood_is_cut_short() -> None:
    scene = Scene()
    many = 3 * MANY
    objects = [pool("192.0.2.1"), *(service(f"s{n:03}", port=n + 1) for n in range(many + 1))]
    plan = Pipeline(Config(), "here", Ledger()).feed(added(*objects)).plan
    scene.telemetry.decided(plan, 0.01)
    scene.until(lambda: len(scene.lines) > MANY)
    told = [line for line in scene.lines if line["event"] == "Pending"]
    assert len(told) == MANY
    assert told[0]["object"] == "Service/default/s001"
    assert told[0]["reason"] == "PoolExhausted"
    assert scene.lines[-1]["count"] == many - MANY
    assert scene.value("fairlead_verdicts", state="Pending", reason="PoolExhausted") == many
    scene.telemetry.leading(False)
    scene.until(lambda: scene.value("fairlead_vips") == 0)


def test_what_the_guard_holds_back_is_an_error_until_it_is_over() -> None:
    scene = Scene()
    ref = Ref("AddressPool", "", "lan")
    addresses = tuple(parse_address(f"192.0.2.{n}") for n in range(1, 12))
    scene.telemetry.withheld(Refused(addresses, (ref,), "t0k3n", "11 addresses would go."))
    assert scene.value("fairlead_withheld_addresses") == 11
    assert [line["level"] for line in scene.lines] == ["error", "warning"]
    assert scene.lines[1]["object"] == "AddressPool/lan"
    scene.telemetry.withheld(None)
    assert scene.value("fairlead_withheld_addresses") == 0


def test_what_cannot_be_read_is_said_once_for_all_kinds_with_the_same_reason() -> None:
    scene = Scene()
    lacking = (Lack("Node", "no answer", True), Lack("Service", "no answer", True))
    scene.until(lambda: bool(scene.lines), lacking)
    (line,) = scene.lines
    assert line["kinds"] == ["Node", "Service"]
    scene.until(lambda: len(scene.lines) > 1)
    assert scene.lines[1]["event"] == "reads again"


def test_what_lacks_and_what_has_to_be_waited_for() -> None:
    found = {
        lack.kind: lack
        for lack in lacks(
            (
                Health("Service", synced=True),
                Health("Node", synced=True, error="no answer"),
                Health("ConfigMap", error="forbidden", forbidden=True),
                Health("EndpointSlice", error="forbidden", forbidden=True),
                Health("AviInfraSetting", absent=True),
                Health("VirtualIP", absent=True),
                Health("BGPPeer", absent=True),
                Health("Namespace"),
            )
        )
    }
    assert {kind for kind, lack in found.items() if lack.needed} == {
        "ConfigMap",
        "VirtualIP",
        "Namespace",
    }
    assert set(found) == {
        *("Node", "ConfigMap", "EndpointSlice", "VirtualIP", "BGPPeer", "Namespace"),
    }
    assert HOW in found["VirtualIP"].why


def test_an_api_server_that_is_silent_is_not_reached() -> None:
    now = 100.0
    reached = Reached(lambda: now)
    assert not reached.check().ok
    reached.note(0)
    assert not reached.check().ok
    reached.note(503)
    assert reached.check().ok
    now += RECENT + 1
    reached.note(0)
    assert not reached.check().ok
