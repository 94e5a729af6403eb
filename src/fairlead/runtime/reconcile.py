"""The one loop that drives a data plane.

Plans arrive faster than a data plane takes them, so only the newest counts; after the first round,
which compares with what is really there, each costs what it changes. Retry, backoff, full rounds
and health are here, and nowhere in the drivers::

    offer ─┐           ┌─ delta since the last plan ─┐
    nudge ─┼─> step ───┤                             ├─> split ─> apply ─> progress
    time  ─┘           └─ observe, diff, prune ──────┘     └─ the rest waits for a nudge

Drivers block, so they run in threads; one call at a time, also when the loop is cancelled.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from math import inf
from time import monotonic
from typing import Any, Generic, NamedTuple, ParamSpec, Protocol, TypeVar

from msgspec.structs import replace

from fairlead.drivers.base import Driver, DriverError
from fairlead.model.addresses import IPAddress
from fairlead.model.names import GroupKey
from fairlead.model.plan import Plan
from fairlead.runtime.backoff import Backoff
from fairlead.runtime.health import Counters, DriverHealth
from fairlead.runtime.lanes import Addresses, Changes, Desired, Lane, Target

Args = ParamSpec("Args")
Result = TypeVar("Result")
SOON = (0.5, 1.0, 2.0)
"""Seconds after which an address that is contested anew is looked at again: another engine that
hands it over lets go within that time."""
ROUND_SHARE = 20
"""Looking for a full round may take one part in so many of the time, unless said otherwise."""


async def undisturbed(
    function: Callable[Args, Result], *args: Args.args, **kwargs: Args.kwargs
) -> Result:
    """Run a blocking function in a thread. When cancelled, wait for its end before giving in, so
    that what comes next (a withdrawal) never runs beside it."""
    running = asyncio.ensure_future(asyncio.to_thread(function, *args, **kwargs))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise


class News(Protocol):
    """Something that tells of changes in what a driver works with, such as interfaces."""

    def fileno(self) -> int:
        """Readable when there may be news."""
        ...

    def changed(self) -> bool:
        """Whether there are; never waits."""
        ...

    def close(self) -> None:
        """Hear no more."""
        ...


class Surroundings(NamedTuple, Generic[Changes]):
    """What a loop tells, and asks, those around it.

    ``other``: the addresses that the other lane has in place, None when that is not known.
    ``progress``: this lane's addresses changed. ``disturbed``: a cheap look whether somebody
    meddled with the data plane. ``intend``: in a dry run, gets the changes instead of the driver.
    ``news``: opens what tells when to look again at once. ``untold``: whether a driver found what
    moves nothing and is to be told; asked after each full round.
    """

    other: Callable[[], Addresses | None]
    progress: Callable[[], None]
    health: Callable[[DriverHealth], None]
    disturbed: Callable[[], bool] | None = None
    intend: Callable[[Changes], None] | None = None
    news: Callable[[], "News"] | None = None
    untold: Callable[[], bool] = lambda: False


class Reconciler(Generic[Desired, Changes]):
    """One driver and the loop around it.

    ``every``: seconds between full rounds; when a round is slow, they come less often, so that
    looking takes one part in ``share`` of the time at most.
    ``look_every``: seconds between cheap looks, for a driver that can tell whether somebody
    meddled.
    """

    def __init__(
        self,
        lane: Lane[Desired, Changes],
        driver: Driver[Desired, Changes],
        around: Surroundings[Changes],
        *,
        every: float = 5.0,
        share: int = ROUND_SHARE,
        look_every: float = 1.0,
        backoff: Backoff | None = None,
    ) -> None:
        self.name = driver.name
        self.health: DriverHealth | None = None
        self.error: DriverError | None = None
        self.counters = Counters()
        self.in_place: set[IPAddress] | None = None
        self._lane, self._driver, self._around = lane, driver, around
        self._every, self._share, self._look_every = every, share, look_every
        self._backoff = backoff or Backoff()
        self._wake = asyncio.Event()
        self._stopping = False
        self._target: Target | None = None
        self._made: Target | None = None
        self._changed: frozenset[GroupKey] | None = frozenset()
        self._later: Changes | None = None
        self._compiled: tuple[Plan, Desired] | None = None
        self._full_at = 0.0
        self._look_at = 0.0 if around.disturbed is not None else inf
        self._retry_at = 0.0
        self._busy = False
        self._contested: Addresses = frozenset()
        self._soon: Iterator[float] = iter(())

    def offer(self, target: Target) -> None:
        """Make this true from now on."""
        changed = target.plan.changed
        known = self._changed is not None and changed is not None
        self._changed = (self._changed or frozenset()) | (changed or frozenset()) if known else None
        self._target = target
        self._wake.set()

    def nudge(self) -> None:
        """The other lane got on: what waits for it may go."""
        self._wake.set()

    def stop(self) -> None:
        """End :meth:`run` after the step it is in."""
        self._stopping = True
        self._wake.set()

    @property
    def settled(self) -> bool:
        """Whether everything that was offered is in place."""
        ok = self.health is not None and self.health.ok
        made = self._made is self._target and self._later is None
        return ok and made and not self._busy

    def missing(self, plan: Plan) -> frozenset[IPAddress]:
        """The addresses of a plan that are not in place."""
        return self._lane.addresses(self._desired(plan)) - (self.in_place or set())

    async def run(self) -> None:
        """Until :meth:`stop`."""
        with self._hearing():
            while not self._stopping:
                await self._pause()
                if self._target is not None and not self._stopping:
                    self._busy = True
                    await self._step(self._target)
                    self._busy = False

    async def withdraw(self) -> bool:
        """Remove everything of the driver's own; after :meth:`run`. Returns whether that worked."""
        try:
            await undisturbed(self._driver.withdraw)
        except DriverError as error:
            self._tell(ok=False, error=f"cannot withdraw: {error}")
            return False
        self.in_place = set()
        return True

    @contextmanager
    def _hearing(self) -> Iterator[None]:
        """Look again at once when there is news."""
        if self._around.news is None:
            yield
            return
        news, loop = self._around.news(), asyncio.get_running_loop()

        def heard() -> None:
            if news.changed():
                self._full_at = self._retry_at = 0.0
                self._wake.set()

        loop.add_reader(news.fileno(), heard)
        try:
            yield
        finally:
            loop.remove_reader(news.fileno())
            news.close()

    async def _pause(self) -> None:
        """Until there is something to do. A failure is not retried before its time, whatever
        comes."""
        while not self._stopping:
            failed = self._retry_at > monotonic()
            due = self._retry_at if failed else min(self._full_at, self._look_at)
            awake = await self._sleep(None if self._target is None else due)
            if not (awake and failed):
                return

    async def _sleep(self, until: float | None) -> bool:
        """Returns whether somebody woke it; False: the time has come."""
        left = None if until is None else max(0.0, until - monotonic())
        try:
            async with asyncio.timeout(left):
                await self._wake.wait()
        except TimeoutError:
            return False
        self._wake.clear()
        return True

    async def _step(self, target: Target) -> None:
        started = monotonic()
        changed, self._changed = (
            self._changed,
            frozenset(),
        )  # after a failure all is looked at anyway
        try:
            made = self._made
            # no delta between plans names the addresses that are spared, or no longer
            known = made is not None and made.spared == target.spared and started < self._full_at
            if made is None or not known or await self._disturbed(started):
                await self._round(target)
            else:
                await self._follow(made.plan, target, changed)
        except DriverError as error:
            self._failed(error)
        else:
            self._backoff.reset()
            self.error = None
            self._tell(ok=True)
            self._look_again_soon()
        self.counters.seconds = monotonic() - started

    def _look_again_soon(self) -> None:
        """For addresses that are contested anew, the next full round comes earlier."""
        contested = self._lane.contested()
        if contested - self._contested:
            self._soon = iter(SOON)
        self._contested = contested
        wait = next(self._soon, None) if contested else None
        if wait is not None:
            self._full_at = min(self._full_at, monotonic() + wait)

    async def _disturbed(self, now: float) -> bool:
        if self._around.disturbed is None or now < self._look_at:
            return False
        self._look_at = now + self._look_every
        return await undisturbed(self._around.disturbed)

    async def _round(self, target: Target) -> None:
        """Compare with what is there, and repair."""
        started = monotonic()
        same = self._made is target and self._later is None
        observed = await undisturbed(self._driver.observe)
        self._found(set(self._lane.addresses(observed)))
        desired = await undisturbed(self._desired, target.plan)
        changes = await undisturbed(self._lane.diff, desired, observed)
        looked = monotonic() - started
        self._made = target
        self._later = None
        self.counters.rounds += 1
        self.counters.repairs += 1 if same and changes else 0
        waits = await self._make(changes, target)
        if not (waits or target.spared or self._around.intend):
            await undisturbed(self._driver.prune, desired)
        if self._around.untold():
            self._around.progress()
        # What was made is no cost of looking: probing a contested address must not delay the next.
        self._full_at = monotonic() + max(self._every, self._share * looked)

    async def _follow(
        self, before: Plan, target: Target, changed: frozenset[GroupKey] | None
    ) -> None:
        """Make the difference from the plan before, and what waited."""
        changes, self._later = self._later, None
        if target.plan is not before:
            newest = replace(target.plan, changed=changed)
            delta = await undisturbed(self._lane.delta, before, newest)
            changes = delta if changes is None else self._lane.combine(changes, delta)
        self._made = target
        if changes is not None:
            await self._make(changes, target)

    async def _make(self, changes: Changes, target: Target) -> bool:
        """Make what may be made now; returns whether something waits."""
        now, later = self._lane.split(changes, other=self._around.other(), spared=target.spared)
        if now:
            await self._apply(now)
        self._later = later
        return later is not None

    async def _apply(self, changes: Changes) -> None:
        if self._around.intend is not None:
            self._around.intend(changes)
        else:
            try:
                await undisturbed(self._driver.apply, changes)
            except DriverError:
                self._move(*self._lane.doubtful(changes))
                raise
        self.counters.changes += 1
        self._move(*self._lane.moved(changes))
        self._around.progress()  # also when nothing moved: the driver may have found a conflict

    def _desired(self, plan: Plan) -> Desired:
        if self._compiled is None or self._compiled[0] is not plan:
            self._compiled = plan, self._lane.compile(plan)
        return self._compiled[1]

    def _found(self, addresses: set[IPAddress]) -> None:
        if addresses != self.in_place:
            self.in_place = addresses
            self._around.progress()

    def _move(self, added: Addresses, removed: Addresses) -> None:
        if self.in_place is not None:
            self.in_place |= added
            self.in_place -= removed

    def _failed(self, error: DriverError) -> None:
        """What the driver did before it failed is not known, so the next attempt looks first."""
        self.error = error
        self.counters.failures += 1
        self._full_at = 0.0
        self._retry_at = monotonic() + self._backoff.next()
        self._tell(ok=False, error=str(error))

    def _tell(self, *, ok: bool, error: str = "") -> None:
        before = self.health
        if before is not None and (before.ok, before.error) == (ok, error):
            return
        lasting = before is not None and before.ok == ok
        since = before.since if before is not None and lasting else datetime.now(UTC)
        self.health = DriverHealth(self.name, ok, error, since)
        self._around.health(self.health)


AnyReconciler = Reconciler[Any, Any]
