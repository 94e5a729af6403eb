"""Claims and ledger in, plan out.

In full, every group is planned. After a change only the groups that it concerns are: those of the
objects that changed, those that wait for an address when one was freed, and the VIPs of engines
that came or went. The result is the same either way; a property test compares them.
"""

from collections.abc import Callable, Iterable, Iterator

from immutables import Map
from msgspec.structs import replace

from fairlead.model.addresses import IPAddress
from fairlead.model.claim import DEFAULT_SPACE, Claim, Claims
from fairlead.model.ledger import Holding, Ledger, Spot
from fairlead.model.names import GroupKey, Ref
from fairlead.model.plan import Outcome, Plan, Vip, VipKey
from fairlead.planner import group as grouping
from fairlead.planner.admit import admit
from fairlead.planner.allocate import Case, settle
from fairlead.planner.book import Book, Cursors
from fairlead.planner.lease import holder_of, namesakes, renamed
from fairlead.planner.outcome import outcome_of
from fairlead.planner.place import Seating

Groups = dict[GroupKey, list[Claim]]


def plan(claims: Claims, ledger: Ledger, previous: Plan | None = None) -> Plan:
    """Decide everything. ``previous`` makes it incremental where the claims say what changed since,
    and gives the placement to stay close to in any case."""
    if previous is not None and _follows(claims, ledger, previous):
        return _Draft(claims, ledger, previous, claims.touched or frozenset()).revise()
    placement = previous.placement if previous is not None else Plan().placement
    outcomes: Map[GroupKey, Outcome] = previous.outcomes if previous is not None else Map()
    return _Draft(claims, ledger, Plan(placement=placement), frozenset()).whole(outcomes)


def _follows(claims: Claims, ledger: Ledger, previous: Plan) -> bool:
    """Whether the change from the previous plan is known object by object."""
    before = previous.claims
    return (
        claims.touched is not None
        and claims.base == before.revision
        and ledger is previous.ledger
        and claims.config == before.config
        and claims.pools == before.pools
        and claims.peers == before.peers
        and (claims.held is before.held or claims.held ^ before.held <= claims.touched)
    )


