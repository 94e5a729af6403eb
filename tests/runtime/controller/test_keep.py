"""What a controller leaves out of objects may change nothing that it decides or writes, and what it
has read is not kept a second time."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, cast
from weakref import ref as weak

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.dialects.translate import translate
from fairlead.model.config import Config
from fairlead.model.kube import EndpointSlice, KubeObject, Service
from fairlead.model.names import Ref
from fairlead.model.virtualip import VirtualIP
from fairlead.model.world import Change, World
from fairlead.runtime.controller.arrivals import Arrivals
from fairlead.runtime.controller.intake import Intake
from fairlead.runtime.controller.keep import Keep
from fairlead.runtime.controller.seen import seen_vip
from fairlead.sources.kube import Health, KubeBatch, KubeSource
from tests.dialects import test_published
from tests.dialects.make import decoded, service
from tests.dialects.published import endpoint, slices
from tests.dialects.test_incremental import CONFIGS, OBJECT, assert_same


def copied(item: KubeObject) -> KubeObject:
    """The same object, from its bytes: keeping it changes it in place."""
    return msgspec.json.decode(msgspec.json.encode(item), type=type(item))


def world(config: Config, items: list[KubeObject]) -> World:
    unique = {item.ref: Change(item.ref, item) for item in items}
    return World(config=config).evolve(unique.values())


@settings(max_examples=200, deadline=None)
@given(config=CONFIGS, items=st.lists(OBJECT, max_size=12))
def test_kept_objects_are_claimed_for_alike(config: Config, items: list[KubeObject]) -> None:
    keep = Keep()
    small = [keep(copied(item)) for item in items]
    assert [keep(copied(item)) for item in small] == small
    assert_same(translate(world(config, items)), translate(world(config, small)))


@settings(max_examples=100, deadline=None)
@given(item=test_published.OBJECT)
def test_a_virtual_ip_stays_what_it_is(item: KubeObject) -> None:
    small = Keep()(copied(item))
    if isinstance(item, VirtualIP):
        assert isinstance(small, VirtualIP)
        assert small == item
        assert seen_vip(small) == seen_vip(item)


def test_what_is_said_twice_is_one_value() -> None:
    keep = Keep()
    one, other = (keep(copied(slices(name, endpoint("10.0.0.1", "n")))) for name in ("a", "b"))
    assert isinstance(one, EndpointSlice)
    assert isinstance(other, EndpointSlice)
    assert one.ports is other.ports
    assert one.address_type is other.address_type
    assert one.service == "a"
    labelled = decoded(
        {
            "kind": "Service",
            "metadata": {"name": "web", "labels": {"app": "web"}},
            "spec": {"selector": {"app": "web"}, "clusterIP": "10.96.0.9"},
        }
    )
    kept = keep(labelled)
    assert isinstance(kept, Service)
    assert kept.spec.selector is kept.metadata.label_map
    assert kept.spec.cluster_ip is None


def test_a_selector_of_its_own_stays() -> None:
    kept = Keep()(copied(service("web", selector={"app": "web"})))
    assert isinstance(kept, Service)
    assert kept.spec.selector == {"app": "web"}


class Marked:
    """Stands for an object; unlike those it can be watched going."""


class Fed:
    """A source of two batches, which holds nothing back."""

    health: tuple[Health, ...] = ()

    def __init__(self, *marks: Marked) -> None:
        self._marks = [*marks]

    async def batches(self) -> AsyncGenerator[KubeBatch, None]:
        while self._marks:
            changes = (Change(Ref("Node", "", "n"), cast("Any", self._marks.pop())),)
            batch = KubeBatch(changes, frozenset(), True, frozenset(), 0.0)
            del changes
            yield batch
            del batch
        await asyncio.Event().wait()


@pytest.mark.parametrize("count", [1, 2])
def test_what_was_passed_on_is_not_kept(count: int) -> None:
    asyncio.run(pass_on(count))


async def pass_on(count: int) -> None:
    marks = [Marked() for _ in range(count)]
    gone = [weak(mark) for mark in marks]
    intake = Intake(cast("KubeSource", Fed(*marks)), Arrivals())
    marks.clear()
    batches = intake.batches()
    for _ in range(count):
        assert len((await anext(batches)).changes) == 1
    waiting = asyncio.ensure_future(anext(batches))
    await asyncio.sleep(0.01)
    assert [ref() for ref in gone] == [None] * count
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
