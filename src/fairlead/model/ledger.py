"""Who holds which address: the one thing that must survive everything else.

The planner reads a ledger and returns the next one; a store (SQLite, VirtualIP objects) makes the
difference durable, with its times, before anything is announced.
"""

from typing import NamedTuple

from immutables import Map
from msgspec import Struct

from fairlead.model.addresses import IPAddress
from fairlead.model.names import GroupKey, Protocol, Ref

EXTERNAL = ""
"""The slot of the address that clients use."""


class Spot(NamedTuple):
    """An address in its address space; every uniqueness rule is per space."""

    space: str
    address: IPAddress


class Assignment(NamedTuple):
    """One address of a group. ``slot`` is :data:`EXTERNAL`, or names the internal tier's use of it;
    ``pool`` is empty for a static address outside every pool."""

    spot: Spot
    pool: str = ""
    slot: str = EXTERNAL


class Owner(NamedTuple):
    """Which member has a (protocol, port) of the group's VIP."""

    protocol: Protocol
    port: int
    ref: Ref


class Holding(Struct, frozen=True, gc=False):
    """All that a group holds, and the agreement under which it was served: the infra setting and
    the owner of each listener. They decide who is the newcomer when members come to differ."""

    group: GroupKey
    assignments: tuple[Assignment, ...]
    setting: str = ""
    owners: tuple[Owner, ...] = ()

    def in_slot(self, slot: str) -> tuple[Assignment, ...]:
        """The assignments of one slot."""
        return tuple(a for a in self.assignments if a.slot == slot)

    @property
    def members(self) -> frozenset[Ref]:
        """The objects that were served."""
        return frozenset(owner.ref for owner in self.owners)


class Ledger(Struct, frozen=True):
    """Holdings by group, their inverse, and the released addresses in the order of their release.

    ``released`` is bounded (``Config.tombstones``): an address that left it counts as never used.
    """

    holdings: Map[GroupKey, Holding] = Map()
    holders: Map[Spot, GroupKey] = Map()
    released: Map[Spot, int] = Map()
    releases: int = 0


def ledger_of(holdings: dict[GroupKey, Holding], released: list[Spot]) -> Ledger:
    """A ledger from what a store kept; ``released`` oldest first."""
    holders = {a.spot: key for key, h in holdings.items() for a in h.assignments}
    return Ledger(
        holdings=Map(holdings),
        holders=Map(holders),
        released=Map({spot: n for n, spot in enumerate(released)}),
        releases=len(released),
    )
