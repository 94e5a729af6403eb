"""What addresses a group needs, from which pools: derived from its members, before any is taken."""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from fairlead.model.addresses import Family
from fairlead.model.claim import Claim, Pool
from fairlead.model.config import Config
from fairlead.planner.book import Book

BOTH: tuple[Family, ...] = (4, 6)


class Want(Struct, frozen=True, gc=False):
    """A group's needs.

    ``required`` families must all be there, ``optional`` ones if they can be had; with neither, one
    of any family will do. ``pools``: those it may use, in order; ``named``: the claims name their
    pools.
    """

    pools: tuple[Pool, ...]
    named: tuple[str, ...] = ()
    required: tuple[Family, ...] = ()
    optional: tuple[Family, ...] = ()

    @property
    def families(self) -> tuple[Family, ...]:
        """Every family that is wanted, or both where one of any will do."""
        return self.required + self.optional or BOTH

    @property
    def any_family(self) -> bool:
        """One address of whatever family."""
        return not self.required

    def sources(self) -> tuple[Pool, ...]:
        """The pools to allocate from; those with ``autoAssign: false`` only when named."""
        return self.pools if self.named else tuple(p for p in self.pools if p.auto_assign)


def required_of(claim: Claim) -> tuple[Family, ...]:
    """The families without which a claim is not served."""
    if claim.family_policy == "RequireDualStack":
        return BOTH
    return claim.families[:1] or ((4,) if claim.family_policy == "PreferDualStack" else ())


def want_of(members: Sequence[Claim], book: Book) -> Want:
    """The needs of the members of one group together."""
    if len(members) == 1 and members[0].family_policy == "SingleStack":
        only = members[0]  # nearly every group: no sets to build
        pools = usable_pools(members, book) if only.dhcp is None else ()
        return Want(pools, only.pools, required_of(only))
    lead = min(members, key=lambda claim: claim.order)
    required = {family for claim in members for family in required_of(claim)}
    dual = any(claim.family_policy == "PreferDualStack" for claim in members)
    optional = set(BOTH if dual else ()) - required
    return Want(
        pools=usable_pools(members, book) if lead.dhcp is None else (),
        named=lead.pools,
        required=tuple(sorted(required)),
        optional=tuple(sorted(optional)),
    )


def usable_pools(members: Sequence[Claim], book: Book) -> tuple[Pool, ...]:
    """The pools that all members may use, by priority and name."""
    pools: Iterable[Pool] = book.pools(members[0].space, members[0].pools)
    for claim in members:
        if claim.pools != members[0].pools or claim.space != members[0].space:
            mine = book.pools(claim.space, claim.pools)
            pools = [pool for pool in pools if pool in mine]
        if book.restricted:
            pools = [pool for pool in pools if admits(pool, claim)]
    return tuple(pools)


def admits(pool: Pool, claim: Claim) -> bool:
    """Whether the pool's own restrictions let the claim in: namespaces and labels."""
    chosen = pool.namespaces or pool.namespace_selector
    if chosen and not (
        claim.ref.namespace in pool.namespaces
        or (
            pool.namespace_selector is not None
            and pool.namespace_selector.matches(claim.namespace_labels)
        )
    ):
        return False
    return pool.service_selector is None or pool.service_selector.matches(claim.labels)


def may_be_outside(members: Sequence[Claim], config: Config) -> bool:
    """Whether a static address of the group may lie outside every pool. One that a DHCP server
    gives may: it is the server that has the say about it."""
    if all(claim.dhcp is not None for claim in members):
        return True
    match config.static_outside_pools:
        case "Allow":
            return True
        case "Deny":
            return False
        case "Dialect":
            return all(claim.outside_pools for claim in members)
