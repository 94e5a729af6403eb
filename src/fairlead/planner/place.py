"""VIP -> engines: rendezvous hashing with bounded load.

The hash of a VIP's address picks one of 1 024 slots, and each slot has a fixed order of preference
over the engines: cells of at most 16 first, then the engines of the cell. So the cost of placing a
VIP does not grow with the number of engines, nobody holds more than 1.15 times the mean, and the
order does not depend on who is alive: losing an engine moves only its VIPs, and its return moves
back only those.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b
from itertools import islice
from math import ceil
from typing import NamedTuple

from immutables import Map, MapMutation

from fairlead.model.claim import Engine, EngineRule, Role
from fairlead.model.plan import Placed, Placement, Plan, Vip, VipKey
from fairlead.planner.order import Order, arranged, buffers, cells, leaving

SLOTS = 1024
BOUND = 1.15
STANDBYS = 2
NOBODY = ""
Rules = Map[str, EngineRule]


def slot_of(vip: Vip) -> int:
    """The slot of a VIP, by its first address; Fibonacci hashing spreads neighbours."""
    return (int(vip.addresses[0]) * 0x9E3779B97F4A7C15 >> 32) % SLOTS


@lru_cache(maxsize=64)
def orders(engines: Order) -> tuple[Order, ...]:
    """For each slot, all engines by preference. Depends on names only, never on who is alive."""
    parts = cells(engines)
    return tuple(
        tuple(
            name
            for _, cell in sorted((_weight(slot, "/".join(cell)), cell) for cell in parts)
            for name in sorted(cell, key=lambda name: _weight(slot, name))
        )
        for slot in range(SLOTS)
    )


def _weight(slot: int, name: str) -> bytes:
    return blake2b(f"{slot}:{name}".encode(), digest_size=8).digest()


@lru_cache(maxsize=64)
def eligible(engines: tuple[Engine, ...], role: Role) -> Order:
    """The engines of a role; where a group has none of that role, all of them."""
    names = tuple(e.name for e in engines if e.role == role)
    return names or tuple(e.name for e in engines)


@lru_cache(maxsize=64)
def ready(engines: tuple[Engine, ...]) -> frozenset[str]:
    """The engines that can serve now."""
    return frozenset(e.name for e in engines if e.ready)


@lru_cache(maxsize=64)
def willing(engines: tuple[Engine, ...]) -> frozenset[str]:
    """The engines that can serve now, and are not to leave."""
    return ready(engines) - leaving(engines)


@lru_cache(maxsize=64)
def cluster_nodes(engines: tuple[Engine, ...]) -> frozenset[str]:
    """The engines that are nodes of the cluster; only these can be bound by Local endpoints."""
    return frozenset(e.name for e in engines if e.node)


class Roster(NamedTuple):
    """An engine group as one role sees it: the order of preference by slot, who can serve now, and
    who of all is a node of the cluster; who is to leave, and who is the buffer."""

    table: tuple[Order, ...]
    able: frozenset[str]
    nodes: frozenset[str]
    leaving: frozenset[str] = frozenset()
    buffer: frozenset[str] = frozenset()

    @property
    def bearing(self) -> int:
        """How many engines share the load."""
        return len(self.able - self.leaving - self.buffer) or len(self.able) or 1


def roster_of(rule: EngineRule, role: Role) -> Roster:
    """The roster of a group. Its cost grows with the engines, so keep it for many VIPs."""
    engines, names = rule.engines, eligible(rule.engines, role)
    return Roster(
        orders(names),
        ready(engines),
        cluster_nodes(engines),
        leaving(engines),
        buffers(names, rule.buffer),
    )


def candidates(vip: Vip, roster: Roster) -> tuple[Order, frozenset[str]]:
    """The order of preference of a VIP, and which of it may hold it now: those who are to leave
    only where there is nobody else."""
    able = roster.able
    if vip.nodes is not None:
        able = able & (vip.nodes | (able - roster.nodes))
    if roster.leaving:
        order = roster.table[slot_of(vip)]
        able = able - roster.leaving if not able.isdisjoint(set(order) - roster.leaving) else able
    return roster.table[slot_of(vip)], able


def scale_of(vip: Vip, rule: EngineRule) -> int:
    """How many engines are to hold a VIP at once. On a LAN it is one: two that answer for the same
    address are a fault there."""
    if vip.announce == "l2":
        return 1
    least = rule.min_scale if rule.mode == "ActiveActive" else 1
    wanted = max(least, vip.scale)
    return min(wanted, max(least, rule.max_scale)) if rule.max_scale else wanted


def placed(plan: Plan, vip: Vip) -> Placed:
    """Who holds a VIP, and who would be next."""
    active = plan.placement.active.get(vip.key, ())
    rule = plan.claims.engine_rules.get(vip.engine_group)
    if rule is None:
        return Placed(active)
    roster = roster_of(rule, vip.role)
    order, able = candidates(vip, roster)
    spare_first = arranged(order, home=(), buffer=roster.buffer, holders=0)
    next_best = (name for name in spare_first if name in able and name not in active)
    return Placed(active, tuple(islice(next_best, STANDBYS)))


def is_full(vip: Vip, rule: EngineRule) -> bool:
    """Whether it is for want of room that nobody holds a VIP."""
    return bool(rule.max_vips) and bool(candidates(vip, roster_of(rule, vip.role))[1])


class Seating:
    """The working copy of a placement during one plan."""

    def __init__(self, before: Placement, rules: Rules) -> None:
        self.rules = rules
        self.active = before.active.mutate()
        self.counts = before.counts.mutate()
        self.away = before.away
        self.homes = before.homes
        self._before = before
        self._returned: dict[VipKey, str] = {}
        self._rosters: dict[tuple[str, Role], Roster] = {}
        self._loads: dict[str, MapMutation[VipKey, int]] = {}

    def leave(self, vip: Vip) -> None:
        """A VIP that is gone."""
        engines = self.active.pop(vip.key, None)
        if engines is None:
            return
        for engine in engines or (NOBODY,):
            del self._load(engine)[vip.key]
        self.counts[vip.engine_group] = self.counts.get(vip.engine_group, 0) - 1

    def seat(self, vip: Vip) -> None:
        """Place a new VIP, or one whose engines may have changed; it stays where it may stay."""
        key = vip.key
        present = self.active.get(key)
        known = present or ()
        if present is None:
            self.counts[vip.engine_group] = self.counts.get(vip.engine_group, 0) + 1
            known = self.homes.get(key, ())
        rule = self.rules.get(vip.engine_group)
        chosen = self._choose(vip, rule, known) if rule else ()
        if present is None and known:
            self._miss(vip, known, chosen)
        if chosen != present:
            self._move(key, present, chosen)

    def is_new(self, vip: Vip) -> bool:
        """Whether nobody knows where it was before."""
        key = vip.key
        return key not in self.active and key not in self.homes

    def _miss(self, vip: Vip, home: Order, chosen: Order) -> None:
        """It returns to those at home who cannot hold it now."""
        for name in set(home) - set(chosen):
            empty: Map[VipKey, int] = Map()
            self.away = self.away.set(name, self.away.get(name, empty).set(vip.key, 1))

    def send_home(self, vip: Vip) -> None:
        """Give a VIP back to the engine that had it and returned, if it still may."""
        rule = self.rules.get(vip.engine_group)
        present = self.active.get(vip.key, ())
        engine = self._returned.get(vip.key, NOBODY)
        if rule is None or engine in present:
            return
        order, able = candidates(vip, self._roster(rule, vip.role))
        if engine in able and engine in order:
            kept = present[: scale_of(vip, rule) - 1]
            self._move(vip.key, present, (*kept, engine))

    def _choose(self, vip: Vip, rule: EngineRule, present: Sequence[str]) -> Order:
        roster = self._roster(rule, vip.role)
        order, able = candidates(vip, roster)
        # a VIP whose role changed (a DNAT came or went) may stay only where that role is
        stay = tuple(name for name in present if name in able and name in order)
        scale = scale_of(vip, rule)
        if len(stay) >= scale:
            return stay[:scale]
        spare = scale - len(stay)
        limit = self._limit(rule, scale, alive=roster.bearing)
        # what is taken over goes to the buffer first; what is new has its home elsewhere
        busy = len(order) if not present else 0
        line = arranged(order, home=(), buffer=roster.buffer, holders=busy)

        def free(but: Order) -> Iterator[str]:
            return (name for name in line if name in able and name not in but)

        chosen = tuple(islice((n for n in free(stay) if len(self._load(n)) < limit), spare))
        if len(chosen) < spare and (present or not rule.max_vips):  # a take-over before a limit
            chosen += tuple(islice(free((*stay, *chosen)), spare - len(chosen)))
        return (*stay, *chosen)

    def _roster(self, rule: EngineRule, role: Role) -> Roster:
        roster = self._rosters.get((rule.name, role))
        if roster is None:
            roster = self._rosters[rule.name, role] = roster_of(rule, role)
        return roster

    def _limit(self, rule: EngineRule, scale: int, *, alive: int) -> int:
        bound = ceil(BOUND * self.counts.get(rule.name, 0) * scale / alive)
        return min(bound, rule.max_vips) if rule.max_vips else bound

    def _move(self, key: VipKey, old: Order | None, new: Order) -> None:
        if old is not None:
            for engine in set(old or (NOBODY,)) - set(new):
                del self._load(engine)[key]
        for engine in set(new or (NOBODY,)) - set(old or ()):
            self._load(engine)[key] = 1
        self.active[key] = new

    def _load(self, engine: str) -> MapMutation[VipKey, int]:
        load = self._loads.get(engine)
        if load is None:
            empty: Map[VipKey, int] = Map()
            load = self._loads[engine] = self._before.loads.get(engine, empty).mutate()
        return load

    def close(self) -> Placement:
        """The placement to keep."""
        loads = self._before.loads.mutate()
        for engine, load in self._loads.items():
            loads[engine] = load.finish()
        return Placement(
            active=self.active.finish(),
            loads=loads.finish(),
            away=self.away,
            counts=self.counts.finish(),
        )

    def revise(self, old: Rules, vips: Iterable[Vip]) -> tuple[set[VipKey], set[VipKey]]:
        """The VIPs that a change of engines concerns: those that lost a holder or never had one,
        and those that may go home to an engine that came back, which some of the former may.
        ``vips`` is read only when an engine group changed in more than who is alive."""
        lost: set[VipKey] = set()
        home: set[VipKey] = set()
        shaped = {n for n in {*old, *self.rules} if _reshaped(old.get(n), self.rules.get(n))}
        if shaped:
            lost.update(vip.key for vip in vips if vip.engine_group in shaped)
        for name in set(old) & set(self.rules):
            was, now = old[name], self.rules[name]
            for engine in willing(was.engines) - willing(now.engines):
                held = self._before.loads.get(engine, Map())
                self.away = self.away.set(engine, self._without_guests(held))
                lost.update(held)
            for engine in willing(now.engines) - willing(was.engines):
                lost.update(self._before.loads.get(NOBODY, Map()))
                if now.failback:
                    returned = self.away.get(engine, Map())
                    self._returned.update(dict.fromkeys(returned, engine))
                    home.update(returned)
                self.away = self.away.delete(engine) if engine in self.away else self.away
        return lost, home

    def _without_guests(self, held: Map[VipKey, int]) -> Map[VipKey, int]:
        """What goes home to an engine when it returns: not what it had taken over from one that is
        away itself, which that one gets back."""
        away = [*self.away.values()]
        if not away:
            return held
        kept = held.mutate()
        for key in held:
            alone = len(self._before.active.get(key, ())) == 1
            if alone and any(key in absent for absent in away):
                del kept[key]
        return kept.finish()


def _reshaped(was: EngineRule | None, now: EngineRule | None) -> bool:
    """Whether more changed than who is alive, or leaves."""
    if was is None or now is None:
        return True
    if was is now:
        return False
    shape = [(e.name, e.role, e.node) for e in was.engines]
    return shape != [(e.name, e.role, e.node) for e in now.engines] or (
        (was.mode, was.min_scale, was.max_scale, was.buffer, was.max_vips)
        != (now.mode, now.min_scale, now.max_scale, now.buffer, now.max_vips)
    )
