"""An address that goes for good waits a moment for its ports on the gateway to be closed.

A gateway in secure mode closes a port only for the address that it leads to. So where a VIP is
given up and has ports open, it stays until the gateway was told, but never longer than a patience;
one that another engine takes over does not wait, because its ports stay open.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from time import monotonic

from fairlead.model.addresses import IPAddress
from fairlead.model.names import GroupKey
from fairlead.model.plan import Plan
from fairlead.model.verdict import Forward

PATIENCE = 2.0
"""Seconds."""
MORE = 0.3
"""Seconds more for each port."""
LONGEST = 30.0
"""Seconds, however many there are."""


class Closing:
    """``forwards``: the ports of this host that are open, or were until the gateway is told."""

    def __init__(self, forwards: Callable[[], Iterable[Forward]]) -> None:
        self._forwards = forwards
        self._plan: Plan | None = None
        self._until: dict[IPAddress, float] = {}

    def follow(self, plan: Plan) -> float:
        """Another plan; for how many seconds some address of the one before is to wait."""
        before, self._plan = self._plan, plan
        if before is None or not (there := self._open()):
            return 0.0
        keys = plan.changed
        if keys is None:
            keys = frozenset((*plan.outcomes, *before.outcomes))
        gone = (_addresses(before, keys) - _addresses(plan, keys)) & there.keys()
        if not gone:
            return 0.0
        patience = min(LONGEST, PATIENCE + MORE * sum(there[address] for address in gone))
        self._until.update(dict.fromkeys(gone, monotonic() + patience))
        return patience

    def waiting(self) -> frozenset[IPAddress]:
        """The addresses that are not to go yet."""
        if not self._until:
            return frozenset()
        now, there = monotonic(), self._open()
        self._until = {a: end for a, end in self._until.items() if end > now and a in there}
        return frozenset(self._until)

    def _open(self) -> Counter[IPAddress]:
        """How many ports of each address are open."""
        return Counter(one.key.client for one in self._forwards() if one.external is not None)


def _addresses(plan: Plan, keys: Iterable[GroupKey]) -> set[IPAddress]:
    outcomes = (plan.outcomes.get(key) for key in keys)
    return {a for one in outcomes if one is not None for vip in one.vips for a in vip.addresses}
