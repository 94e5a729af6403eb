"""The pure steps, joined: changes in, a plan out, and what the guard held back.

No clock and no IO: the state is what was read and decided so far. When the guard refuses, the
batch is taken apart. Deletions and changes of pools wait (until somebody confirms, or a later
batch takes them back), and all the rest of the batch is applied. At a start there is nothing to
hold back, because nothing was read before; then the ledger speaks for what is missing
(:mod:`fairlead.runtime.shelter`).
"""

from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import NamedTuple

from fairlead.dialects.translate import translate
from fairlead.model.addresses import IPAddress, canonical
from fairlead.model.claim import Claims
from fairlead.model.config import Config
from fairlead.model.ledger import Ledger
from fairlead.model.names import GroupKey, Ref
from fairlead.model.objects import AddressPool
from fairlead.model.plan import Placement, Plan
from fairlead.model.world import Change, World
from fairlead.planner import GuardRefusal, guard
from fairlead.planner import plan as plan_of
from fairlead.planner.guard import LEAST
from fairlead.runtime.shelter import missing, sheltered, spared

CONFIRM = "fairlead.dev/confirm"
"""Annotation on an AddressPool that confirms a refusal, by its token."""


class Refused(NamedTuple):
    """What the guard holds back. ``withheld``: the objects whose change waits, or that are missing.
    ``token`` names exactly these addresses, so that a confirmation cannot be for others."""

    addresses: tuple[IPAddress, ...]
    withheld: tuple[Ref, ...]
    token: str
    message: str


class Step(NamedTuple):
    """Where things stand after a batch. ``plan.changed`` are the groups that this batch changed.

    ``spared``: addresses that stay as they are although no VIP explains them. ``sheltering``: the
    ledger stands in for objects that are missing.
    """

    world: World
    plan: Plan
    spared: frozenset[IPAddress] = frozenset()
    refused: Refused | None = None
    sheltering: bool = False


class _Attempt(NamedTuple):
    """One way to take a batch. ``rest``: the changes that are left out."""

    world: World
    claims: Claims
    plan: Plan
    sheltering: bool
    rest: list[Change]


class _Choice(NamedTuple):
    """Which changes to take, and which to leave out."""

    taken: list[Change]
    rest: list[Change]
    sheltering: bool = False


