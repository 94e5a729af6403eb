"""The agent wired: it follows what is published, and decides nothing but who holds what.

::

    API or files ──> Intake ──> follow ──> DataPlane ──> kernel
      agent.json ──────┘        (pure)         └──> Telling, Meter

While the source cannot be read at the start, the cache stands in for it: the same objects, so
nothing moves when it comes back. What the cache does not explain stays as it is meanwhile.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any, Protocol

from fairlead.drivers.base import DriverError
from fairlead.model.addresses import IPAddress
from fairlead.model.addresslease import AddressLease, leased_of
from fairlead.model.config import Config
from fairlead.model.dhcp import Leased, LeaseKey
from fairlead.model.plan import Plan
from fairlead.model.virtualip import VirtualIP
from fairlead.model.world import Change, World
from fairlead.runtime.agent import cache
from fairlead.runtime.agent.cache import Cached, CacheKeeper, UnusableCache
from fairlead.runtime.agent.following import (
    Followed,
    Liveness,
    addresses_of,
    created,
    fenced,
    follow,
    is_confined,
    told,
)
from fairlead.runtime.agent.intake import Batch, Intake, Source, why
from fairlead.runtime.agent.mine import Announced, Mine, Shift, Waiting
from fairlead.runtime.agent.telling import Telling
from fairlead.runtime.dataplane import DataPlane, Rounds
from fairlead.runtime.health import DriverHealth
from fairlead.runtime.lanes import FollowerL2Lane, Target
from fairlead.runtime.leasing import Hearing, changes_of
from fairlead.runtime.planes import Planes
from fairlead.runtime.reconcile import undisturbed
from fairlead.runtime.report import Reporter
from fairlead.runtime.snapshot import texts
from fairlead.sources.collection import settle, uncollected

PATIENCE = 2.0
"""Seconds to wait for the source before the cache stands in for it."""
ROUNDS = Rounds(every=15.0, share=200)
"""An agent at rest costs next to nothing; a table that somebody meddled with is noticed sooner."""
AGAIN = 1.0
"""Seconds between two looks at what does not work."""
NONE: frozenset[IPAddress] = frozenset()
Upcoming = asyncio.Future[Batch | None]
API, CACHE, VANISHED = "api", "cache", "published"


class Fencing(Protocol):
    """The fence of this host, as its agent sees it (:mod:`fairlead.runtime.agent.fencing`)."""

    @property
    def able(self) -> Liveness | None:
        """Who it knows to be able; None while it does not say."""
        ...

    @property
    def rightful(self) -> bool:
        """Whether this engine may hold VIPs at all."""
        ...

    def prepare(self, plan: Plan, world: World, ready: set[IPAddress] | None) -> None:
        """Have it go by this plan. ``ready``: the VIPs whose listeners are in place; None: not
        known."""
        ...

    async def run(self, changed: Callable[[], None]) -> None:
        """Until cancelled; ``changed`` is called when :attr:`able` may differ."""
        ...

    async def released(self) -> bool:
        """Wait for it to hand over, if it is ending too; whether it holds nothing (any more)."""
        ...


class LeaseTeller(Protocol):
    """Tells whoever decides what became of leases (:mod:`fairlead.runtime.agent.leases`)."""

    def offer(self, name: str, leased: Leased) -> None:
        """The last word on a lease, by the name of its object."""
        ...


class Meter(Protocol):
    """Hears what is measured."""

    def decided(self, seconds: float, shift: Shift) -> None:
        """A plan was made in that time."""
        ...

    def announced(self, event: Announced) -> None:
        """An address of this engine is in place."""
        ...

    def leased(self, leased: Leased) -> None:
        """A DHCP server said something of a lease of this engine."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentOptions:
    """How to run.

    ``engine``: the name of this host's Node. ``state``: where the cache is. ``keep``: leave the
    data plane when stopping. ``alone``: without any Node, this host is the only engine.
    ``needed``: the kinds without which nothing live is followed. ``patience``: seconds.
    """

    config: Config
    engine: str
    state: Path
    keep: bool = False
    alone: bool = False
    needed: frozenset[str] = frozenset({VirtualIP.KIND})
    patience: float = PATIENCE
    rounds: Rounds = ROUNDS


