"""The loop: order between the lanes, repair, failure, healing, stopping."""

import asyncio
import threading
from ipaddress import ip_address

import pytest

from fairlead.drivers.base import DriverError
from fairlead.model.desired import L2Desired, L4Changes, L4Desired
from fairlead.planner import plan
from fairlead.runtime.backoff import Backoff
from fairlead.runtime.lanes import L4Lane, Target
from fairlead.runtime.reconcile import Reconciler, Surroundings, undisturbed

from ..planner.make import claim, planned, pool, then, world
from .engine import HOST, Engine, Nft, running, until

A, B = ip_address("192.0.2.10"), ip_address("192.0.2.11")
ONE = planned(claim("a"))
TWO = then(ONE, claim("a"), claim("b"))


def test_listeners_come_before_the_address_and_go_after_it() -> None:
    async def scenario() -> list[str]:
        engine = Engine()
        async with running(engine):
            engine.offer(Target(TWO))
            await until(lambda: engine.settled)
            engine.offer(Target(then(TWO, claim("b"))))
            await until(lambda: engine.settled)
        assert engine.nft.observe().vips == {B}
        assert engine.lan.observe().owned == {B}
        return engine.log

    assert asyncio.run(scenario()) == [
        *("l4 +192.0.2.10", "l4 +192.0.2.11"),
        *("l2 +192.0.2.10", "l2 +192.0.2.11"),
        *("l2 -192.0.2.10", "l4 -192.0.2.10"),
    ]


def test_no_address_is_announced_while_its_listeners_cannot_be_made() -> None:
    async def scenario() -> None:
        engine = Engine()
        async with running(engine):
            engine.offer(Target(ONE))
            await until(lambda: engine.settled)
            engine.nft.broken = "nft: permission denied"
            engine.offer(Target(TWO))
            await until(lambda: engine.l4.counters.failures > 2)
            assert engine.lan.observe().owned == {A}
            assert not engine.settled
            engine.offer(Target(then(TWO, claim("b"))))
            await until(lambda: engine.lan.observe().owned == frozenset())
            engine.nft.broken = ""
            await until(lambda: engine.settled)
        assert engine.nft.observe().vips == engine.lan.observe().owned == {B}

    asyncio.run(scenario())


def test_no_listener_goes_while_its_address_cannot_be_let_go() -> None:
    async def scenario() -> None:
        engine = Engine()
        async with running(engine):
            engine.offer(Target(TWO))
            await until(lambda: engine.settled)
            engine.lan.broken = "netlink: no answer"
            engine.offer(Target(then(TWO, claim("b", "443/TCP"))))
            await until(lambda: engine.l2.counters.failures > 2)
            seen = engine.nft.observe()
            assert seen.vips == {A, B}
            assert {(k.address, k.port) for k in seen.listeners} == {(A, 80), (B, 443)}
            engine.lan.broken = ""
            await until(lambda: engine.settled)
        assert engine.nft.observe().vips == {B}

    asyncio.run(scenario())


def test_a_failure_is_that_drivers_alone_and_is_told_with_its_beginning_and_end() -> None:
    async def scenario() -> None:
        engine = Engine()
        async with running(engine):
            engine.offer(Target(ONE))
            await until(lambda: engine.settled)
            engine.lan.broken = "netlink: no answer"
            engine.offer(Target(TWO))
            await until(lambda: engine.l2.counters.failures > 3)
            assert engine.l4.health is not None
            assert engine.l4.health.ok
            assert engine.nft.observe().vips == {A, B}
            engine.lan.broken = ""
            await until(lambda: engine.settled)
        told = [(h.ok, h.error) for h in engine.said if h.name == "l2"]
        assert told == [(True, ""), (False, "netlink: no answer"), (True, "")]
        assert engine.l2.error is None

    asyncio.run(scenario())


def test_what_somebody_deletes_is_put_back() -> None:
    async def scenario() -> None:
        engine = Engine(every=0.01)
        async with running(engine):
            engine.offer(Target(TWO))
            await until(lambda: engine.settled)
            engine.nft.break_table()
            engine.lan.lose(A)
            await until(lambda: engine.nft.observe().vips == {A, B})
            await until(lambda: engine.lan.observe().owned == {A, B})
        assert engine.l4.counters.repairs == 1
        assert engine.l2.counters.repairs == 1
        assert engine.lan.probed == ["192.0.2.10", "192.0.2.11"]  # ours again: not probed again

    asyncio.run(scenario())