class Pipeline:
    """World, claims and plan so far, from nothing: ``host`` is the engine this runs on."""

    def __init__(self, config: Config, host: str, ledger: Ledger) -> None:
        self._start(World(config=config, host=host), ledger)

    @classmethod
    def over(cls, world: World, ledger: Ledger, placement: Placement | None = None) -> "Pipeline":
        """A pipeline whose world was read already; the first :meth:`feed` plans all of it, close to
        the ``placement`` that is known."""
        pipeline = cls.__new__(cls)
        pipeline._start(world, ledger)
        if placement is not None:
            pipeline._plan = Plan(placement=placement)
        return pipeline

    def _start(self, world: World, ledger: Ledger) -> None:
        self._world = world
        self._ledger = ledger
        self._claims: Claims | None = None
        self._plan: Plan | None = None
        self._pending: dict[Ref, Change] = {}
        self._explicit: frozenset[Ref] = frozenset()
        self._sheltering = False

    def feed(self, changes: Iterable[Change], explicit: frozenset[Ref] = frozenset()) -> Step:
        """Take a batch. ``explicit``: objects in it that somebody deleted through an API."""
        batch = {change.ref: change for change in changes}
        pending = [change for ref, change in self._pending.items() if ref not in batch]
        self._explicit |= explicit
        whole = self._attempt(_Choice([*pending, *batch.values()], []))
        refusal = self._judge(whole)
        if refusal is None or _confirmed(whole.world, _token(refusal)):
            return self._accept(whole, None)
        for choice in self._choices(pending, [*batch.values()]):
            attempt = self._attempt(choice)
            if self._judge(attempt) is None:
                return self._accept(attempt, refusal)
        return self._accept(self._reserved(whole), refusal)

    def confirm(self) -> Step:
        """Somebody wants it so: apply what the guard holds back."""
        return self._accept(self._attempt(_Choice([*self._pending.values()], [])), None)

    @property
    def plan(self) -> Plan | None:
        """The newest plan."""
        return self._plan

    def everything(self) -> World:
        """The world with all that was read, also what the guard holds back."""
        return self._world.evolve(self._pending.values())

    def _choices(self, pending: list[Change], batch: list[Change]) -> Iterator[_Choice]:
        """Ways to take a batch that was refused as a whole, from most of it to nothing."""
        everything = [*pending, *batch]
        if self._claims is None or self._sheltering:
            yield _Choice(everything, [], sheltering=True)
        if self._claims is not None:
            harmless = [c for c in everything if not self._risky(c)]
            risky = [c for c in everything if self._risky(c)]
            yield _Choice(harmless, risky, self._sheltering)
            fresh = [c for c in batch if not self._risky(c)]
            yield _Choice(fresh, [*pending, *filter(self._risky, batch)], self._sheltering)
            yield _Choice([], everything, self._sheltering)

    def _risky(self, change: Change) -> bool:
        gone = change.object is None and change.problem is None
        return change.ref not in self._explicit and (gone or change.ref.kind == AddressPool.KIND)

    def _attempt(self, choice: _Choice) -> _Attempt:
        world = self._world.evolve(choice.taken)
        claims = translate(world, self._claims)
        shown = sheltered(claims, self._ledger) if choice.sheltering else claims
        plan = plan_of(shown, self._ledger, self._plan)
        return _Attempt(world, claims, plan, choice.sheltering, choice.rest)

    def _judge(self, attempt: _Attempt) -> GuardRefusal | None:
        """The guard, asked only when so many addresses can have gone that it might refuse."""
        changed = attempt.plan.changed
        if changed is not None and _count(self._ledger, changed) < LEAST:
            return None
        return guard(self._ledger, attempt.plan, explicit=self._explicit)

    def _reserved(self, attempt: _Attempt) -> _Attempt:
        """No way was good enough: keep every address, serve nothing new."""
        everybody = {r for h in self._ledger.holdings.values() for r in h.members}
        claims = Claims(
            config=attempt.claims.config,
            host=attempt.claims.host,
            held=frozenset(everybody),
            revision=attempt.claims.revision,
        )
        return attempt._replace(plan=plan_of(claims, self._ledger, self._plan), sheltering=True)

    def _accept(self, attempt: _Attempt, refusal: GuardRefusal | None) -> Step:
        self._world, self._claims, self._plan = attempt.world, attempt.claims, attempt.plan
        self._sheltering = attempt.sheltering
        self._pending = {change.ref: change for change in attempt.rest}
        if refusal is None:
            self._explicit = frozenset()
        refused = self._refused(attempt, refusal) if refusal else None
        self._ledger = attempt.plan.ledger
        return Step(self._world, self._plan, spared(self._plan), refused, self._sheltering)

    def _refused(self, attempt: _Attempt, refusal: GuardRefusal) -> Refused:
        absent = missing(attempt.claims, self._ledger) if attempt.sheltering else frozenset()
        token = _token(refusal)
        return Refused(
            addresses=refusal.addresses,
            withheld=tuple(sorted({*self._pending, *absent})),
            token=token,
            message=f"{refusal.message} Or annotate an AddressPool with {CONFIRM}: {token}",
        )


def _count(ledger: Ledger, groups: frozenset[GroupKey]) -> int:
    holdings = (ledger.holdings.get(key) for key in groups)
    return sum(len(holding.assignments) for holding in holdings if holding is not None)


def _token(refusal: GuardRefusal) -> str:
    text = " ".join(map(canonical, refusal.addresses))
    return sha256(text.encode()).hexdigest()[:12]


def _confirmed(world: World, token: str) -> bool:
    return any(
        pool.metadata.annotations.get(CONFIRM, "").strip() == token
        for pool in world.every(AddressPool)
    )
