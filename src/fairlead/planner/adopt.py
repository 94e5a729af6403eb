"""A ledger completed from what Services already show.

When the ledger is lost, or another implementation served before, ``status.loadBalancer.ingress`` is
the record of who has which address. A group that the ledger does not know, or knows only one family
of, keeps what its oldest members show, so nothing moves. Whether such an address is still allowed
(a pool, a static wish) is decided afterwards like for every held address.
"""

from collections.abc import Container, Iterable, Iterator, Mapping

from immutables import MapMutation
from msgspec.structs import replace

from fairlead.model.addresses import Family, IPAddress
from fairlead.model.claim import Claim, Claims
from fairlead.model.ledger import EXTERNAL, Assignment, Holding, Ledger, Owner, Spot
from fairlead.model.names import GroupKey, Ref
from fairlead.planner.group import own_key

Shown = Mapping[Ref, tuple[IPAddress, ...]]
"""Which addresses an object shows, in its status."""


def adopted(claims: Claims, ledger: Ledger, shown: Shown) -> Ledger:
    """The ledger with a holding for every group that shows an address and has none of its family.

    An address that two groups show is the older one's. Claims that are grouped by the address they
    ask for need nothing: they ask again.
    """
    holders, holdings = ledger.holders.mutate(), ledger.holdings.mutate()
    for key, members in _unknown(claims, ledger, shown):
        before = ledger.holdings.get(key)
        found = _assignments(claims, members, shown, holders, families_of(before))
        if not found:
            continue
        for assignment in found:
            holders[assignment.spot] = key
        if before is not None:
            both = sorted((*before.assignments, *found), key=_place)
            holdings[key] = replace(before, assignments=tuple(both))
            continue
        holdings[key] = Holding(key, found, members[0].setting, tuple(_owners(members, shown)))
    return Ledger(
        holdings=holdings.finish(),
        holders=holders.finish(),
        released=ledger.released,
        releases=ledger.releases,
    )


def families_of(holding: Holding | None) -> frozenset[int]:
    """The families that a group has an address of, for clients."""
    held = holding.in_slot(EXTERNAL) if holding is not None else ()
    return frozenset(a.spot.address.version for a in held)


def _place(assignment: Assignment) -> tuple[str, int]:
    return assignment.slot, assignment.spot.address.version


def _unknown(
    claims: Claims, ledger: Ledger, shown: Shown
) -> Iterator[tuple[GroupKey, list[Claim]]]:
    """The groups of which a member shows something that the ledger has not, oldest first."""
    groups: dict[GroupKey, list[Claim]] = {}
    for ref in shown:
        for claim in claims.by_ref.get(ref, ()):
            if claim.group is None and claim.addresses:
                continue
            key = claim.group or own_key(claim)
            held = families_of(ledger.holdings.get(key))
            if any(address.version not in held for address in shown[ref]):
                groups.setdefault(key, []).append(claim)
    for members in groups.values():
        members.sort(key=lambda claim: claim.order)
    yield from sorted(groups.items(), key=lambda item: (item[1][0].order, item[0]))


def _assignments(
    claims: Claims,
    members: list[Claim],
    shown: Shown,
    holders: MapMutation[Spot, GroupKey],
    held: Container[int],
) -> tuple[Assignment, ...]:
    """One address of each family that is not ``held``, the oldest member's first."""
    found: dict[Family, Assignment] = {}
    for claim in members:
        for address in shown[claim.ref]:
            spot = Spot(claim.space, address)
            taken = spot in holders or address in claims.node_addresses
            if address.version not in found and address.version not in held and not taken:
                found[address.version] = Assignment(spot, _pool_of(claims, spot))
    return tuple(found.values())


def _pool_of(claims: Claims, spot: Spot) -> str:
    """The pool that has the address, the most important one first; empty when none has."""
    return next((p.name for p in claims.pools if p.space == spot.space and spot.address in p), "")


def _owners(members: Iterable[Claim], shown: Shown) -> Iterator[Owner]:
    """Whose each (protocol, port) is: the oldest member's that shows an address."""
    owners: dict[tuple[str, int], Owner] = {}
    for claim in members:
        for port in claim.listeners if shown[claim.ref] else ():
            owners.setdefault(
                (port.protocol, port.port), Owner(port.protocol, port.port, claim.ref)
            )
    yield from owners.values()
