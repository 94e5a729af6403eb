"""A live cluster, looked at from outside: what the controller decides and who holds what.

Commands that only look make the same World from the API as the controller does, take the ledger
from the VirtualIPs, and run the same pure functions; so they can say everything that ``plan`` can,
with no more than the right to read. What is published wins over what would be decided: who holds a
VIP is worked out as agents do it.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from fairlead.dialects.published import serving
from fairlead.model.addresses import canonical
from fairlead.model.config import Config
from fairlead.model.kube import ConfigMap
from fairlead.model.ledger import Ledger, ledger_of
from fairlead.model.names import Ref
from fairlead.model.objects import Engine, EngineSpec
from fairlead.model.plan import Plan
from fairlead.model.verdict import State
from fairlead.model.virtualip import VirtualIP
from fairlead.model.world import Change, World
from fairlead.planner import every_verdict
from fairlead.planner.serve import serve
from fairlead.publish.kube.status import addresses_shown
from fairlead.publish.kube.virtualips import holdings_of, homes_of
from fairlead.runtime.config import config_of
from fairlead.runtime.controller.decision import Decision, Start
from fairlead.runtime.controller.intake import watches
from fairlead.runtime.controller.seen import Seen
from fairlead.runtime.controller.serve import CONFIG_DEFAULTS
from fairlead.runtime.controller.split import split
from fairlead.runtime.lease import Lease
from fairlead.runtime.pipeline import Refused
from fairlead.runtime.verdicts import overlaid
from fairlead.sources.kube import ApiClient, ApiError, KubeSource, Pace, Watch
from fairlead.sources.kube.once import read_once
from fairlead.sources.kube.resources import CONFIG_MAPS, LEASES

CONFIG_MAP = "fairlead"
"""The ConfigMap that has the configuration of an installed Fairlead."""
KEY = "fairlead.yaml"
LEASE = "fairlead-controller"
QUIET = 0.3
"""Seconds without a change after which a watch is told anew; but not later than :data:`LATEST`."""
LATEST = 2.0
WATCHING = Pace(grace=1.0)
News = asyncio.Queue[Iterable[Change] | None]
"""Changes; None: no more of them."""


class Gap(NamedTuple):
    """What could not be read, and why."""

    what: str
    why: str


class Settings(NamedTuple):
    """The configuration of a cluster; with a gap where defaults stand in for it."""

    config: Config
    gap: Gap | None = None


class Sight(NamedTuple):
    """What a cluster comes to. ``since``: when each VirtualIP was made, by its address.
    ``reports``: what agents say of their engines; ``holders``: the engines that have an address.
    ``unpublished``: objects that would be served, while no VirtualIP says so yet. ``refused``: what
    the guard of the controller holds back."""

    world: World
    ledger: Ledger
    plan: Plan
    since: dict[str, datetime]
    unpublished: tuple[Ref, ...]
    refused: Refused | None
    reports: Mapping[str, EngineSpec]
    holders: Mapping[str, tuple[str, ...]]


async def read_settings(client: ApiClient, namespace: str) -> Settings:
    """The configuration that the controller of a cluster goes by, from its ConfigMap.

    Raises :class:`~fairlead.runtime.config.ConfigError` when that cannot be used, and
    :class:`~fairlead.sources.kube.Unreachable`.
    """
    where = f"ConfigMap {namespace}/{CONFIG_MAP}"
    try:
        found = await client.read(ConfigMap, CONFIG_MAPS, CONFIG_MAP, namespace)
    except ApiError as error:
        if not (error.forbidden or error.not_found):
            raise
        return Settings(config_of("", where, CONFIG_DEFAULTS), Gap(where, str(error)))
    return Settings(config_of((found.data or {}).get(KEY, ""), where, CONFIG_DEFAULTS))


async def leader_of(client: ApiClient, namespace: str) -> str | None:
    """Who leads, empty when nobody does; None when that may not be read."""
    try:
        answer = await client.get(LEASES, LEASE, namespace)
    except ApiError as error:
        return "" if error.not_found else None
    return msgspec.json.decode(answer, type=Lease).spec.holder_identity or ""


class Live:
    """A cluster as far as it was read."""

    def __init__(self, config: Config) -> None:
        self._seen = Seen()
        self._world = World(config=config)
        self._published = World(config=config)

    async def read(self, client: ApiClient) -> list[Gap]:
        """Read everything once; what could not be read is left out."""
        wanted = watches(self._world.config)
        found = await asyncio.gather(*(_read(client, watch) for watch in wanted))
        self.take([change for changes, _ in found for change in changes])
        return [gap for _, gap in found if gap is not None]

    async def follow(self, client: ApiClient) -> AsyncIterator[Sequence[Gap]]:
        """Read everything, and again what changes: yields whenever there is news, with what cannot
        be read just now."""
        async with KubeSource(client, watches(self._world.config), pace=WATCHING) as source:
            news: News = asyncio.Queue()
            task = asyncio.create_task(_pass_on(source, news))
            task.add_done_callback(lambda _: news.put_nowait(None))
            try:
                while await self._news(news):
                    yield [Gap(h.kind, h.error) for h in source.health if h.error]
                await task  # it ends by a fault alone
            finally:
                task.cancel()

    async def _news(self, news: News) -> bool:
        """Take what comes until nothing comes for a while; False at the end."""
        changes = await news.get()
        try:
            async with asyncio.timeout(LATEST):
                while changes is not None:
                    self.take(changes)
                    changes = await asyncio.wait_for(news.get(), QUIET)
        except TimeoutError:
            return True
        return False

    def take(self, changes: Iterable[Change]) -> None:
        """Take changes."""
        changes = [*changes]
        self._published = self._published.evolve(changes)
        self._world = self._world.evolve(split(changes, frozenset(), self._seen).changes)

    def sight(self) -> Sight:
        """What it comes to now."""
        objects = [*self._published.every(VirtualIP)]
        ledger = ledger_of(holdings_of(objects).holdings, [])
        shown = {ref: addresses_shown(s.said) for ref, s in self._seen.services.items()}
        decision = Decision(Start(self._world, ledger, shown.items(), homes_of(objects)))
        step, held = decision.feed((), frozenset()).step, self._seen.holders
        return Sight(
            world=step.world,
            ledger=ledger,
            plan=self._opened(self._held(step.plan)),
            since=dict(_ages(objects)),
            unpublished=tuple(_unpublished(step.plan, ledger)),
            refused=step.refused,
            reports={one.name: one.spec for one in self._published.every(Engine)},
            holders={a: held.of(a) for a in held.all()},
        )

    def _opened(self, plan: Plan) -> Plan:
        """The plan with what is open on gateways, as agents report."""
        openings = self._seen.openings
        found = (openings.of(plan, said) for said in every_verdict(plan))
        return overlaid(plan, (), (one for ports in found for one in ports))

    def _held(self, plan: Plan) -> Plan:
        """The plan with the engines that hold what is published: as agents report, else as they
        would work it out."""
        active = plan.placement.active.update(serve(serving(self._published)).placement.active)
        held = self._seen.holders
        reported = {
            vip.key: found for vip in plan.vips() if (found := held.of(canonical(vip.addresses[0])))
        }
        return replace(plan, placement=replace(plan.placement, active=active.update(reported)))


async def _read(client: ApiClient, watch: Watch) -> tuple[list[Change], Gap | None]:
    try:
        return await read_once(client, watch) or [], None
    except ApiError as error:
        return [], Gap(watch.kind, str(error))


async def _pass_on(source: KubeSource, to: News) -> None:
    async for batch in source.batches():
        to.put_nowait(batch.changes)


def _ages(objects: Iterable[VirtualIP]) -> Iterable[tuple[str, datetime]]:
    for one in objects:
        if one.metadata.creation_timestamp:
            yield one.spec.address, datetime.fromisoformat(one.metadata.creation_timestamp)


def _unpublished(plan: Plan, ledger: Ledger) -> Iterable[Ref]:
    for outcome in plan.outcomes.values():
        held = ledger.holdings.get(outcome.group)
        spots = {a.spot for a in held.assignments} if held else set()
        if outcome.holding and not {a.spot for a in outcome.holding.assignments} <= spots:
            yield from (said.ref for said in outcome.verdicts if said.state is State.SERVED)
