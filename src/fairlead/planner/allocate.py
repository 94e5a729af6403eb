"""Which addresses each group gets.

The ledger first: an address that is still valid never moves. Then static requests, then the pools,
each by age. A VIP that moves to another static address keeps the old one until it has the new one.
"""

from collections.abc import Callable, Sequence

from fairlead.model.addresses import Family, IPAddress
from fairlead.model.claim import Claim
from fairlead.model.ledger import EXTERNAL, Assignment, Holding, Owner, Spot
from fairlead.model.names import GroupKey, Ref
from fairlead.model.objects import AddressPool
from fairlead.model.plan import Waits
from fairlead.model.verdict import Code, Reason, State
from fairlead.planner import reasons
from fairlead.planner.admit import Admission, Refusal, wishes
from fairlead.planner.book import Book
from fairlead.planner.want import Want, admits, may_be_outside, required_of, want_of

INTERNAL = "internal"
MembersOf = Callable[[GroupKey], tuple[Ref, ...]]


def internal_slots(claim: Claim) -> tuple[str, ...]:
    """The slots of a claim's internal tier: one, or one for each listener."""
    if claim.internal is None:
        return ()
    if not claim.internal.per_listener:
        return (INTERNAL,)
    return tuple(f"{INTERNAL}/{p.protocol}/{p.port}" for p in claim.listeners)


