"""What is published -> a plan that an engine can compile: the only decision left is who holds what.

Every agent decides that by itself, so it must not depend on what an agent saw before: the holders
of a VIP are the first able engines, those it is at home on before the others, whose order is that
of :mod:`place`. Losing an engine moves only its VIPs, and its return moves back only those.

What comes before and after that order is in :mod:`order`.

Able is who is ready and, with externalTrafficPolicy Local, has an endpoint. Where nobody is able,
readiness is no information (they cannot all have failed at once, or nothing helps): then it is left
out of account, so that whoever holds a VIP goes on.
"""

from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from immutables import Map, MapMutation

from fairlead.model.claim import EngineRule, Role
from fairlead.model.plan import Placement, Plan, Vip, VipKey
from fairlead.model.served import Served, ServedVip
from fairlead.planner.order import Order, arranged, buffers, leaving, leaving_last, numbered
from fairlead.planner.place import Rules, cluster_nodes, eligible, orders, ready, slot_of

if TYPE_CHECKING:
    from fairlead.model.names import GroupKey

Engines = frozenset[str]


def serve(served: Served, previous: Plan | None = None) -> Plan:
    """The plan for what is served. ``previous`` makes it incremental; the result does not depend on
    it, but for ``changed``."""
    if previous is None or served.moved is None or previous.claims.revision != served.base:
        return _Draft(served, Plan()).whole(fresh=True)
    draft = _Draft(served, previous)
    if served.engine_rules is not previous.claims.engine_rules:
        return draft.whole()
    return draft.revise()


class Roster(NamedTuple):
    """An engine group as one role sees it: the order of preference by slot, everybody in it, who is
    ready, and who runs pods; who is the ``buffer``, and who is ``leaving``. ``cells``: the number
    of each engine's cell, if there are several. ``failback``: as the group has it."""

    table: tuple[Order, ...]
    everybody: Engines
    ready: Engines
    nodes: Engines
    buffer: Engines = frozenset()
    leaving: Engines = frozenset()
    cells: Mapping[str, int] = {}
    failback: bool = True

    @property
    def plain(self) -> bool:
        """Whether nothing but home and the table decides."""
        return not (self.buffer or self.leaving or self.cells)


def roster_of(rule: EngineRule, role: Role) -> Roster:
    """The roster of a group. Its cost grows with the engines, so keep it for many VIPs."""
    names = eligible(rule.engines, role)
    everybody = frozenset(names)
    return Roster(
        orders(names),
        everybody,
        ready(rule.engines) & everybody,
        cluster_nodes(rule.engines),
        buffers(names, rule.buffer),
        leaving(rule.engines) & everybody,
        numbered(names),
        rule.failback,
    )


def holders(vip: ServedVip, roster: Roster) -> Order:
    """Who holds a VIP."""
    able = _able(vip, roster)
    if not roster.plain:
        there = tuple(n for n in order_of(vip, roster) or vip.home if n in able)
        return leaving_last(there, roster.leaving)[: vip.engines]
    if vip.engines == 1 and vip.home and vip.home[0] in able:
        return vip.home if len(vip.home) == 1 else vip.home[:1]
    first = [name for name in dict.fromkeys(vip.home) if name in able][: vip.engines]
    order = roster.table[slot_of(vip)]
    rest = (name for name in order if name in able and name not in first)
    return (*first, *islice(rest, vip.engines - len(first)))


def order_of(vip: ServedVip, roster: Roster) -> Order:
    """All candidates of a VIP by preference, whoever is ready, and whoever leaves."""
    fitting = roster.everybody
    if vip.nodes is not None:
        fitting = fitting & (vip.nodes | (fitting - roster.nodes)) or fitting
    table = roster.table[slot_of(vip)]
    if roster.plain:
        return tuple(name for name in dict.fromkeys((*vip.home, *table)) if name in fitting)
    order = [name for name in table if name in fitting]
    # what was taken over by the buffer returns from it, unless nothing ever does
    guests = roster.buffer if roster.failback else frozenset()
    home = [name for name in vip.home if name not in guests]
    found = arranged(order, home=home, buffer=roster.buffer, holders=vip.engines)
    if not (roster.cells and found) or vip.engines > 1:
        return found
    near = roster.cells[found[0]]  # a VIP stays in the cell that it is at home in
    return tuple(sorted(found, key=lambda name: roster.cells[name] != near))


def _able(vip: ServedVip, roster: Roster) -> Engines:
    """The engines to choose from: of all that fit, those that are ready, unless none is."""
    if vip.nodes is not None:
        fitting = roster.everybody & (vip.nodes | (roster.everybody - roster.nodes))
        if fitting:
            return fitting & roster.ready or fitting
    return roster.ready or roster.everybody or frozenset(vip.home)


class _Draft:
    """One plan in the making."""

    def __init__(self, served: Served, previous: Plan) -> None:
        self.served = served
        self.previous = previous
        self.changed: set[GroupKey] = set()
        self._rules: Rules = served.engine_rules
        self._rosters: dict[tuple[str, Role], Roster] = {}

    def whole(self, *, fresh: bool = False) -> Plan:
        """Place every VIP."""
        active: Map[VipKey, Order] = Map()
        seats = active.mutate()
        for outcome in self.served.outcomes.values():
            for vip in outcome.vips:
                self._seat(vip, seats)
        self.changed.update(self.served.moved or ())
        return self._plan(seats, fresh=fresh)

    def revise(self) -> Plan:
        """Place the VIPs of the groups that moved."""
        seats = self.previous.placement.active.mutate()
        for key in self.served.moved or ():
            self.changed.add(key)
            old, new = self.previous.outcomes.get(key), self.served.outcomes.get(key)
            for vip in old.vips if old else ():
                del seats[vip.key]
            for vip in new.vips if new else ():
                self._seat(vip, seats)
        return self._plan(seats)

    def _seat(self, vip: Vip, seats: "MapMutation[VipKey, Order]") -> None:
        assert isinstance(vip, ServedVip)
        key = vip.key
        before = self.previous.placement.active.get(key)
        roster = self._roster(vip)
        now = holders(vip, roster) if roster else ()
        seats[key] = before if before == now else now
        if before != now:
            self.changed.add(vip.group)

    def _roster(self, vip: Vip) -> Roster | None:
        found = self._rosters.get((vip.engine_group, vip.role))
        rule = self._rules.get(vip.engine_group)
        if found is None and rule is not None:
            found = self._rosters[vip.engine_group, vip.role] = roster_of(rule, vip.role)
        return found

    def _plan(self, seats: "MapMutation[VipKey, Order]", *, fresh: bool = False) -> Plan:
        return Plan(
            claims=self.served,
            outcomes=self.served.outcomes,
            placement=Placement(active=seats.finish()),
            changed=None if fresh else frozenset(self.changed),
        )
