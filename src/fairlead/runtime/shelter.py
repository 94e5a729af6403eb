"""What the ledger says of objects that are missing at a start.

A process that starts with an emptied folder, or with a pool edited while it was away, has never
read what it holds addresses for. Nothing of that may be withdrawn before somebody confirms it, so
the claims are completed from the ledger: a vanished object counts as one that exists and cannot be
read, and a pool still has the addresses that the ledger proves it had.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from msgspec.structs import replace

from fairlead.model.addresses import AddressRange, IPAddress
from fairlead.model.claim import Claims, Pool
from fairlead.model.ledger import Ledger
from fairlead.model.names import Ref
from fairlead.model.plan import Plan


def sheltered(claims: Claims, ledger: Ledger) -> Claims:
    """The claims with everything added that keeps the addresses of the ledger valid."""
    gone = {
        ref
        for holding in ledger.holdings.values()
        if not any(ref in claims.by_ref for ref in holding.members)
        for ref in holding.members
    }
    return replace(
        claims,
        held=claims.held | gone,
        pools=_completed(claims.pools, _stranded(claims, ledger)),
    )


def spared(plan: Plan) -> frozenset[IPAddress]:
    """The addresses that are held although no object that could be read explains them."""
    if not plan.claims.held:
        return frozenset()
    return frozenset(
        assignment.spot.address
        for outcome in plan.outcomes.values()
        if outcome.holding is not None and not outcome.claims
        for assignment in outcome.holding.assignments
    )


@dataclass(frozen=True, slots=True)
class _Place:
    pool: str
    space: str


def _stranded(claims: Claims, ledger: Ledger) -> dict[_Place, list[AddressRange]]:
    """The held addresses that their pool has no more, or that have no pool any more."""
    pools = {_Place(pool.name, pool.space): pool for pool in claims.pools}
    found: dict[_Place, list[AddressRange]] = {}
    for place, address in _pooled(ledger):
        pool = pools.get(place)
        if pool is None or address not in pool:
            found.setdefault(place, []).append(AddressRange(address, address))
    return found


def _pooled(ledger: Ledger) -> Iterator[tuple[_Place, IPAddress]]:
    for spot, group in ledger.holders.items():
        for assignment in ledger.holdings[group].assignments:
            if assignment.spot == spot and assignment.pool:
                yield _Place(assignment.pool, spot.space), spot.address


def _completed(
    pools: tuple[Pool, ...], stranded: dict[_Place, list[AddressRange]]
) -> tuple[Pool, ...]:
    kept = [
        replace(pool, ranges=(*pool.ranges, *_sorted(stranded.pop(place))))
        if (place := _Place(pool.name, pool.space)) in stranded
        else pool
        for pool in pools
    ]
    lost = [
        Pool(name=place.pool, space=place.space, ranges=_sorted(ranges), auto_assign=False)
        for place, ranges in sorted(
            stranded.items(), key=lambda item: (item[0].pool, item[0].space)
        )
    ]
    return (*kept, *lost)


def _sorted(ranges: list[AddressRange]) -> tuple[AddressRange, ...]:
    return tuple(sorted(ranges, key=lambda span: (span.family, int(span.first))))


def missing(claims: Claims, ledger: Ledger) -> frozenset[Ref]:
    """The objects that a shelter stands in for."""
    return sheltered(claims, ledger).held - claims.held
