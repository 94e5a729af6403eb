"""One translation in the making: every Service, or those that a change concerns."""

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from immutables import Map

from fairlead.dialects.concerns import concerned
from fairlead.dialects.facts import Facts
from fairlead.dialects.index import Index
from fairlead.dialects.reading import NODES, NOTHING, Hint, Reading
from fairlead.dialects.select import read_service
from fairlead.dialects.translated import Translated
from fairlead.dialects.view import View
from fairlead.model.claim import Claim
from fairlead.model.kube import Service
from fairlead.model.names import Ref
from fairlead.model.objects import AddressPool
from fairlead.model.verdict import State, Verdict
from fairlead.model.world import World

Value = TypeVar("Value")


class Draft:
    """The working state of one translation."""

    def __init__(self, world: World, facts: Facts, previous: Translated) -> None:
        self.world = world
        self.facts = facts
        self.previous = previous
        self.touched: set[Ref] = set()
        self.hints: dict[Ref, tuple[Hint, ...]] = {}
        self.held: dict[Ref, bool] = {}

    # -- in full ---------------------------------------------------------------------------------

    def whole(self, *, fresh: bool = False) -> Translated:
        """Read every Service. Values equal to those before are shared with them."""
        view = self._view(bulk=True)
        claims: dict[Ref, tuple[Claim, ...]] = {}
        verdicts: dict[Ref, Verdict] = {}
        held = {ref for ref in self._subjects() if self._unusable(ref)}
        for ref, service in self._services():
            reading = read_service(ref, service, view)
            if reading.claims:
                claims[ref] = reading.claims
            if reading.verdict is not None:
                verdicts[ref] = reading.verdict
            if reading.held:
                held.add(ref)
            if reading.hints:
                self.hints[ref] = reading.hints
        for ref in self._subjects():
            verdict = self._verdict(ref, NOTHING)
            if verdict is not None:
                verdicts[ref] = verdict
        before = self.previous
        return self._result(
            by_ref=self._shared(before.by_ref, claims),
            verdicts=self._shared(before.verdicts, verdicts),
            held=frozenset(held),
            index=Index[Ref]().revised(self.hints),
            touched=None if fresh else frozenset(self.touched | (held ^ before.held)),
        )

    def _services(self) -> Iterator[tuple[Ref, Service]]:
        table: Map[str, Any] = self.world.tables.get(Service.KIND, Map())
        for namespace, rows in table.items():
            for name, service in rows.items():
                yield Ref(Service.KIND, namespace, name), service

    def _subjects(self) -> set[Ref]:
        """The objects other than Services that there may be something to say about."""
        facts = self.facts
        shared = (*facts.cluster.verdicts, *facts.space.verdicts, *facts.settings)
        return {*shared, *self.world.problems, *self.world.lingering}

    def _shared(self, old: Map[Ref, Value], new: dict[Ref, Value]) -> Map[Ref, Value]:
        """``new`` as a map that takes every equal value from ``old``; notes the others."""
        if not old:
            self.touched.update(new)
            return Map(new)
        for ref, value in new.items():
            before = old.get(ref)
            if before == value:
                new[ref] = before
            else:
                self.touched.add(ref)
        self.touched.update(ref for ref in old if ref not in new)
        return Map(new)

    # -- incrementally ---------------------------------------------------------------------------

    def revised(self, touched: frozenset[Ref]) -> Translated:
        """Read what the touched objects concern."""
        before = self.previous
        subjects = set(touched) | self._moved_verdicts()
        services = concerned(touched, before.world, self.world, before.index)
        if self._nodes_moved():
            services.update(before.index.users_of(NODES))
        view = self._view(bulk=False)
        by_ref, verdicts = before.by_ref.mutate(), before.verdicts.mutate()
        for ref in services | subjects:
            reading = self._reading(ref, view)
            self._put(by_ref, ref, reading.claims or None)
            self._put(verdicts, ref, self._verdict(ref, reading))
            self.hints[ref] = reading.hints
            self._hold(ref, reading)
        return self._result(
            by_ref=by_ref.finish() if self.touched else before.by_ref,
            verdicts=verdicts.finish() if self.touched else before.verdicts,
            held=self._held(),
            index=before.index.revised(self.hints),
            touched=frozenset(self.touched),
        )

    def _moved_verdicts(self) -> set[Ref]:
        """Shared objects about which something else is said now."""
        old, new = self.previous.facts, self.facts
        moved: set[Ref] = set()
        for before, now in (
            (old.cluster.verdicts, new.cluster.verdicts),
            (old.space.verdicts, new.space.verdicts),
            (old.settings, new.settings),
        ):
            if before is not now:
                moved.update(before, now)
        return moved

    def _nodes_moved(self) -> bool:
        old, new = self.previous.facts.cluster, self.facts.cluster
        return (
            old.points is not new.points
            or old.workers is not new.workers
            or old.serving is not new.serving
        )

    def _reading(self, ref: Ref, view: View) -> Reading:
        service = self.world.service(ref) if ref.kind == Service.KIND else None
        return NOTHING if service is None else read_service(ref, service, view)

    def _put(self, table: Any, ref: Ref, value: tuple[Claim, ...] | Verdict | None) -> None:
        if table.get(ref) == value:
            return
        self.touched.add(ref)
        if value is None:
            del table[ref]
        else:
            table[ref] = value

    def _hold(self, ref: Ref, reading: Reading) -> None:
        held = reading.held or self._unusable(ref)
        if held != (ref in self.previous.held):
            self.held[ref] = held
            self.touched.add(ref)

    def _held(self) -> frozenset[Ref]:
        if not self.held:
            return self.previous.held
        gone = {ref for ref, held in self.held.items() if not held}
        return (self.previous.held - gone) | (self.held.keys() - gone)

    # -- both ------------------------------------------------------------------------------------

    def _view(self, *, bulk: bool) -> View:
        cluster, space, _ = self.facts
        return View(self.world, cluster=cluster, space=space, bulk=bulk)

    def _verdict(self, ref: Ref, reading: Reading) -> Verdict | None:
        """A problem of the object itself comes before what its last good version reads as."""
        if ref in self.world.problems:
            return self._refused(ref)
        return (
            reading.verdict
            or self.facts.cluster.verdicts.get(ref)
            or self.facts.space.verdicts.get(ref)
            or self.facts.settings.get(ref)
        )

    def _refused(self, ref: Ref) -> Verdict:
        return Verdict(ref, State.REJECTED, self.world.problems[ref])

    def _unusable(self, ref: Ref) -> bool:
        """Whether an object exists of which not everything can be read. Addresses that stand on it
        stay reserved: a typo must not release any. So do those kept for the return of an object."""
        if ref in self.world.lingering:
            return True
        if ref in self.world.problems:
            return not self._readable(ref)
        verdict = self.facts.space.verdicts.get(ref) if ref.kind == AddressPool.KIND else None
        return verdict is not None and verdict.state is State.REJECTED

    def _readable(self, ref: Ref) -> bool:
        """Whether a last good version of the object is in use."""
        rows = self.world.tables.get(ref.kind, Map()).get(ref.namespace, Map())
        return ref.name in rows

    def _result(
        self,
        *,
        by_ref: Map[Ref, tuple[Claim, ...]],
        verdicts: Map[Ref, Verdict],
        held: Iterable[Ref],
        index: Index[Ref],
        touched: frozenset[Ref] | None,
    ) -> Translated:
        cluster, space, _ = self.facts
        return Translated(
            config=self.world.config,
            host=self.world.host,
            by_ref=by_ref,
            verdicts=verdicts,
            pools=space.pools,
            engine_rules=cluster.engine_rules,
            node_addresses=cluster.node_addresses,
            peers=cluster.peers,
            held=frozenset(held),
            revision=self.world.revision,
            base=self.previous.revision,
            touched=touched,
            world=self.world,
            facts=self.facts,
            index=index,
        )