class _Draft:
    """One plan in the making; it never leaves this module."""

    def __init__(
        self, claims: Claims, ledger: Ledger, previous: Plan, touched: frozenset[Ref]
    ) -> None:
        self.claims = claims
        self.previous = previous
        self.touched = touched
        self.renumbered = self._renumbered()
        self.book = Book(claims, ledger, self._cursors())
        self.pools = {pool.name: pool for pool in claims.pools}
        self.routers = [rule.peer for rule in claims.peers]
        self.asked = previous.asked
        self.hostnames = previous.hostnames
        self.outcomes = previous.outcomes.mutate()
        self.groups_of = previous.groups_of.mutate()
        self.waiting = previous.waiting.mutate()
        self.changed: set[GroupKey] = set()
        self.cases: dict[GroupKey, Case] = {}

    def _cursors(self) -> Cursors:
        """Cursors pass over node addresses: one that is no node's any more needs a fresh start."""
        cursors = self.previous.cursors
        for pool in self.claims.pools if self.renumbered else ():
            for index, span in enumerate(pool.ranges):
                if (pool.name, index) in cursors and any(a in span for a in self.renumbered):
                    cursors = cursors.delete((pool.name, index))
        return cursors

    def _renumbered(self) -> frozenset[IPAddress]:
        """The addresses that are a node's now and were not, or the other way round."""
        before, now = self.previous.claims.node_addresses, self.claims.node_addresses
        if before is now:
            return frozenset()
        return frozenset(before) ^ frozenset(now)

    # -- in full ---------------------------------------------------------------------------------

    def whole(self, before: Map[GroupKey, Outcome]) -> Plan:
        """Plan every group; ``before`` are outcomes whose VIPs the placement still knows."""
        everything = [c for claims in self.claims.by_ref.values() for c in claims]
        self.asked = grouping.reindex(Map(), (), everything)
        self.hostnames = renamed(Map(), (), everything)
        groups = self._gather(everything)
        self._drop_vanished(set(self.book.ledger.holdings) - set(groups))
        self._plan_groups(groups)
        seating = self._seating()
        for outcome in before.values():
            for vip in outcome.vips:
                if not self._still(vip):
                    seating.leave(vip)
        # First those that have a place, then in order of their keys, as they were opened: a bounded
        # load makes each placement depend on those before.
        vips = [vip for key in self.cases for vip in self.outcomes[key].vips]
        for vip in sorted(vips, key=seating.is_new):
            seating.seat(vip)
        return self._close(seating, changed=None)

    def _still(self, vip: Vip) -> bool:
        outcome = self.outcomes.get(vip.group)
        return outcome is not None and any(
            v.key == vip.key and v.addresses == vip.addresses and v.engine_group == vip.engine_group
            for v in outcome.vips
        )

    def _gather(self, claims: Iterable[Claim]) -> Groups:
        """Claims by group, each group's oldest first."""
        groups: Groups = {}
        loose: list[Ref] = []
        for claim in claims:
            if claim.group is None and claim.addresses:
                loose.append(claim.ref)
            else:
                groups.setdefault(claim.group or grouping.own_key(claim), []).append(claim)
        groups.update(grouping.components(sorted(loose), self.asked, self.claims.by_ref))
        for key, members in groups.items():
            if len(members) > 1:
                members.sort(key=lambda claim: claim.order)
            for claim in members:
                self._enrol(claim.ref, key)
        return groups

    def _enrol(self, ref: Ref, key: GroupKey) -> None:
        present = self.groups_of.get(ref)
        if present is None:
            self.groups_of[ref] = (key,)
        elif key not in present:
            self.groups_of[ref] = tuple(sorted((*present, key)))

    # -- incrementally ---------------------------------------------------------------------------

    def revise(self) -> Plan:
        """Plan the groups that the change concerns."""
        groups, vanished = self._regroup()
        self._drop_vanished(vanished)
        self._plan_groups(groups)
        seating = self._seating()
        self._reseat(seating)
        return self._close(seating, changed=frozenset(self.changed))

    def _regroup(self) -> tuple[Groups, set[GroupKey]]:
        """The groups that changed objects belong to now, and the groups that are no more."""
        old = [c for r in self.touched for c in self.previous.claims.by_ref.get(r, ())]
        new = [c for r in self.touched for c in self.claims.by_ref.get(r, ())]
        self.asked = grouping.reindex(self.asked, old, new)
        self.hostnames = renamed(self.hostnames, old, new)
        keys = {c.group or grouping.own_key(c) for c in new if c.group or not c.addresses}
        for ref in namesakes(self.hostnames, (*old, *new)):
            keys.update(self.groups_of.get(ref, ()))
        keys |= self._on_nodes()
        refs = self._spread(set(self.touched), keys)
        for ref in refs:
            self.groups_of.pop(ref, None)
        groups = self._gather(self._claims_of(refs))
        return groups, {key for key in keys if key not in groups}

    def _on_nodes(self) -> set[GroupKey]:
        """The groups that hold what a node has now: a VIP must not be a node's own address."""
        spaces = {pool.space for pool in self.claims.pools} | {DEFAULT_SPACE}
        spots = (Spot(space, address) for space in spaces for address in self.renumbered)
        holders = (self.book.holders.get(spot) for spot in spots)
        return {key for key in holders if key is not None}

    def _spread(self, refs: set[Ref], keys: set[GroupKey]) -> set[Ref]:
        """All objects whose group may be another one now: the members of every group, old or new,
        that one of them belongs to. Adds the groups to ``keys``."""
        todo = refs | self._members(keys)
        while todo:
            refs |= todo
            keys |= {key for ref in todo for key in self.groups_of.get(ref, ())}
            found = grouping.components(todo, self.asked, self.claims.by_ref)
            keys.update(found)
            near = {claim.ref for members in found.values() for claim in members}
            todo = (near | self._members(keys)) - refs
        return refs

    def _members(self, keys: set[GroupKey]) -> set[Ref]:
        found: set[Ref] = set()
        for key in keys:
            outcome = self.outcomes.get(key)
            found.update(claim.ref for claim in (outcome.claims if outcome else ()))
            if outcome and outcome.holding and not outcome.claims:
                found |= outcome.holding.members
        return found

    def _claims_of(self, refs: set[Ref]) -> Iterator[Claim]:
        for ref in sorted(refs):
            yield from self.claims.by_ref.get(ref, ())

    def _waiters(self) -> Groups:
        """The waiting groups, besides those being planned, for which something may have changed:
        an address is freed, or will be, or the group that has what they ask for is planned."""
        waiting = [(k, w) for k, w in self.previous.waiting.items() if k not in self.cases]
        if not waiting:
            return {}
        leaving = {a.spot for case in self.cases.values() for a in case.leaving}
        freed = leaving | self.book.freed
        planned = {*self.cases, *self.changed}
        holders = self.book.holders
        pooled = any(address in pool for address in self.renumbered for pool in self.claims.pools)
        found: Groups = {}
        for key, waits in waiting:
            asked = any(
                s in freed or s.address in self.renumbered or holders.get(s) in planned
                for s in waits.spots
            )
            outcome = self.outcomes.get(key)
            roomy = waits.pools and (freed or pooled)
            if outcome and outcome.claims and (asked or roomy):
                found[key] = list(outcome.claims)
        return found

    def _seating(self) -> Seating:
        """A VIP from DHCP is at home first where its lease was got."""
        placement, homes = self.previous.placement, dict[VipKey, tuple[str, ...]]()
        for key in self.cases:
            outcome = self.outcomes.get(key)
            if outcome is None or not outcome.leases:
                continue
            engine, vip = holder_of(outcome.leases), VipKey(key)
            if engine and vip not in placement.active and vip not in placement.homes:
                homes[vip] = (engine,)
        if homes:
            placement = replace(placement, homes=placement.homes.update(homes))
        return Seating(placement, self.claims.engine_rules)

    def _reseat(self, seating: Seating) -> None:
        rules, before = self.claims.engine_rules, self.previous.claims.engine_rules
        for key in self.changed:
            old = self.previous.outcomes.get(key)
            for vip in old.vips if old else ():
                if not self._still(vip):
                    seating.leave(vip)
        for key in sorted(self.changed):
            new = self.outcomes.get(key)
            for vip in new.vips if new else ():
                seating.seat(vip)
        if rules != before:
            everything = (v for o in self.previous.outcomes.values() for v in o.vips)
            lost, home = seating.revise(before, everything)
            self._each(lost, seating.seat)
            self._each(home, seating.send_home)

    def _each(self, keys: Iterable[VipKey], act: Callable[[Vip], None]) -> None:
        for key in sorted(keys):
            outcome = self.outcomes.get(key.group)
            for vip in outcome.vips if outcome else ():
                if vip.slot == key.slot:
                    act(vip)
                    self.changed.add(key.group)

    # -- both ------------------------------------------------------------------------------------

    def _drop_vanished(self, vanished: set[GroupKey]) -> None:
        """Release what vanished groups held, unless an unreadable object stands behind one."""
        for key in sorted(vanished):
            holding = self.book.holdings.get(key)
            self.outcomes.pop(key, None)
            self.waiting.pop(key, None)
            self.changed.add(key)
            if holding is None:
                continue
            if holding.members & self.claims.held:
                self._reserve(key, holding)
                continue
            for assignment in holding.assignments:
                self.book.free(assignment.spot, key)
            self.book.drop(key)

    def _reserve(self, key: GroupKey, holding: Holding) -> None:
        """Keep what a group holds while an object of it cannot be read."""
        self.outcomes[key] = Outcome(key, (), (), holding=holding)
        for ref in holding.members & self.claims.held:
            self._enrol(ref, key)

    def _plan_groups(self, groups: Groups) -> None:
        self._decide(self._open(groups) + self._open(self._waiters()))
        self._decide(self._open({**self._bereft(), **self._waiters()}))

    def _bereft(self) -> Groups:
        """The groups that lost their last address just now: the next plan would see them as never
        served, so this one does."""
        return {
            key: list(case.admission.claims)
            for key, case in self.cases.items()
            if case.before is not None and key not in self.book.holdings
        }

    def _open(self, groups: Groups) -> list[Case]:
        config, pools = self.claims.config, self.claims.pools
        opened = []
        for key in sorted(groups):
            holding = self._own(self.book.holdings.get(key))
            admission = admit(key, groups[key], holding, strict=config.strict, pools=pools)
            case = self.cases[key] = Case(admission, holding, self.book)
            opened.append(case)
        return opened

    def _own(self, holding: Holding | None) -> Holding | None:
        """What a group holds, without addresses that are a node's now."""
        nodes = self.claims.node_addresses
        if holding is None or not any(a.spot.address in nodes for a in holding.assignments):
            return holding
        for assignment in holding.assignments:
            if assignment.spot.address in nodes:
                self.book.free(assignment.spot, holding.group)
        rest = tuple(a for a in holding.assignments if a.spot.address not in nodes)
        return replace(holding, assignments=rest) if rest else None

    def _decide(self, cases: list[Case]) -> None:
        cases.sort(key=lambda case: case.order)
        settle(cases, self.book, self._members_of)
        for case in cases:
            holding = case.holding()
            self.book.settle(holding)
            found = outcome_of(case, holding, self.pools, self.routers, self._namesakes(case))
            self._record(case, found)

    def _namesakes(self, case: Case) -> list[Claim]:
        refs = namesakes(self.hostnames, case.admission.claims) if self.hostnames else ()
        return [*self._claims_of(set(refs))]

    def _record(self, case: Case, outcome: Outcome) -> None:
        key = case.group
        if self.outcomes.get(key) != outcome:
            self.outcomes[key] = outcome
            self.changed.add(key)
        if outcome.waits:
            self.waiting[key] = outcome.waits
        else:
            self.waiting.pop(key, None)

    def _members_of(self, key: GroupKey) -> tuple[Ref, ...]:
        """Who stands behind a group, for the reasons of others."""
        case = self.cases.get(key)
        claims = case.admission.claims if case else ()
        outcome = self.outcomes.get(key)
        claims = claims or (outcome.claims if outcome else ())
        holding = self.book.holdings.get(key)
        return tuple(c.ref for c in claims) or tuple(sorted(holding.members if holding else ()))

    def _close(self, seating: Seating, changed: frozenset[GroupKey] | None) -> Plan:
        ledger, cursors = self.book.close()
        return Plan(
            claims=self.claims,
            ledger=ledger,
            outcomes=self.outcomes.finish(),
            groups_of=self.groups_of.finish(),
            asked=self.asked,
            hostnames=self.hostnames,
            waiting=self.waiting.finish(),
            cursors=cursors,
            placement=seating.close(),
            changed=changed,
        )
