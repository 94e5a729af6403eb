"""The queue of writes, the delays of what fails, and who is awaited: without an API server."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fairlead.model.names import Ref
from fairlead.runtime.controller.patience import ROOM, Patience
from fairlead.runtime.controller.returns import Returns
from fairlead.runtime.controller.work import HURRY, Work


class Clock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def run(scenario: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await scenario

    asyncio.run(bounded())


async def taken(work: Work) -> list[object]:
    """Everything that is ready, each done at once."""
    found: list[object] = []
    with suppress(TimeoutError):
        while True:
            async with asyncio.timeout(0.01):
                key = await work.next()
            found.append(key)
            work.done(key)
    return found


def test_a_thousand_changes_of_one_thing_are_one_entry() -> None:
    async def scenario() -> None:
        work = Work()
        for _ in range(1000):
            work.add(["a", "b"])
        assert len(work) == 2
        assert await taken(work) == ["a", "b"]
        assert len(work) == 0

    run(scenario())


def test_what_comes_while_it_is_being_done_is_done_once_more() -> None:
    async def scenario() -> None:
        work = Work()
        work.add(["a"])
        assert await work.next() == "a"
        work.add(["a"])
        work.add(["a"])
        assert await taken(work) == []  # nobody else gets it meanwhile
        assert "a" in work
        work.done("a")
        assert await taken(work) == ["a"]
        assert "a" not in work

    run(scenario())


def test_what_is_put_off_has_one_time_and_comes_in_a_hurry_when_it_changes() -> None:
    async def scenario() -> None:
        clock = Clock()
        work = Work(clock)
        for _ in range(100):
            work.add_later("a", 30.0)
        assert len(work) == 1
        assert "a" in work
        assert await taken(work) == []
        work.add(["a"])  # a change: not at once, or a storm of changes would be one of writes
        assert await taken(work) == []
        clock.now += HURRY
        assert await taken(work) == ["a"]
        clock.now += 60.0
        assert await taken(work) == []  # the time it had before is void
        assert len(work) == 0

    run(scenario())


def test_who_waits_is_woken_by_an_entry_and_by_time() -> None:
    async def scenario() -> None:
        work = Work()
        waiting = asyncio.create_task(work.next())
        await asyncio.sleep(0)
        work.add_later("late", 0.05)
        work.add(["soon"])
        assert await waiting == "soon"
        assert await work.next() == "late"

    run(scenario())


def test_clearing_forgets_all_but_what_is_being_done() -> None:
    async def scenario() -> None:
        work = Work()
        work.add(["busy", "waiting"])
        assert await work.next() == "busy"
        work.add(["busy"])
        work.add_later("late", 0.0)
        work.clear()
        assert len(work) == 1
        work.done("busy")
        assert await taken(work) == []
        work.add(["busy"])
        assert await taken(work) == ["busy"]

    run(scenario())


Step = st.tuples(st.sampled_from(["add", "later", "take", "done", "pass"]), st.integers(0, 3))


@given(steps=st.lists(Step, max_size=60))
def test_whatever_happens_nothing_is_lost_or_done_by_two(steps: list[tuple[str, int]]) -> None:
    """After every ``add`` its key is handed out once more, and never to two at a time."""

    async def scenario() -> None:
        clock = Clock()
        work = Work(clock)
        owed: set[int] = set()
        busy: set[int] = set()
        for what, key in steps:
            match what:
                case "add":
                    work.add([key])
                    owed.add(key)
                case "later":
                    work.add_later(key, float(key))
                    owed.add(key)
                case "done" if key in busy:
                    busy.discard(key)
                    work.done(key)
                case "pass":
                    clock.now += 0.7
                case "take":
                    with suppress(TimeoutError):
                        async with asyncio.timeout(0):
                            got = await work.next()
                        assert isinstance(got, int)
                        assert got not in busy
                        busy.add(got)
                        owed.discard(got)
        for key in busy:
            work.done(key)
        clock.now += 100.0
        assert {*await taken(work)} == owed
        assert len(work) == 0

    run(scenario())


def test_patience_grows_up_to_a_limit_and_starts_over() -> None:
    clock = Clock()
    patience = Patience(first=1.0, longest=10.0, free=2, calm=60.0, clock=clock)
    assert [patience.next("a") for _ in range(8)] == [0, 0, 1, 2, 4, 8, 10, 10]
    assert patience.next("b") == 0  # everybody for himself
    assert patience.next("a", longest=3.0) == 3.0
    patience.forget("a")
    assert patience.next("a") == 0
    assert [patience.next("b") for _ in range(3)] == [0, 1, 2]
    clock.now += 63.9
    assert patience.next("b") == 4
    clock.now += 68.1  # twice its delay, and a calm minute
    assert patience.next("b") == 0


def test_patience_forgets_those_who_are_calm() -> None:
    clock = Clock()
    patience = Patience(first=1.0, longest=10.0, clock=clock)
    for number in range(10 * ROOM):
        patience.next(number)
        clock.now += 1.0
    assert len(patience) <= ROOM + 1


WEB = Ref("Service", "default", "web")


def test_who_does_not_return_in_time_is_given_up() -> None:
    async def scenario() -> None:
        returns = Returns(0.05)
        given_up: list[Ref] = []
        over = asyncio.Event()

        async def give_up(ref: Ref, since: str) -> None:
            assert returns.given_up(ref, since)
            given_up.append(ref)
            over.set()

        task = asyncio.create_task(returns.run(give_up))
        back = Ref("Service", "default", "back")
        returns.gone(WEB)
        returns.gone(back)
        assert set(returns.since) == {WEB, back}
        returns.back(back)
        await over.wait()
        await asyncio.sleep(0.1)
        assert given_up == [WEB]
        assert not returns.since
        task.cancel()

    run(scenario())


def test_the_time_of_a_return_goes_on_after_a_restart() -> None:
    async def scenario() -> None:
        returns = Returns(3600.0)
        other = Ref("Service", "default", "other")
        present = Ref("Service", "default", "present")
        known = {WEB: "2001-01-01T00:00:00Z", other: "2999-01-01T00:00:00Z", present: "nonsense"}
        returns.restart(known, [present])
        assert dict(returns.since) == {WEB: known[WEB], other: known[other]}
        over: list[Ref] = []

        async def give_up(ref: Ref, since: str) -> None:
            over.append(ref)

        task = asyncio.create_task(returns.run(give_up))
        await asyncio.sleep(0.05)
        # one that is said to have gone in the future waits as long as anybody, not for ages
        assert over == [WEB]
        assert returns._ends[0][0] <= asyncio.get_running_loop().time() + 3600.0
        returns.restart({}, [])
        assert not returns.since
        task.cancel()

    run(scenario())
