"""The controller wired: everybody reads, the leader decides and writes.

::

    API ──> source ──> split ──> Decision ──> Work ──> workers ──> Publisher ──> API
                         └─ Seen ────────────────────────┘   Leadership gates every write

A replica that does not lead keeps its world and what it has seen warm, so that it starts from
memory; the ledger alone it reads anew, and consistently, because that is what must not be old.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from time import monotonic
from typing import Protocol

from fairlead.model.config import Config
from fairlead.model.kube import Service
from fairlead.model.ledger import Ledger, ledger_of
from fairlead.model.names import GroupKey, Ref
from fairlead.model.objects import AddressPool
from fairlead.model.plan import Plan
from fairlead.model.world import Change, World
from fairlead.publish.kube.objects import use_of
from fairlead.publish.kube.status import addresses_shown
from fairlead.publish.kube.virtualips import holdings_of, homes_of, released_of
from fairlead.runtime.backoff import Backoff
from fairlead.runtime.controller.api import Api, ApiError, Unreachable
from fairlead.runtime.controller.decision import Decided, Decision, Start, units_of
from fairlead.runtime.controller.homes import LASTS, Homes, names_of
from fairlead.runtime.controller.hosts import Hosts
from fairlead.runtime.controller.leader import Leadership
from fairlead.runtime.controller.ledger import Behind, Entries, gone_of, read_ledger
from fairlead.runtime.controller.orphans import Orphans
from fairlead.runtime.controller.patience import Patience
from fairlead.runtime.controller.publisher import Publisher
from fairlead.runtime.controller.returns import Returns
from fairlead.runtime.controller.seen import NOBODY, Seen, seen_vip
from fairlead.runtime.controller.services import Services
from fairlead.runtime.controller.split import BALANCED, Parts, split
from fairlead.runtime.controller.work import Work
from fairlead.runtime.controller.writing import Later, NotLeader, Writer
from fairlead.runtime.pipeline import Refused as Withheld
from fairlead.runtime.reconcile import undisturbed
from fairlead.sources.collection import set_aside

SETTLE = 0.1
"""Seconds for which a new leader listens before it decides: what the one before wrote is on its
way."""
COUNT_EVERY = 30.0
"""Seconds between two counts of how full the pools are."""
SETTLING = 0.5
"""Seconds between two looks at what was taken over."""
SOON = 0.02
"""Seconds after which a write that waits for another is tried again, at first."""
PASSING = 5.0
"""Seconds after which a write that failed for a reason that passes is tried again, at most."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerOptions:
    """``namespace`` and ``lease_name``: where the Lease is; ``lease``: its duration in seconds.
    ``workers``: how many writes are under way at once. ``refused``: seconds after which a write
    that the API server refuses for its own sake is tried again, at most; ``disputed``: after which
    one that somebody else keeps undoing is. ``lasts``: seconds after which a take-over is there to
    stay, where there is no failback."""

    config: Config
    identity: str
    namespace: str = "fairlead-system"
    lease_name: str = "fairlead-controller"
    lease: float = 10.0
    workers: int = 32
    refused: float = 30.0
    disputed: float = 300.0
    lasts: float = LASTS


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
        self._failures = Patience(first=SOON, longest=options.refused)
        self._disputes = Patience(first=1.0, longest=options.disputed, free=5)
        self._withheld: Withheld | None = None
        self._returns = Returns(options.config.release_after)
        self._orphans = Orphans(listener.failed)
        self._term = 0
        self.leadership = Leadership(
            api,
            namespace=options.namespace,
            name=options.lease_name,
            identity=options.identity,
            changed=self._role,
            told=lambda error: listener.failed("lease", error),
            lease=options.lease,
        )
        self._writer = writer = Writer(api, self._may_write)
        services = Services(writer, self._seen, addressed=listener.addressed, told=listener.failed)
        self._hosts = Hosts(writer, self._seen, wanted=options.config.vip_host)
        self._publisher = Publisher(writer, self._seen, services=services, hosts=self._hosts)
        self._publisher.released = self._returns.since
        self._homes = Homes(self._seen, lasts=options.lasts)
        self._publisher.homes = self._homes.wanted

    @property
    def leads(self) -> bool:
        """Whether this replica decides, and may write."""
        return self._decision is not None and self._may_write()

    def _may_write(self) -> bool:
        """Whether the decision is of this term in office: in between somebody else may have led."""
        return self._term != 0 and self._term == self.leadership.term

    @property
    def plan(self) -> Plan | None:
        """The newest plan of a leader."""
        return self._publisher.plan if self._decision is not None else None

    async def run(self, stop: asyncio.Event) -> None:
        """Until told to stop; then the Lease is given up."""
        async with asyncio.TaskGroup() as tasks:
            others = [tasks.create_task(self._follow())]
            others.append(tasks.create_task(self._count()))
            others.append(tasks.create_task(self._settle()))
            others.append(tasks.create_task(self._returns.run(self._give_up)))
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
            del batch  # the first one is all there is
            self.synced = True
            self._read.set()

    async def _absorb(self, batch: Batch) -> None:
        parts = split(batch.changes, batch.explicit, self._seen)
        explicit = frozenset(parts.explicit)
        changes = [*self._orphans.spared(parts.changes, explicit)]
        if self._decision is None:
            self._seen.leases.forget_news()
            self._world = self._world.evolve(changes)
            return
        changes = [self._lingering(change, explicit) for change in changes]
        if changes:
            await self._decide(self._decision, changes, explicit)
        self._moved(self._seen.holders.news())
        self._dispute()
        self._answer(parts)

    def _moved(self, addresses: set[str]) -> None:
        """Somebody else holds these; and what is open on gateways may have changed."""
        plan = self._publisher.plan
        self.work.add(self._seen.openings.news(addresses))
        self._homes.look(addresses, plan)
        if self._hosts.wanted:
            known = (self._seen.vips.get(name) for name in names_of(addresses))
            self.work.add(vip.group for vip in known if vip is not None)

    def _dispute(self) -> None:
        """Engines have heard other hosts that use VIPs."""
        for rival in self._seen.holders.disputed():
            for vip in map(self._seen.vips.get, names_of((rival.address,))):
                if vip is not None:
                    self._publisher.rivals.setdefault(vip.group, set()).add(rival)
                    self.work.add((vip.group,))

    def _answer(self, parts: Parts) -> None:
        """Somebody else wrote what is ours to write: correct it, but do not fight for ever."""
        for key in parts.keys:
            delay = self._disputes.next(key)
            for unit in units_of(self._publisher.plan, (key,)):
                if delay:
                    self.work.add_later(unit, delay)
                else:
                    self.work.add((unit,))

    async def _decide(
        self, decision: Decision, changes: list[Change], explicit: frozenset[Ref]
    ) -> None:
        started = monotonic()
        self._take(await undisturbed(decision.feed, changes, explicit), started)

    def _take(self, decided: Decided, started: float) -> None:
        step, before = decided.step, self._publisher.plan
        self._publisher.plan = step.plan
        if step.plan.claims.engine_rules is not before.claims.engine_rules:
            self._homes.look(self._seen.holders.all(), step.plan)
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
        term, failed = self.leadership.term, False
        while term and term == self.leadership.term:
            await asyncio.sleep(SETTLE)
            try:
                async with self._turn:
                    await self._start(term)
            except (ApiError, Unreachable) as error:
                failed = True
                self._listener.failed("ledger", str(error))
                await asyncio.sleep(self._backoff.next())
            except Behind:
                continue
            else:
                if failed:
                    self._listener.failed("ledger", "")
                return

    def _step_down(self) -> None:
        if self._decision is not None:
            self._world = self._decision.everything()
            self._decision = None
        self._term = 0
        self.work.clear()
        self._homes.clear()

    async def _start(self, term: int) -> None:
        """Begin to lead: read the ledger, decide everything, write what differs."""
        started = monotonic()
        entries = await read_ledger(self._api)
        self._notice(entries)
        same = self._seen.same_group
        ledger = ledger_of(holdings_of(entries.objects, same).holdings, [])
        homes = homes_of(entries.objects, same)
        known = released_of(entries.objects)
        del entries
        explicit = await self._absent(ledger, known)
        waiting = [Change(ref, None, lingers=True) for ref in self._returns.since]
        over = [Change(r, None) for r in self._world.lingering if r not in self._returns.since]
        start = Start(
            self._world.evolve([*waiting, *over]),
            ledger,
            ((ref, addresses_shown(s.said)) for ref, s in [*self._seen.services.items()]),
            homes,
        )
        decision = await undisturbed(Decision, start)
        del start, ledger, homes
        decided = await undisturbed(decision.feed, (), explicit)
        self._decision, self._term = decision, term
        self._world = World(config=self._options.config)
        set_aside()
        self._take(decided, started)
        self.work.add(self._unexplained(decided.step.plan))

    async def _absent(self, ledger: Ledger, known: dict[Ref, str]) -> frozenset[Ref]:
        """Who has an address in the ledger, and was deleted, or asks for none any more, while
        nobody led. Some of them are awaited."""
        members = {ref for holding in ledger.holdings.values() for ref in holding.members}
        services, problems = self._seen.services, self._world.problems
        missing = {r for r in members if r not in services and r not in problems}
        gone = await gone_of(self._api, missing - known.keys())
        self._returns.restart(known, services)
        if self._returns.keep:
            for ref in gone:
                self._returns.gone(ref)
        found = ((ref, self._world.service(ref)) for ref in members if ref in services)
        idle = {ref for ref, one in found if one is None or one.spec.type != BALANCED}
        return gone | idle | known.keys()

    async def _settle(self) -> None:
        """Where a VIP has been for a while it is at home, if there is no failback."""
        while True:
            await asyncio.sleep(SETTLING)
            if self._decision is not None:
                self.work.add(self._homes.due(self._publisher.plan))

    async def _count(self) -> None:
        """How full the pools are, now and then."""
        while True:
            await asyncio.sleep(COUNT_EVERY)
            if self._decision is not None:
                self._publisher.objects.use = await undisturbed(use_of, self._publisher.plan)
                self.work.add(ref for ref in self._seen.objects if ref.kind == AddressPool.KIND)

    def _notice(self, entries: Entries) -> None:
        """What was read anew is the truth."""
        there = {one.name: one for one in entries.objects if not one.spec.reserve}
        for name in [name for name in self._seen.vips if name not in there]:
            self._seen.drop_vip(name)
        for name, one in there.items():
            self._seen.put_vip(name, seen_vip(one))
        for name, seen in entries.unreadable.items():
            self._seen.put_vip(name, seen)

    def _unexplained(self, plan: Plan) -> list[GroupKey | Ref]:
        """What an earlier leader wrote for objects that ask for nothing any more."""
        known = {*self._seen.names, *self._seen.leases.groups()} - {NOBODY}
        groups = [key for key in known if key not in plan.outcomes]
        services = (ref for ref, seen in self._seen.services.items() if seen.ours or seen.deleting)
        alone = (ref for ref in services if ref not in plan.groups_of)
        return [*groups, *alone, *self._seen.objects]

    # -- addresses kept for a return -------------------------------------------------------------

    def _lingering(self, change: Change, explicit: frozenset[Ref]) -> Change:
        if change.ref.kind != Service.KIND:
            return change
        if change.object is not None:
            self._returns.back(change.ref)
            return change
        served = change.ref in self._publisher.plan.groups_of
        if not (self._returns.keep and served and change.ref in explicit):
            return change
        self._returns.gone(change.ref)
        return change._replace(lingers=True)

    async def _give_up(self, ref: Ref, since: str) -> None:
        """Nobody came back: release what was kept."""
        async with self._turn:
            if self._returns.given_up(ref, since) and self._decision is not None:
                await self._decide(self._decision, [Change(ref, None)], frozenset({ref}))

    # -- writing ---------------------------------------------------------------------------------

    async def _write(self) -> None:
        while True:
            wait = self._resume_at - monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
                continue
            key = await self.work.next()
            sent = self._writer.sent
            try:
                await self._try(key)
            finally:
                self.work.done(key)
            if sent == self._writer.sent:
                await asyncio.sleep(0)  # nothing was written, but the same loop renews the Lease

    async def _try(self, key: object) -> None:
        assert isinstance(key, GroupKey | Ref)
        try:
            await self._publisher.publish(key)
        except Later:
            self.work.add_later(key, self._failures.next(key, longest=1.0))
        except NotLeader:
            return  # the next leader compares everything
        except Unreachable as error:
            self._hold(0.0)
            self.work.add_later(key, SOON)
            self._listener.failed("write", str(error))
        except ApiError as error:
            longest = PASSING if error.passing else None
            if error.passing:
                self._hold(error.retry_after)
            self.work.add_later(key, self._failures.next(key, longest=longest))
            self._listener.failed("write", error.message)
        else:
            self._backoff.reset()
            self._failures.forget(key)

    def _hold(self, least: float) -> None:
        """Everybody waits: what failed for one fails for all."""
        if monotonic() >= self._resume_at:
            self._resume_at = monotonic() + max(least, self._backoff.next())
