"""What an agent serves: published decisions, joined with the backends of this moment.

It takes the place of claims and ledger: nothing is decided any more but which engine holds what.
"""

from immutables import Map

from fairlead.model.claim import Claims
from fairlead.model.names import GroupKey
from fairlead.model.plan import Outcome, Vip


class ServedVip(Vip, frozen=True, gc=False, kw_only=True):
    """A VIP as it was published. ``engines``: how many hold it at once. ``home``: those that
    should, in this order, while they can."""

    engines: int = 1
    home: tuple[str, ...] = ()


class Served(Claims, frozen=True, kw_only=True):
    """Everything that is published, by group; no group is without a VIP or a lease, and all VIPs
    are :class:`ServedVip`. ``verdicts`` are about VirtualIPs.

    ``moved``: the groups that differ from revision ``base``; None = compare with nothing.
    """

    outcomes: Map[GroupKey, Outcome] = Map()
    moved: frozenset[GroupKey] | None = None