def test_a_cheap_look_brings_a_full_round_at_once() -> None:
    async def scenario() -> None:
        log: list[str] = []
        nft, looks = Nft(log), [False, False, True]
        loop: Reconciler[L4Desired, L4Changes] = Reconciler(
            L4Lane(HOST),
            nft,
            Surroundings(
                other=lambda: frozenset(),
                progress=lambda: None,
                health=lambda _: None,
                disturbed=lambda: bool(looks and looks.pop(0)),
            ),
            every=60.0,
            look_every=0.01,
        )
        running_loop = asyncio.create_task(loop.run())
        loop.offer(Target(ONE))
        await until(lambda: loop.settled)
        nft.break_table()
        await until(lambda: nft.observe().vips == {A})
        assert loop.counters.rounds == 2
        loop.stop()
        await running_loop

    asyncio.run(scenario())


def test_only_the_newest_of_many_plans_is_made_and_nothing_between_is_lost() -> None:
    """The plans say only what each changed; the loop must add that up."""

    async def scenario() -> None:
        engine = Engine()
        pools = [pool("big", "192.0.2.0/24")]
        step = planned(claim("s0"), pools=pools)
        steps = [step]
        for number in range(1, 40):
            ref = claim(f"s{number}").ref
            names = [f"s{n}" for n in range(number + 1)]
            claims = world(
                *map(claim, names),
                pools=pools,
                revision=number,
                base=number - 1,
                touched=frozenset([ref]),
            )
            step = plan(claims, step.ledger, step)
            assert step.changed is not None
            assert len(step.changed) == 1
            steps.append(step)
        async with running(engine):
            engine.offer(Target(steps[0]))
            await until(lambda: engine.settled)
            for step in steps[1:]:
                engine.offer(Target(step))
            await until(lambda: engine.settled)
        assert engine.l4.counters.rounds == 1
        assert len(engine.nft.applied) < 10
        assert engine.nft.observe().vips == engine.lan.observe().owned
        assert len(engine.lan.observe().owned) == 40

    asyncio.run(scenario())


def test_what_a_loop_finds_at_its_start_is_taken_over_without_a_gap() -> None:
    async def scenario() -> None:
        first = Engine()
        async with running(first):
            first.offer(Target(TWO))
            await until(lambda: first.settled)
        second = Engine()
        second.nft._known = first.nft._known
        second.lan.host = second.lan._host = first.lan.host
        async with running(second):
            second.offer(Target(then(TWO, claim("b"))))
            await until(lambda: second.settled)
        assert second.log == ["l2 -192.0.2.10", "l4 -192.0.2.10"]

    asyncio.run(scenario())


def test_spared_addresses_stay_and_nothing_is_pruned_until_they_are_not_spared() -> None:
    async def scenario() -> None:
        engine = Engine(every=0.01)
        async with running(engine):
            engine.offer(Target(TWO))
            await until(lambda: engine.settled)
            pruned = engine.nft.pruned
            without = then(TWO, claim("b"))
            engine.offer(Target(without, frozenset([A])))
            await until(lambda: engine.l4.counters.rounds > 5)
            assert engine.nft.observe().vips == engine.lan.observe().owned == {A, B}
            assert {k.address for k in engine.nft.observe().listeners} == {A, B}
            assert engine.nft.pruned <= pruned + 1
            engine.offer(Target(without))
            await until(lambda: engine.settled and engine.nft.observe().vips == {B})
        assert engine.lan.observe().owned == {B}

    asyncio.run(scenario())


def test_addresses_that_are_no_longer_spared_go_even_if_that_comes_in_the_first_round() -> None:
    async def scenario() -> None:
        first, second = Engine(), Engine(every=60.0)
        async with running(first):
            first.offer(Target(TWO))
            await until(lambda: first.settled)
        second.nft._known = first.nft._known
        second.lan.host = second.lan._host = first.lan.host
        looking, go_on, look = threading.Event(), threading.Event(), second.lan.observe

        def observe() -> L2Desired:
            looking.set()
            assert go_on.wait(10)
            return look()

        second.lan.observe = observe  # type: ignore[method-assign]
        without = then(TWO, claim("b"))
        async with running(second):
            second.offer(Target(without, frozenset([A])))
            await until(looking.is_set)
            second.offer(Target(without))
            go_on.set()
            await until(lambda: second.settled)
            assert second.lan.observe().owned == second.nft.observe().vips == {B}

    asyncio.run(scenario())


