"""The numbers that are kept up from plan to plan are those of a full count."""

import random

import pytest

from fairlead.model.config import Config
from fairlead.model.kube import KubeObject
from fairlead.model.ledger import Ledger
from fairlead.model.names import Ref
from fairlead.model.verdict import State
from fairlead.model.world import Change
from fairlead.planner import every_verdict
from fairlead.runtime.controller.census import NOTHING, Census, PoolUse, Standing
from fairlead.runtime.pipeline import Pipeline
from fairlead.runtime.verdicts import VerdictChange

from ..objects import added, backends, deleted, pool, service

LEFT = ("vips", "members", "assigned", "verdicts")


def _count(census: Census) -> list[VerdictChange]:
    task = census.take()
    return census.count(task) if task is not None else []


def _numbers(census: Census) -> dict[str, object]:
    return {
        "vips": census.vips,
        "members": census.members,
        "assigned": +census.assigned,
        "verdicts": +census.verdicts,
    }


class Scene:
    """A pipeline with a census behind it."""

    def __init__(self) -> None:
        self.pipeline = Pipeline(Config(), "here", Ledger())
        self.census = Census()

    def feed(self, *changes: Change) -> None:
        self.plan = self.pipeline.feed(changes, frozenset(c.ref for c in changes)).plan
        self.census.offer(self.plan)

    def add(self, *objects: KubeObject) -> None:
        self.feed(*added(*objects))


def test_what_is_served_waits_and_goes_is_counted() -> None:
    scene = Scene()
    scene.add(pool("192.0.2.1-192.0.2.2"), *(service(name) for name in "abc"))
    (waits,) = _count(scene.census)
    assert (waits.ref, waits.after and waits.after.state) == (
        Ref("Service", "default", "c"),
        State.PENDING,
    )
    assert (scene.census.vips, scene.census.members) == (2, 2)
    assert scene.census.assigned[PoolUse("pool", "IPv4")] == 2
    assert scene.census.verdicts[Standing("Pending", "PoolExhausted")] == 1
    scene.feed(*deleted(service("a")))
    (healed,) = _count(scene.census)
    assert (healed.ref.name, healed.after and healed.after.state) == ("c", State.SERVED)
    assert scene.census.verdicts[Standing("Pending", "PoolExhausted")] == 0
    assert scene.census.vips == 2


def test_what_is_only_served_is_no_news() -> None:
    scene = Scene()
    scene.add(pool(), service("a"))
    assert _count(scene.census) == []
    scene.add(backends("a", "10.0.0.1"))
    assert _count(scene.census) == []
    assert scene.census.verdicts[Standing("Served", "")] == 1


def test_another_address_is_a_move() -> None:
    scene = Scene()
    scene.add(pool("192.0.2.1-192.0.2.2"), service("a"), service("b"))
    _count(scene.census)
    scene.add(pool("192.0.2.2-192.0.2.9"))
    _count(scene.census)
    assert scene.census.moves == 1


def test_without_a_plan_there_is_nothing() -> None:
    scene = Scene()
    scene.add(pool(), service("a"))
    _count(scene.census)
    scene.census.offer(NOTHING)
    assert _count(scene.census) == []
    assert not any(_numbers(scene.census).values())
    scene.census.offer(scene.plan)
    _count(scene.census)
    assert scene.census.vips == 1


@pytest.mark.parametrize("seed", range(8))
def test_any_course_of_changes_comes_to_a_full_count(seed: int) -> None:
    dice = random.Random(seed)
    scene = Scene()
    names = [f"s{n}" for n in range(12)]
    for _ in range(40):
        name = dice.choice(names)
        match dice.randrange(5):
            case 0:
                scene.feed(*deleted(service(name)))
            case 1:
                scene.add(service(name, kind=dice.choice(["LoadBalancer", "ClusterIP"])))
            case 2:
                scene.add(backends(name, "10.0.0.1"))
            case 3:
                scene.add(pool(f"192.0.2.{dice.randrange(1, 9)}-192.0.2.12"))
            case 4:
                scene.add(service(name, port=dice.randrange(80, 83)))
        if dice.random() < 0.6:  # plans may come faster than they are counted
            _count(scene.census)
    _count(scene.census)
    fresh = Census()
    fresh.offer(scene.plan)
    _count(fresh)
    assert _numbers(scene.census) == _numbers(fresh)
    states = {said.ref for said in every_verdict(scene.plan)}
    assert sum(scene.census.verdicts.values()) == len(states)