class Case:
    """One group while its addresses are decided."""

    def __init__(self, admission: Admission, holding: Holding | None, book: Book) -> None:
        self.group = admission.group
        self.admission = admission
        self.before = holding
        self.book = book
        self.space = admission.claims[0].space
        self.members = list(admission.members)
        self.refused = dict(admission.refused)
        self.wish = dict(admission.wish)
        self.held: list[Assignment] = []
        self.leaving: list[Assignment] = []
        self._left_out: list[Claim] = []
        self._wants_room = False
        self.warnings: tuple[Reason, ...] = ()
        self.want = want_of(self.members or admission.claims, book)
        self._keep()

    @property
    def order(self) -> tuple[str, Ref, GroupKey]:
        """Older groups are served first."""
        oldest = self.admission.claims[0]
        return oldest.created, oldest.ref, self.group

    @property
    def waits(self) -> Waits:
        """What it would have taken had it been free."""
        if not self._left_out:
            return Waits(pools=self._wants_room)
        asked = {a for claim in self._left_out for a in claim.addresses}
        spots = (Spot(self.space, a) for a in sorted(asked, key=lambda a: (a.version, int(a))))
        return Waits(tuple(spots), self._wants_room)

    @property
    def lead(self) -> Claim:
        """The oldest member, whose engines and tier the VIP has."""
        if len(self.members) == 1:
            return self.members[0]
        return min(self.members, key=lambda claim: claim.order)

    def refuse(self, claims: Sequence[Claim], reason: Reason, state: State) -> None:
        """Leave members out, with a reason."""
        for claim in claims:
            self.refused[claim.key] = Refusal(state, reason)
        self._go_on_without(claims)

    def _go_on_without(self, claims: Sequence[Claim]) -> None:
        gone = {claim.key for claim in claims}
        self.members = [c for c in self.members if c.key not in gone]

    def external(self) -> list[Assignment]:
        """What it holds for clients."""
        return [a for a in self.held if a.slot == EXTERNAL]

    def families_held(self) -> set[Family]:
        """The families of those."""
        return {a.spot.address.version for a in self.external()}

    # -- the ledger first ------------------------------------------------------------------------

    def _keep(self) -> None:
        """Sort what the group holds into kept, released, and leaving once the new one is there."""
        slots = {slot for claim in self.members for slot in internal_slots(claim)}
        for held in self.before.assignments if self.before else ():
            if not self.members:
                self.held.append(held)
            elif held.slot != EXTERNAL:
                (self.held if self._valid_internal(held, slots) else self.leaving).append(held)
            elif not self._permitted(held):
                self.book.free(held.spot, self.group)
            elif self._wanted(held.spot.address):
                self.held.append(self._repooled(held))
            elif held.spot.address.version in self.wish:
                self.leaving.append(held)
            else:
                self.book.free(held.spot, self.group)

    def _valid_internal(self, held: Assignment, slots: set[str]) -> bool:
        tier = self.lead.internal
        pools = self.book.claims.pools_named(tier.pool) if tier else ()
        return held.slot in slots and any(held.spot.address in pool for pool in pools)

    def _permitted(self, held: Assignment) -> bool:
        """Whether the group may have the address at all. While its pool cannot be read it may."""
        claims, address = self.book.claims, held.spot.address
        if self._unreadable(held.pool) or any(address in pool for pool in self.want.pools):
            return True
        if self._leased(address.version):
            return True
        fixed = self.admission.keep or self.wish.get(address.version) == address
        return fixed and may_be_outside(self.members, claims.config)

    def _leased(self, family: Family) -> bool:
        """Whether an address of that family is from DHCP, and nobody says anything of its lease:
        then it stays, because a lease outlives whoever asked for it."""
        wishes = [claim.dhcp for claim in self.members if claim.dhcp is not None]
        return any(family in one.families and one.of(family) is None for one in wishes)

    def _wanted(self, address: IPAddress) -> bool:
        """Whether a permitted address stays. Where the members disagree it stays as it is."""
        wished = self.wish.get(address.version)
        if wished is not None:
            return wished == address
        if self.admission.keep:
            return True
        spare = self.want.any_family and bool(self.families_held() - {address.version})
        easy = any(not required_of(claim) for claim in self.members)
        return (easy or address.version in self.want.families) and not spare

    def _unreadable(self, pool: str) -> bool:
        return Ref(AddressPool.KIND, "", pool) in self.book.claims.held

    def _repooled(self, held: Assignment) -> Assignment:
        """The same address, under the name of the pool that has it now."""
        name = next((p.name for p in self.want.pools if held.spot.address in p), "")
        if not name and self._unreadable(held.pool):
            return held
        return held if held.pool == name else held._replace(pool=name)

    # -- static requests -------------------------------------------------------------------------

    def missing_static(self) -> list[IPAddress]:
        """Static addresses that the members agree on and the group has not got."""
        have = {a.spot.address for a in self.external()}
        return [self.wish[f] for f in sorted(self.wish) if self.wish[f] not in have]

    def take_static(self) -> bool:
        """Get the static addresses, all or none of them; False when one cannot be had now."""
        wanted = self.missing_static()
        if any(self._refused_static(address) or self._holder(address) for address in wanted):
            return False
        for address in wanted:
            spot = Spot(self.space, address)
            self.book.take(spot, self.group)
            self.held.append(self._repooled(Assignment(spot)))
        self.release_leaving()
        return True

    def give_up_static(self) -> None:
        """Go on without those who ask for an address that cannot be had."""
        for address in self.missing_static():
            # An address may be out of the question by now: those who asked for it asked for two.
            asked = self.wish.get(address.version) == address
            if asked and (self._refused_static(address) or self._holder(address)):
                self._leave_out(address)

    def word_refusals(self, members_of: MembersOf) -> None:
        """Say why static addresses were not to be had, once it is known who has them."""
        told = [(claim, self._static_refusal(claim, members_of)) for claim in self._left_out]
        told.sort(key=lambda pair: pair[0].order)
        blocker = next(((c, refusal) for c, refusal in told if refusal), None)
        if blocker is None:
            return
        asking, why = blocker
        beside = Refusal(why.state, reasons.beside([asking], why.reason))
        self.refused.update((claim.key, refusal or beside) for claim, refusal in told)

    def _static_refusal(self, claim: Claim, members_of: MembersOf) -> Refusal | None:
        for address in sorted(claim.addresses, key=lambda a: a.version):
            holder = self._holder(address)
            reason = self._refused_static(address)
            if reason is None and holder is not None:
                reason = reasons.address_in_use(address, holder, members_of(holder))
            if reason is not None:
                state = State.PENDING if reason.code is Code.NO_POOL else State.REJECTED
                return Refusal(state, reason)
        return None

    def _refused_static(self, address: IPAddress) -> Reason | None:
        """Why an address may not be asked for, whoever holds it."""
        claims = self.book.claims
        members = self.members or self.admission.members
        node = claims.node_addresses.get(address)
        if node is not None:
            return reasons.node_address(address, node)
        if any(address in pool for pool in self.want.pools):
            return None
        closed = [
            p for p in claims.pools
            if address in p and not all(admits(p, c) for c in members)
        ]  # fmt: skip
        if not closed and may_be_outside(members, claims.config):
            return None
        if self.want.named and not any(claims.pools_named(n) for n in self.want.named):
            return reasons.no_pool(self.want.named, members[0])
        return reasons.not_in_pool(address, closed, self.want.pools)

    def _holder(self, address: IPAddress) -> GroupKey | None:
        holder = self.book.holders.get(Spot(self.space, address))
        return None if holder == self.group else holder

    def _leave_out(self, address: IPAddress) -> None:
        """A served group stays where it is, without those who ask; another is not served at all."""
        self.held += self.leaving
        self.leaving = []
        asking = [c for c in self.members if address in c.addresses]
        others = [c for c in self.members if address not in c.addresses]
        if self.external():
            others = []
        self._left_out += asking + others
        self._go_on_without(asking + others)
        self.wish = wishes(self.members)
        self.want = want_of(self.members or self.admission.claims, self.book)

    # -- pools -----------------------------------------------------------------------------------

    def take_from_pools(self) -> None:
        """Get what is still missing; members whose needs cannot be met are left waiting."""
        while self.members:
            taken: list[Assignment] = []
            failure = self._fill(taken)
            if failure is None:
                self.held.extend(taken)
                return
            for assignment in taken:
                self.book.give_back(assignment.spot, self.group)
            family, reason = failure
            needy = [c for c in self.members if family in required_of(c)] or self.members
            self._wants_room = self.lead.dhcp is None
            self.refuse(list(needy), reason, State.PENDING)
            if self.members:
                self.want = want_of(self.members, self.book)

    def _fill(self, taken: list[Assignment]) -> tuple[Family, Reason] | None:
        have = self.families_held()
        if not have and self.want.any_family and not self._take_one((4, 6), self.want, taken):
            return 0, self._lacking((4, 6), self.want)
        for family in self.want.required:
            if family not in have and not self._take_one((family,), self.want, taken):
                return family, self._lacking((family,), self.want)
        self.warnings = ()
        for family in self.want.optional:
            if family not in have and not self._take_one((family,), self.want, taken):
                self.warnings = (reasons.degraded(family),)
                self._wants_room = self.lead.dhcp is None
        return self._fill_internal(taken)

    def _fill_internal(self, taken: list[Assignment]) -> tuple[Family, Reason] | None:
        first = self.lead
        if first.internal is None:
            return None
        pools = self.book.claims.pools_named(first.internal.pool)
        want = Want(pools, (first.internal.pool,))
        outside = {a.spot.address.version for a in [*self.external(), *taken]}
        families = tuple(sorted(f for f in outside if any(p.size(f) for p in pools)))
        for slot in internal_slots(first):
            have = {a.spot.address.version for a in self.held if a.slot == slot}
            for family in families or (4,):
                if family not in have and not self._take_one((family,), want, taken, slot):
                    return 0, self._lacking((family,), want)
        return None

    def _take_one(
        self, families: Sequence[Family], want: Want, taken: list[Assignment], slot: str = EXTERNAL
    ) -> bool:
        for pool in want.sources():
            for family in families:
                spot = self.book.next_free(pool, family)
                if spot is not None:
                    self.book.take(spot, self.group)
                    taken.append(Assignment(spot, pool.name, slot))
                    return True
        return False

    def _lacking(self, families: Sequence[Family], want: Want) -> Reason:
        """Why no address of these families could be had."""
        wish = self.lead.dhcp
        if wish is not None:
            said = [one for f in families if (one := wish.of(f)) is not None and not one.address]
            return reasons.no_lease(families, said)
        pools = want.sources()
        if not pools:
            return reasons.no_pool(want.named, self.lead)
        able = [p for p in pools if any(p.size(f) for f in families)]
        return reasons.exhausted(able) if able else reasons.no_family(families, pools)

    # -- the end ---------------------------------------------------------------------------------

    def release_leaving(self) -> None:
        """Let go of what was replaced."""
        for assignment in self.leaving:
            self.book.free(assignment.spot, self.group)
        self.leaving = []

    def holding(self) -> Holding:
        """What goes into the ledger. While nobody is served, the last agreement stays on record."""
        held = self.held
        if len(held) > 1:
            held = sorted(held, key=lambda a: (a.slot, a.spot.address.version, int(a.spot.address)))
        assignments = tuple(held)
        if not self.members and self.before is not None:
            return Holding(self.group, assignments, self.before.setting, self.before.owners)
        owners = [Owner(p.protocol, p.port, c.ref) for c in self.members for p in c.listeners]
        owners.sort()
        setting = self.lead.setting if self.members else ""
        now = Holding(self.group, assignments, setting, tuple(owners))
        return self.before if now == self.before else now  # one object, whoever remembers it


def settle(cases: Sequence[Case], book: Book, members_of: MembersOf) -> None:
    """Give every case its addresses: static requests until no more can be met, then the pools.

    A static address that is freed by a move within this very plan is offered again.
    """
    asking = [case for case in cases if case.members]
    while asking:
        freed = len(book.freed)
        asking = [case for case in asking if not case.take_static()]
        if len(book.freed) == freed:
            for case in asking:
                case.give_up_static()
    for case in cases:
        case.release_leaving()
    for case in cases:
        case.take_from_pools()
    for case in cases:
        case.word_refusals(members_of)