def test_an_address_that_somebody_else_uses_is_probed_until_it_is_free() -> None:
    async def scenario() -> None:
        engine = Engine(every=0.01)
        engine.lan.hold(A)
        async with running(engine):
            engine.offer(Target(TWO))
            await until(lambda: engine.lan.observe().owned == {B})
            await until(lambda: engine.l2.counters.rounds > 3)
            assert engine.lan.observe().owned == {B}
            assert engine.l2.missing(TWO) == {A}
            engine.lan.leave(A)
            await until(lambda: engine.lan.observe().owned == {A, B})
        assert engine.l2.health is not None
        assert engine.l2.health.ok

    asyncio.run(scenario())


def test_a_partial_failure_does_what_it_can_and_heals() -> None:
    async def scenario() -> None:
        engine = Engine(every=0.01)
        engine.lan.own("eth0", "192.0.2.10/24")  # the host's own: the driver refuses to take it
        async with running(engine):
            engine.offer(Target(TWO))
            await until(lambda: engine.lan.observe().owned == {B})
            await until(lambda: engine.l2.error is not None)
            engine.lan.host.rows = [
                row for row in engine.lan.host.rows if row.ours or row.address != A
            ]
            await until(lambda: engine.lan.observe().owned == {A, B})

    asyncio.run(scenario())


def test_a_dry_run_tells_and_touches_nothing() -> None:
    async def scenario() -> None:
        intended: list[L4Changes] = []
        nft = Nft([])
        loop: Reconciler[L4Desired, L4Changes] = Reconciler(
            L4Lane(HOST),
            nft,
            Surroundings(
                other=lambda: frozenset(),
                progress=lambda: None,
                health=lambda _: None,
                intend=intended.append,
            ),
        )
        task = asyncio.create_task(loop.run())
        loop.offer(Target(ONE))
        await until(lambda: loop.settled)
        loop.stop()
        await task
        assert [changes.vips_added for changes in intended] == [{A}]
        assert not nft.observe().vips
        assert not nft.applied
        assert nft.pruned == 0

    asyncio.run(scenario())


def test_a_cancelled_call_is_waited_for() -> None:
    async def scenario() -> None:
        entered, leave, left = threading.Event(), threading.Event(), threading.Event()

        def call() -> None:
            entered.set()
            leave.wait()
            left.set()

        task = asyncio.create_task(undisturbed(call))
        await until(entered.is_set)
        task.cancel()
        await asyncio.sleep(0.02)
        assert not task.done()
        leave.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert left.is_set()

    asyncio.run(scenario())


def test_a_failed_withdrawal_is_told() -> None:
    class Stuck(Nft):
        def withdraw(self) -> None:
            raise DriverError("busy")

    async def scenario() -> None:
        said: list[str] = []
        loop: Reconciler[L4Desired, L4Changes] = Reconciler(
            L4Lane(HOST),
            Stuck([]),
            Surroundings(
                other=lambda: None,
                progress=lambda: None,
                health=lambda health: said.append(health.error),
            ),
        )
        assert not await loop.withdraw()
        assert said == ["cannot withdraw: busy"]

    asyncio.run(scenario())


def test_delays_double_up_to_a_limit_with_jitter_and_start_over() -> None:
    still = Backoff(first=1.0, longest=5.0, jitter=lambda: 1.0 - 1e-12)
    assert [round(still.next(), 6) for _ in range(5)] == [1.0, 2.0, 4.0, 5.0, 5.0]
    still.reset()
    assert round(still.next(), 6) == 1.0
    least = Backoff(first=1.0, longest=5.0, jitter=lambda: 0.0)
    assert [least.next() for _ in range(3)] == [0.5, 1.0, 2.0]


def test_an_address_that_is_handed_over_is_taken_soon() -> None:
    async def scenario() -> None:
        engine = Engine(every=60.0)
        engine.lan.hold(A)
        async with running(engine):
            engine.offer(Target(ONE))
            await until(lambda: bool(engine.lan.conflicts()))
            assert engine.lan.observe().owned == frozenset()
            engine.lan.leave(A)
            await until(lambda: engine.lan.observe().owned == {A})

    asyncio.run(scenario())
