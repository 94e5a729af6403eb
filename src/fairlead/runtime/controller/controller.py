"""The controller wired: everybody reads, the leader decides and writes.

::

    API ──> source ──> split ──> Decision ──> Work ──> workers ──> Publisher ──> API
                         └─ Seen ────────────────────────┘   Leadership gates every write

A replica that does not lead keeps its world and what it has seen warm, so that it starts from
memory; the ledger alone it reads anew, and consistently, because that is what must not be old.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Protocol

import msgspec
from msgspec import Struct

from fairlead.model.config import Config
from fairlead.model.kube import Service
from fairlead.model.ledger import ledger_of
from fairlead.model.names import GroupKey, Ref
from fairlead.model.objects import AddressPool
from fairlead.model.plan import Plan
from fairlead.model.virtualip import VirtualIP
from fairlead.model.world import Change, World
from fairlead.publish.kube.objects import use_of
from fairlead.publish.kube.status import addresses_shown
from fairlead.publish.kube.virtualips import holdings_of, released_of
from fairlead.runtime.backoff import Backoff
from fairlead.runtime.controller.api import Api, ApiError, Unreachable
from fairlead.runtime.controller.decision import Decided, Decision, Start, units_of
from fairlead.runtime.controller.leader import Leadership
from fairlead.runtime.controller.publisher import VIPS, Later, NotLeader, Publisher
from fairlead.runtime.controller.seen import Seen, seen_vip
from fairlead.runtime.controller.split import split
from fairlead.runtime.controller.work import Work
from fairlead.runtime.pipeline import Refused as Withheld
from fairlead.runtime.reconcile import undisturbed

PAGE = 1000
"""VirtualIPs in one page of the ledger."""
SOON = 0.02
"""Seconds after which a write that waits for another is tried again."""
COUNT_EVERY = 30.0
"""Seconds between two counts of how full the pools are."""
REFUSED = 30.0
"""Seconds after which a write that the API server refuses for its own sake is tried again."""


class Batch(Protocol):
    """What came from the API since the batch before."""

    @property
    def changes(self) -> tuple[Change, ...]: ...
    @property
    def explicit(self) -> frozenset[Ref]: ...


class Source(Protocol):
    """Batches; the first when everything was read."""

    def batches(self) -> AsyncIterator[Batch]: ...


class Listener(Protocol):
    """Hears what the controller does: logs and metrics."""

    def leading(self, yes: bool) -> None: ...
    def decided(self, plan: Plan, seconds: float) -> None: ...
    def withheld(self, refused: Withheld | None) -> None: ...
    def addressed(self, ref: Ref, created: str) -> None: ...
    def failed(self, what: str, why: str) -> None: ...
    def wrote(self, method: str, path: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerOptions:
    """``namespace`` and ``lease_name``: where the Lease is; ``lease``: its duration in seconds.
    ``workers``: how many writes are under way at once."""

    config: Config
    identity: str
    namespace: str = "fairlead-system"
    lease_name: str = "fairlead-controller"
    lease: float = 10.0
    workers: int = 32


class _Page(Struct, rename="camel"):
    items: list[VirtualIP]
    metadata: "_PageMeta"


class _PageMeta(Struct, rename="camel"):
    continue_: str = msgspec.field(name="continue", default="")
    remaining_item_count: int = 0


_PAGES = msgspec.json.Decoder(_Page)


class Controller:
    """One replica. ``synced``: everything was read once."""

    def __init__(
        self, options: ControllerOptions, *, api: Api, source: Source, listener: Listener
    ) -> None:
        self.synced = False
        self.work = Work()
        self._options, self._api, self._source = options, api, source
        self._listener = listener
        self._world = World(config=options.config)
        self._seen = Seen()
        self._decision: Decision | None = None
        self._turn = asyncio.Lock()
        self._read = asyncio.Event()
        self._resume_at = 0.0
        self._backoff = Backoff(first=0.1, longest=5.0)
        self._withheld: Withheld | None = None
        self._released: dict[Ref, str] = {}
        self.leadership = Leadership(
            api,
            namespace=options.namespace,
            name=options.lease_name,
            identity=options.identity,
            changed=self._role,
            told=lambda error: listener.failed("lease", error),
            lease=options.lease,
        )
        self._publisher = Publisher(
            api,
            self._seen,
            may_write=self.leadership.valid,
            pending=lambda key: key in self.work,
            addressed=listener.addressed,
        )

    @property
    def leads(self) -> bool:
        """Whether this replica decides, and may write."""
        return self._decision is not None and self.leadership.valid()

    @property
    def plan(self) -> Plan | None:
        """The newest plan of a leader."""
        return self._publisher.plan if self._decision is not None else None

    async def run(self, stop: asyncio.Event) -> None:
        """Until told to stop; then the Lease is given up."""
        async with asyncio.TaskGroup() as tasks:
            others = [tasks.create_task(self._follow())]
            others.append(tasks.create_task(self._count()))
            others += [tasks.create_task(self._write()) for _ in range(self._options.workers)]
            election = tasks.create_task(self._elect())
            await stop.wait()
            self.leadership.stop()
            for task in others:
                task.cancel()
            if not self._read.is_set():
                election.cancel()

    async def _elect(self) -> None:
        """A replica that has not read everything is no candidate."""
        await self._read.wait()
        await self.leadership.run()

    # -- reading ---------------------------------------------------------------------------------

    async def _follow(self) -> None:
        async for batch in self._source.batches():
            async with self._turn:
                await self._absorb(batch)
            self.synced = True
            self._read.set()

    async def _absorb(self, batch: Batch) -> None:
        parts = split(batch.changes, batch.explicit, self._seen)
        explicit = frozenset(parts.explicit)
        if self._decision is None:
            self._world = self._world.evolve(parts.changes)
            return
        changes = [self._lingering(change, explicit) for change in parts.changes]
        if changes:
            await self._decide(self._decision, changes, explicit)
        self.work.add(units_of(self._publisher.plan, parts.keys))

    async def _decide(
        self, decision: Decision, changes: list[Change], explicit: frozenset[Ref]
    ) -> None:
        started = monotonic()
        self._take(await undisturbed(decision.feed, changes, explicit), started)

    def _take(self, decided: Decided, started: float) -> None:
        step = decided.step
        self._publisher.plan = step.plan
        self.work.add(decided.keys)
        self._listener.decided(step.plan, monotonic() - started)
        if step.refused != self._withheld:
            self._withheld = step.refused
            self._listener.withheld(step.refused)

    # -- the role --------------------------------------------------------------------------------

    async def _role(self, leads: bool) -> None:
        self._listener.leading(leads)
        if not leads:
            async with self._turn:
                self._step_down()
            return
        while self.leadership.valid():
            try:
                async with self._turn:
                    await self._start()
            except (ApiError, Unreachable) as error:
                self._listener.failed("ledger", str(error))
                await asyncio.sleep(self._backoff.next())
            else:
                return

    def _step_down(self) -> None:
        if self._decision is not None:
            self._world = self._decision.everything()
            self._decision = None
        self.work.clear()

    async def _start(self) -> None:
        """Begin to lead: read the ledger, decide everything, write what differs."""
        started = monotonic()
        objects = [one async for one in self._ledger()]
        self._notice(objects)
        ledgered = holdings_of(objects)
        self._expect(objects)
        lingering = [Change(ref, None, lingers=True) for ref in self._released]
        start = Start(
            self._world.evolve(lingering),
            ledger_of(ledgered.holdings, []),
            {ref: addresses_shown(s.said) for ref, s in self._seen.services.items()},
        )
        del objects, ledgered
        decision = await undisturbed(Decision, start)
        decided = await undisturbed(decision.feed, (), frozenset[Ref]())
        self._decision = decision
        self._world = World(config=self._options.config)
        self._take(decided, started)
        self.work.add(self._unexplained(decided.step.plan))

    async def _count(self) -> None:
        """How full the pools are, now and then."""
        while True:
            await asyncio.sleep(COUNT_EVERY)
            if self._decision is not None:
                self._publisher.use = await undisturbed(use_of, self._publisher.plan)
                self.work.add(ref for ref in self._seen.objects if ref.kind == AddressPool.KIND)

    async def _ledger(self) -> AsyncIterator[VirtualIP]:
        more = ""
        while True:
            answer = await self._api.send("GET", f"{VIPS}?limit={PAGE}{more}")
            page = await undisturbed(_PAGES.decode, answer)
            for one in page.items:
                yield one
            if not page.metadata.continue_:
                return
            more = f"&continue={page.metadata.continue_}"

    def _notice(self, objects: list[VirtualIP]) -> None:
        """What was read anew is the truth."""
        there = {one.name for one in objects}
        for name in [name for name in self._seen.vips if name not in there]:
            self._seen.drop_vip(name)
        for one in objects:
            if not one.spec.reserve:
                self._seen.put_vip(one.name, seen_vip(one))

    def _unexplained(self, plan: Plan) -> list[GroupKey | Ref]:
        """What an earlier leader wrote for objects that ask for nothing any more."""
        groups = [key for key in self._seen.names if key not in plan.outcomes]
        services = (ref for ref, seen in self._seen.services.items() if seen.ours or seen.deleting)
        alone = (ref for ref in services if ref not in plan.groups_of)
        return [*groups, *alone, *self._seen.objects]

    # -- addresses kept for a return -------------------------------------------------------------

    def _expect(self, objects: list[VirtualIP]) -> None:
        """Go on waiting for the return of those whose addresses are kept."""
        now = datetime.now(UTC)
        present = self._seen.services
        for ref, since in released_of(objects).items():
            if ref in present:
                continue
            with suppress(ValueError):
                left = self._options.config.release_after
                left -= (now - datetime.fromisoformat(since)).total_seconds()
                self._await_return(ref, since, max(0.0, left))

    def _lingering(self, change: Change, explicit: frozenset[Ref]) -> Change:
        if change.ref.kind != Service.KIND:
            return change
        if change.object is not None:
            self._released.pop(change.ref, None)
            return change
        keep = self._options.config.release_after
        served = change.ref in self._publisher.plan.groups_of
        if not (keep and served and change.ref in explicit):
            return change
        if change.ref not in self._released:
            since = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
            self._await_return(change.ref, since, keep)
        return change._replace(lingers=True)

    def _await_return(self, ref: Ref, since: str, seconds: float) -> None:
        self._released[ref] = since
        self._publisher.released = self._released
        loop = asyncio.get_running_loop()
        loop.call_later(seconds, lambda: loop.create_task(self._give_up(ref, since)))

    async def _give_up(self, ref: Ref, since: str) -> None:
        """Nobody came back: release what was kept."""
        if self._released.get(ref) != since:
            return
        async with self._turn:
            del self._released[ref]
            if self._decision is not None:
                await self._decide(self._decision, [Change(ref, None)], frozenset({ref}))

    # -- writing ---------------------------------------------------------------------------------

    async def _write(self) -> None:
        while True:
            wait = self._resume_at - monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
                continue
            key = await self.work.next()
            try:
                await self._try(key)
            finally:
                self.work.done(key)

    async def _try(self, key: object) -> None:
        assert isinstance(key, GroupKey | Ref)
        try:
            await self._publisher.publish(key)
        except Later:
            self.work.add_later(key, SOON)
        except NotLeader:
            return  # the next leader compares everything
        except Unreachable as error:
            self._hold(0.0)
            self.work.add_later(key, SOON)
            self._listener.failed("write", str(error))
        except ApiError as error:
            if error.passing:
                self._hold(error.retry_after)
            self.work.add_later(key, SOON if error.passing else REFUSED)
            self._listener.failed("write", error.message)
        else:
            self._backoff.reset()

    def _hold(self, least: float) -> None:
        """Everybody waits: what failed for one fails for all."""
        if monotonic() >= self._resume_at:
            self._resume_at = monotonic() + max(least, self._backoff.next())