class Agent:
    """One agent. ``confined`` is called once some VIP is Local, so that endpoints are to be read.
    ``foreign``: the engine groups whose VIPs are not read."""

    def __init__(
        self,
        options: AgentOptions,
        *,
        source: Source,
        planes: Planes | None,
        report: Reporter,
        meter: Meter,
        confined: Callable[[], None] = lambda: None,
        foreign: Callable[[], Collection[str]] = tuple,
        fence: Fencing | None = None,
        leases: LeaseTeller | None = None,
    ) -> None:
        self._fence, self._poked = fence, asyncio.Event()
        self._leases, self._quiet = leases, False
        self._served_on = False
        self._hearing = Hearing(planes.dhcp if planes is not None else None, self._poked.set)
        self.mine = Mine(options.engine)
        self._options, self._source, self._planes = options, source, planes
        self._report, self._meter = report, meter
        self._confined: Callable[[], None] | None = confined
        patience = options.config.node_patience_seconds
        self._intake = Intake(options.needed, patience=patience, foreign=foreign)
        self._followed = Followed(World(config=options.config))
        self._spared = NONE
        self._standing_in = ""
        self._waiting = Waiting()
        self._telling = Telling(report)
        self._said: dict[str, str] = {}
        self._stir = asyncio.Event()
        self._cached = self._load()
        self.dataplane = DataPlane(
            options.engine,
            planes,
            known=self._cached.known if self._cached else (),
            rounds=options.rounds,
            progress=self._stir.set,
            health=self._health,
            lane=FollowerL2Lane,
            standby=fence is not None,
        )
        self._keeper = CacheKeeper(
            options.state, self._header, lambda error: self._say(CACHE, error)
        )

    @property
    def live(self) -> bool:
        """Whether it goes by what the source says; else by the cache, or by nothing."""
        return self._intake.live

    @property
    def plan(self) -> Plan | None:
        """What is followed; None while nothing is known."""
        return self._followed.plan

    @property
    def kept(self) -> int:
        """How many objects are followed although they vanished."""
        return self._intake.kept

    @property
    def lacks(self) -> list[str]:
        """What cannot be read now, and why."""
        return why(self._source.health)

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until told to stop, or until the source ends."""
        async with asyncio.TaskGroup() as tasks:
            loops = [tasks.create_task(loop.run()) for loop in self.dataplane.loops]
            work = (self._follow(stop), self._tell(), self._keeper.run(), self._look())
            others = [tasks.create_task(one) for one in work]
            if self._fence is not None:
                others.append(tasks.create_task(self._fence.run(self._poked.set)))
            await stop.wait()
            if self._fence is not None and not self._options.keep:
                self._served_on = not await self._fence.released()
            for loop in self.dataplane.loops:
                loop.stop()
            for task in others:
                task.cancel()
            await asyncio.wait([*loops, *others])

    async def end(self) -> bool:
        """Withdraw everything, unless it shall be kept. Listeners stay where a fence goes on
        without this agent: it holds their addresses. Returns whether that worked."""
        clean = self._options.keep or await self.dataplane.withdraw(listeners=not self._served_on)
        await self._keeper.write()
        return clean

    # -- following -------------------------------------------------------------------------------

    async def _follow(self, stop: asyncio.Event) -> None:
        batches = self._source.batches()
        upcoming = asyncio.ensure_future(_next(batches))
        patience: float | None = self._options.patience
        try:
            while True:
                if await self._poked_before(upcoming, patience or self._intake.due()):
                    await self._heed()
                    continue
                if upcoming.done():
                    batch = upcoming.result()
                    if batch is None:
                        stop.set()
                        return
                    await self._take(batch)
                    upcoming = asyncio.ensure_future(_next(batches))
                if expired := self._intake.expired():
                    await self._apply(expired, monotonic())
                if patience is not None and not self.live:
                    await self._resume()
                patience = None
        finally:
            upcoming.cancel()
            with suppress(asyncio.CancelledError):
                await upcoming

    async def _poked_before(self, upcoming: Upcoming, seconds: float | None) -> bool:
        """Wait for a batch, for that long, or until the fence says something new; whether it was
        that."""
        poked = asyncio.ensure_future(self._poked.wait())
        either: set[asyncio.Future[Any]] = {upcoming, poked}
        await asyncio.wait(either, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        poked.cancel()
        found = self._poked.is_set()
        self._poked.clear()
        return found

    async def _heed(self) -> None:
        """The fence knows of other engines that are able, or a DHCP server said something."""
        if news := self._hearing.take():
            await self._hear(news)
        if self._fence is None:
            return
        await self._hush(not self._fence.rightful)
        started, before = monotonic(), self._followed
        now = await undisturbed(fenced, before, self._fence.able)
        self._followed = now
        if now.plan is not None and now.plan is not before.plan:
            self._spread(before, now, started=started, received_at=started)

    async def _hush(self, quiet: bool) -> None:
        """Who may not hold VIPs is no DHCP client: somebody else is, by the same name."""
        if self._planes is None or self._planes.dhcp is None or quiet == self._quiet:
            return
        self._quiet = quiet
        try:
            await undisturbed(self._planes.dhcp.hush, quiet)
        except DriverError as error:
            self._say("leases", str(error))

    async def _hear(self, news: dict[LeaseKey, Leased]) -> None:
        """Go by it at once: an address whose lease ended is given up also while nobody else can be
        told."""
        plan = self.plan
        for leased in news.values():
            self._meter.leased(leased)
        if plan is None:
            return
        changes = [*changes_of(news, plan, self._options.engine)]
        for change in changes:
            said = leased_of(change.object) if isinstance(change.object, AddressLease) else None
            if said is not None and self._leases is not None:
                self._leases.offer(change.ref.name, said)
        await self._apply(changes, monotonic())

    async def _resume(self) -> None:
        """Serve what the cache says, and let be what it does not know of."""
        cached, self._cached = self._cached, None
        if cached is None:
            self._standing_in = "there is no cache, so all is left as it is"
            return
        self._standing_in = f"serving what was published at {cached.header.written:%F %T} UTC"
        found = await self._found()
        await self._apply(cached.changes, monotonic(), found=found)

    async def _found(self) -> frozenset[IPAddress]:
        """The addresses in the kernel. Asked before the loops have anything to do."""
        while True:
            try:
                return await undisturbed(_in_kernel, self._planes)
            except DriverError as error:
                self._say("data plane", str(error))
                await asyncio.sleep(AGAIN)

    async def _take(self, batch: Batch) -> None:
        was_live = self.live
        changes = self._intake.take(batch, self._source.health, self._followed.world)
        if not self.live:
            return
        self._cached, self._spared = None, NONE
        if was_live:
            await self._apply(changes, batch.received_at)
        else:
            with uncollected():
                await self._apply(changes, batch.received_at, anyway=True)
            settle()
        self._keeper.offer(self._followed.world)

    async def _apply(
        self,
        changes: Iterable[Change],
        received_at: float,
        *,
        found: frozenset[IPAddress] = NONE,
        anyway: bool = False,
    ) -> None:
        """Follow some changes. ``found``: what is in the kernel and stays there if nothing explains
        it. ``anyway``: also when they change nothing."""
        started, before, changes = monotonic(), self._followed, tuple(changes)
        alone = self._options.engine if self._options.alone else ""
        now = await undisturbed(follow, before, changes, alone=alone)
        if now.plan is None or now.served is None or (now is before and not anyway):
            return
        self._followed = now
        if found:
            self._spared = found - addresses_of(now.plan)
        self._spread(before, now, started=started, received_at=received_at)
        if self._confined is not None and is_confined(changes):
            self._confined()
            self._confined = None

    def _spread(
        self, before: Followed, now: Followed, *, started: float, received_at: float
    ) -> None:
        """Everybody goes by another plan."""
        assert now.plan is not None
        assert now.served is not None
        shift = self.mine.follow(before.plan, now.plan)
        self._meter.decided(monotonic() - started, shift)
        self._expect(shift, before, received_at)
        self.dataplane.offer(Target(now.plan, self._spared))
        self._telling.of_objects(now.plan, told(now.served, before.plan))
        self._stir.set()

    def _expect(self, shift: Shift, before: Followed, received_at: float) -> None:
        """Measure how long it takes until what is gained is in place."""
        self._waiting.forget(shift.lost)
        for address in shift.gained if self.dataplane.loops else ():
            if address not in self.dataplane.in_place:
                since = created(address, before=before, now=self._followed)
                self._waiting.expect(address, received_at=received_at, created=since)

    # -- telling ---------------------------------------------------------------------------------

    async def _tell(self) -> None:
        while True:
            await self._stir.wait()
            self._stir.clear()
            plan, in_place = self.plan, self.dataplane.announced
            if plan is None:
                continue
            if self._fence is not None and not self.dataplane.closing:
                self._fence.prepare(plan, self._followed.world, self.dataplane.listening)
            for event in self._waiting.arrived(in_place, now=monotonic(), today=datetime.now(UTC)):
                self._meter.announced(event)
            impediments = await undisturbed(self.dataplane.impediments, plan)
            self._telling.of_data_plane(plan, in_place=in_place, impediments=impediments)

    async def _look(self) -> None:
        """Say what cannot be read or has vanished, and when all is well again."""
        while True:
            await asyncio.sleep(AGAIN)
            vanished = (
                f"{self.kept} objects vanished and nobody deleted them: they are still served"
            )
            self._say(VANISHED, vanished if self.kept else "")
            lacks = "; ".join(self.lacks)
            if self.live:
                self._say(API, lacks)
            elif self._standing_in:
                self._say(API, f"{lacks or 'nothing was read yet'}: {self._standing_in}")

    def _say(self, what: str, error: str) -> None:
        """How something is doing; good news only after bad."""
        if error != self._said.get(what, ""):
            self._said[what] = error
            self._health(DriverHealth(what, not error, error, datetime.now(UTC)))

    def _health(self, health: DriverHealth) -> None:
        self._report.health(health)
        self._stir.set()

    # -- the cache -------------------------------------------------------------------------------

    def _load(self) -> Cached | None:
        options = self._options
        try:
            return cache.load(
                options.state, engine=options.engine, dataplane=options.config.dataplane
            )
        except UnusableCache as error:
            self._say(CACHE, str(error))
            return None

    def _header(self) -> cache.Header:
        return cache.header(
            engine=self._options.engine,
            dataplane=self._options.config.dataplane,
            in_place=texts(self.dataplane.in_place),
        )


async def _next(batches: AsyncIterator[Batch]) -> Batch | None:
    return await anext(batches, None)


def _in_kernel(planes: Planes | None) -> frozenset[IPAddress]:
    if planes is None:
        return NONE
    return planes.l4.observe().vips | planes.l2.observe().owned
