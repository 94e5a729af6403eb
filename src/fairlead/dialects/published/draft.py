"""One reading of what is published in the making: every group, or those that a change concerns.

An object is found through its group, backends through an index of what the last reading depended
on, so a pod that comes or goes costs one group.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from immutables import Map, MapMutation

from fairlead.dialects.concerns import services_of_slice, users_of_pod
from fairlead.dialects.facts import Facts
from fairlead.dialects.index import Index
from fairlead.dialects.leasing import groups_of_lease
from fairlead.dialects.published.groups import Placing, read_group
from fairlead.dialects.published.join import service_hint
from fairlead.dialects.published.leases import leased_otherwise, leases_of
from fairlead.dialects.published.objects import is_served, spot_of
from fairlead.dialects.reading import NODES, Hint, accepted
from fairlead.dialects.view import View
from fairlead.model.addresslease import AddressLease
from fairlead.model.kube import EndpointSlice, Pod, Service
from fairlead.model.names import GroupKey, Ref
from fairlead.model.plan import Outcome
from fairlead.model.served import Served
from fairlead.model.verdict import Reason, State, Verdict
from fairlead.model.virtualip import VirtualIP
from fairlead.model.world import World

Names = tuple[str, ...]
Key = TypeVar("Key")
Value = TypeVar("Value")


class Published(Served, frozen=True, kw_only=True):
    """What is served, with what the next reading starts from. ``members``: the names of a group's
    objects, served or not."""

    world: World = World()
    facts: Facts = Facts()
    index: Index[GroupKey] = Index()
    members: Map[GroupKey, Names] = Map()


class Draft:
    """The working state of one reading."""

    def __init__(self, world: World, facts: Facts, previous: Published) -> None:
        self.world = world
        self.facts = facts
        self.previous = previous
        self.hints: dict[GroupKey, tuple[Hint, ...]] = {}
        self.moved: set[GroupKey] = set()
        self.said: dict[Ref, Verdict | None] = {}

    def whole(self, *, fresh: bool = False) -> Published:
        """Read every group. Values equal to those before are shared with them."""
        groups: dict[GroupKey, list[str]] = {}
        for one in self.world.every(VirtualIP):
            groups.setdefault(one.spec.group.key, []).append(one.name)
        for lease in self.world.every(AddressLease):
            groups.setdefault(lease.key.group, [])
        outcomes: Map[GroupKey, Outcome] = Map()
        members: Map[GroupKey, Names] = Map()
        self.moved.update(key for key in self.previous.outcomes if key not in groups)
        self.said = dict.fromkeys([*self.previous.verdicts, *self.world.problems])
        self.hints = dict.fromkeys(self.previous.index.hints, ())
        return self._read(
            groups, self._view(bulk=True), outcomes.mutate(), members.mutate(), fresh=fresh
        )

    def revised(self, touched: frozenset[Ref]) -> Published:
        """Read what the touched objects concern."""
        before = self.previous
        self.said = {ref: None for ref in touched if ref.kind == VirtualIP.KIND}
        return self._read(
            self._concerned(touched),
            self._view(bulk=False),
            before.outcomes.mutate(),
            before.members.mutate(),
        )

    # -- what a change concerns ------------------------------------------------------------------

    def _concerned(self, touched: frozenset[Ref]) -> dict[GroupKey, set[str]]:
        """The groups to read again, with the names of their objects, old and new."""
        groups: dict[GroupKey, set[str]] = {key: set() for key in self._users(touched)}
        for ref in touched:
            if ref.kind == AddressLease.KIND:
                for key in groups_of_lease(ref.name, self.previous.world, self.world):
                    groups.setdefault(key, set())
        for ref in self.said:
            for snapshot in (self.previous.world, self.world):
                one = snapshot.find(VirtualIP, ref.name)
                if one is not None:
                    groups.setdefault(one.spec.group.key, set()).add(one.name)
        for key, names in groups.items():
            names.update(self.previous.members.get(key, ()))
        return groups

    def _users(self, touched: frozenset[Ref]) -> Iterator[GroupKey]:
        """The groups whose backends the touched objects concern."""
        index, before = self.previous.index, self.previous.world
        for ref in touched:
            match ref.kind:
                case Service.KIND:
                    yield from index.users_of(service_hint(ref))
                case EndpointSlice.KIND:
                    for service in services_of_slice(ref, before, self.world):
                        yield from index.users_of(service_hint(service))
                case Pod.KIND:
                    yield from users_of_pod(ref, before, self.world, index)
        if self._nodes_moved():
            yield from index.users_of(NODES)

    def _nodes_moved(self) -> bool:
        old, new = self.previous.facts.cluster, self.facts.cluster
        return (
            old.points is not new.points
            or old.workers is not new.workers
            or old.serving is not new.serving
        )

    # -- reading ---------------------------------------------------------------------------------

    def _view(self, *, bulk: bool) -> View:
        cluster, space, _ = self.facts
        return View(self.world, cluster=cluster, space=space, bulk=bulk)

    def _read(
        self,
        groups: Mapping[GroupKey, Iterable[str]],
        view: View,
        outcomes: "MapMutation[GroupKey, Outcome]",
        members: "MapMutation[GroupKey, Names]",
        *,
        fresh: bool = False,
    ) -> Published:
        for key, names in groups.items():
            objects = [one for name in sorted(names) if (one := self._member(name, key))]
            outcome, before = self._group(key, objects, view), self.previous.outcomes.get(key)
            if outcome != before:
                self.moved.add(key)
            _put(outcomes, key, before if outcome == before else outcome)
            _put(members, key, tuple(one.name for one in objects) or None)
        return self._result(outcomes.finish(), members.finish(), fresh=fresh)

    def _member(self, name: str, key: GroupKey) -> VirtualIP | None:
        """An object, if it is (still) in a group."""
        one = self.world.find(VirtualIP, name)
        return one if one is not None and one.spec.group.key == key else None

    def _group(self, key: GroupKey, objects: list[VirtualIP], view: View) -> Outcome | None:
        """One group, and what is said of its objects."""
        found: list[Placing] = []
        leases = leases_of(key, view)
        for one in objects:
            spot = spot_of(one)
            if self.previous.verdicts:
                self.said[one.ref] = None
            if isinstance(spot, Reason):
                self.said[one.ref] = Verdict(one.ref, State.REJECTED, spot)
            elif is_served(one) and not leased_otherwise(spot.address, leases):
                found.append(Placing(spot, one))
        reading = read_group(key, found, view, leases)
        for _, one in found if reading.doubts else ():
            self.said[one.ref] = accepted(one.ref, reading.doubts)
        self.hints[key] = reading.hints
        return reading.outcome

    # -- the result ------------------------------------------------------------------------------

    def _verdicts(self) -> tuple[Map[Ref, Verdict], frozenset[Ref]]:
        """All verdicts, and about whom they differ. A problem of an object as it was written comes
        before what its last good version reads as."""
        before = self.previous.verdicts
        verdicts = before.mutate()
        touched: set[Ref] = set()
        for ref, verdict in self.said.items():
            problem = self.world.problems.get(ref) if ref.kind == VirtualIP.KIND else None
            now = verdict if problem is None else Verdict(ref, State.REJECTED, problem)
            if before.get(ref) != now:
                touched.add(ref)
                _put(verdicts, ref, now)
        return (verdicts.finish(), frozenset(touched)) if touched else (before, frozenset())

    def _result(
        self, outcomes: Map[GroupKey, Outcome], members: Map[GroupKey, Names], *, fresh: bool
    ) -> Published:
        cluster, before = self.facts.cluster, self.previous
        verdicts, touched = self._verdicts()
        return Published(
            config=self.world.config,
            host=self.world.host,
            outcomes=outcomes,
            verdicts=verdicts,
            engine_rules=cluster.engine_rules,
            node_addresses=cluster.node_addresses,
            peers=cluster.peers,
            revision=self.world.revision,
            base=before.revision,
            touched=None if fresh else touched,
            moved=None if fresh else frozenset(self.moved),
            world=self.world,
            facts=self.facts,
            index=before.index.revised(self.hints),
            members=members,
        )


def _put(table: "MapMutation[Key, Value]", key: Key, value: Value | None) -> None:
    """Set a value, or drop it."""
    if value is None:
        table.pop(key, None)
    else:
        table[key] = value
