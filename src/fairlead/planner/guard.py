"""The blast-radius guard: many addresses must not go because somebody emptied a folder.

Addresses that would go without an explicit delete, more than a tenth of all and at least ten, are
refused until confirmed.
"""

from msgspec import Struct

from fairlead.model.addresses import IPAddress
from fairlead.model.ledger import Ledger
from fairlead.model.names import GroupKey, Ref
from fairlead.model.plan import Plan

SHARE = 10
"""Percent of all addresses that may go at once."""
LEAST = 10
"""Fewer addresses than this are never refused."""


class GuardRefusal(Struct, frozen=True):
    """A plan that would give up too much. ``limit``: how many addresses might go."""

    addresses: tuple[IPAddress, ...]
    total: int
    limit: int

    @property
    def message(self) -> str:
        """What is refused and how to confirm it."""
        return (
            f"{len(self.addresses)} of {self.total} addresses would be withdrawn although nobody "
            f"deleted what they are for (limit {self.limit}); nothing is withdrawn. "
            "Confirm with --yes if that is what you want."
        )


def guard(
    before: Ledger, plan: Plan, *, explicit: frozenset[Ref] = frozenset()
) -> GuardRefusal | None:
    """Refuse a plan that lets go of too many addresses; None when it may go ahead.

    ``explicit``: objects deleted through an API; what they alone held is not counted. Nor is a VIP
    that moves to another address of its own accord.
    """
    after = plan.ledger
    if after is before:
        return None
    gone = []
    for key, holding in before.holdings.items():
        now = after.holdings.get(key)
        if now is holding or (holding.members and holding.members <= explicit):
            continue
        if _leased(plan, key):
            continue
        kept = {a.spot for a in now.assignments} if now else set()
        slots = {(a.slot, a.spot.address.version) for a in now.assignments} if now else set()
        gone += [
            a.spot.address
            for a in holding.assignments
            if a.spot not in kept
            and a.spot not in after.holders
            and not _moved(plan, a.pool, a.spot.address, (a.slot, a.spot.address.version) in slots)
        ]
    total = len(before.holders)
    limit = max(LEAST - 1, total * SHARE // 100)
    if len(gone) <= limit:
        return None
    return GuardRefusal(tuple(sorted(gone, key=lambda a: (a.version, int(a)))), total, limit)


def _leased(plan: Plan, key: GroupKey) -> bool:
    """Whether a group is still there, and its address goes because its lease ended: it is not ours
    any more, however many there are."""
    outcome = plan.outcomes.get(key)
    return outcome is not None and any(claim.dhcp is not None for claim in outcome.claims)


def _moved(plan: Plan, pool: str, address: IPAddress, replaced: bool) -> bool:
    """Whether the address was replaced because its members asked for another one, its pool being
    what it was."""
    in_pool = any(p.name == pool and address in p for p in plan.claims.pools)
    return replaced and (in_pool or not pool)
