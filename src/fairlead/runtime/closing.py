"""An address that goes for good waits a moment for its ports on the gateway to be closed.

A gateway in secure mode closes a port only for the address that it leads to. So where a VIP is
given up and has ports open, it stays until the gateway was told: for :data:`PATIENCE` seconds, and
as long as one port after the other is closed. One that another engine takes over does not wait,
because its ports stay open.
"""

from collections.abc import Callable, Iterable, Mapping
from time import monotonic
from typing import NamedTuple

from fairlead.model.addresses import IPAddress
from fairlead.model.names import GroupKey
from fairlead.model.plan import Plan

PATIENCE = 2.0
"""Seconds in which the first port must be closed."""
NEXT = 6.0
"""The same for each after it: a slow gateway that works is asked again what is left."""
LONGEST = 120.0
"""Seconds, however many there are."""
Open = Callable[[], Mapping[IPAddress, int]]
"""How many ports of each address are open, or were until the gateway is told."""


class Wait(NamedTuple):
    """``ports``: how many were open when that changed last; ``until``: how long that may last;
    ``end``: the end of all patience (monotonic seconds)."""

    ports: int
    until: float
    end: float


class Closing:
    """The addresses of this host that wait. ``now``: the monotonic time."""

    def __init__(self, open_: Open, now: Callable[[], float] = monotonic) -> None:
        self._open, self._now = open_, now
        self._plan: Plan | None = None
        self._waits: dict[IPAddress, Wait] = {}

    def follow(self, plan: Plan) -> bool:
        """Another plan; whether some address of the one before is to wait."""
        before, self._plan = self._plan, plan
        if before is None or not (there := self._open()):
            return False
        keys = plan.changed
        if keys is None:
            keys = frozenset((*plan.outcomes, *before.outcomes))
        gone = (_addresses(before, keys) - _addresses(plan, keys)) & there.keys()
        now = self._now()
        for address in gone:
            self._waits[address] = Wait(there[address], now + PATIENCE, now + LONGEST)
        return bool(gone)

    def waiting(self) -> frozenset[IPAddress]:
        """The addresses that are not to go yet."""
        if not self._waits:
            return frozenset()
        now, there = self._now(), self._open()
        found = ((a, _after(wait, there.get(a, 0), now)) for a, wait in self._waits.items())
        self._waits = {address: wait for address, wait in found if wait is not None}
        return frozenset(self._waits)


def _after(wait: Wait, ports: int, now: float) -> Wait | None:
    """The wait as it goes on; None: it is over."""
    if ports < wait.ports:
        wait = Wait(ports, now + NEXT, wait.end)
    return wait if ports and now < min(wait.until, wait.end) else None


def _addresses(plan: Plan, keys: Iterable[GroupKey]) -> set[IPAddress]:
    outcomes = (plan.outcomes.get(key) for key in keys)
    return {a for one in outcomes if one is not None for vip in one.vips for a in vip.addresses}
