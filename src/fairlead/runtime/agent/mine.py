"""Which addresses are this engine's to announce, followed plan by plan; and how soon they are."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

from fairlead.model.addresses import IPAddress
from fairlead.model.names import GroupKey
from fairlead.model.plan import Plan

Addresses = frozenset[IPAddress]


class Shift(NamedTuple):
    """What a plan changed for an engine. ``moves``: how many VIPs anywhere have other holders."""

    gained: Addresses = frozenset()
    lost: Addresses = frozenset()
    moves: int = 0


class Mine:
    """The addresses that a plan gives to one engine."""

    def __init__(self, engine: str) -> None:
        self._engine = engine
        self.addresses: set[IPAddress] = set()

    def follow(self, before: Plan | None, after: Plan) -> Shift:
        """The difference that a plan makes; ``before`` is the one followed so far."""
        if before is None or after.changed is None:
            now = frozenset(self._of(after, after.outcomes))
            then = frozenset(self.addresses)
            moves = 0
        else:
            then = frozenset(self._of(before, after.changed))
            now = frozenset(self._of(after, after.changed))
            moves = _moves(before, after, after.changed)
        self.addresses -= then - now
        self.addresses |= now
        return Shift(now - then, then - now, moves)

    def _of(self, plan: Plan, keys: Iterable[GroupKey]) -> Iterator[IPAddress]:
        for key in keys:
            outcome = plan.outcomes.get(key)
            for vip in outcome.vips if outcome else ():
                if vip.announce == "l2" and self._engine in plan.placement.active[vip.key]:
                    yield from vip.addresses


def _moves(before: Plan, after: Plan, keys: Iterable[GroupKey]) -> int:
    found = 0
    for key in keys:
        outcome = after.outcomes.get(key)
        for vip in outcome.vips if outcome else ():
            held = before.placement.active.get(vip.key)
            found += bool(held) and held != after.placement.active[vip.key]
    return found


class Announced(NamedTuple):
    """An address is in place: so many seconds after this engine learned that it is its. ``age``:
    seconds since its object was created, if that is new."""

    address: IPAddress
    seconds: float
    age: float | None


class Waiting:
    """The addresses that are this engine's and not in place yet, and since when."""

    def __init__(self) -> None:
        self._since: dict[IPAddress, tuple[float, str]] = {}

    def expect(self, address: IPAddress, *, received_at: float, created: str) -> None:
        """From then on, by the monotonic clock. ``created``: RFC 3339, if the VIP is a new one."""
        self._since.setdefault(address, (received_at, created))

    def forget(self, addresses: Iterable[IPAddress]) -> None:
        """They are not this engine's any more."""
        for address in addresses:
            self._since.pop(address, None)

    def arrived(
        self, in_place: set[IPAddress], *, now: float, today: datetime
    ) -> Iterator[Announced]:
        """Those that are in place now, each once."""
        for address in [one for one in self._since if one in in_place]:
            received_at, created = self._since.pop(address)
            age = (today - datetime.fromisoformat(created)).total_seconds() if created else None
            yield Announced(address, now - received_at, age)
