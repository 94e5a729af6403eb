"""Homes that follow their VIPs, in engine groups without failback.

Agents give a VIP to the engine that it is at home on, whatever they saw before; so that a VIP stays
where it was taken over, its home must become that engine. Written once for each VIP that moved, all
of them together, and not before the take-over has lasted: who is back sooner was hardly away.
"""

from collections.abc import Iterable, Iterator
from time import monotonic
from typing import NamedTuple

from fairlead.model.addresses import parse_address
from fairlead.model.claim import DEFAULT_SPACE
from fairlead.model.ledger import Spot
from fairlead.model.names import GroupKey
from fairlead.model.plan import Plan
from fairlead.model.virtualip import object_name
from fairlead.runtime.controller.holders import Holders
from fairlead.runtime.controller.seen import Seen, SeenVip

LASTS = 5.0
"""Seconds after which a take-over is there to stay."""


class Move(NamedTuple):
    """Where a VIP went, and since when."""

    to: tuple[str, ...]
    since: float


class Homes:
    """What is to be written: ``wanted`` has the home to be of objects, by name."""

    def __init__(self, seen: Seen, *, lasts: float = LASTS) -> None:
        self.wanted: dict[str, tuple[str, ...]] = {}
        self._seen, self._lasts = seen, lasts
        self._moves: dict[str, Move] = {}

    def clear(self) -> None:
        """Nothing is known of what was."""
        self.wanted.clear()
        self._moves.clear()

    def look(self, addresses: Iterable[str], plan: Plan, now: float | None = None) -> None:
        """The holders of these may be others."""
        if all(rule.failback for rule in plan.claims.engine_rules.values()):
            self._moves.clear()
            return
        for name in names_of(addresses):
            to = self._elsewhere(name, plan)
            before = self._moves.get(name)
            if not to:
                self._moves.pop(name, None)
            elif before is None or before.to != to:
                self._moves[name] = Move(to, monotonic() if now is None else now)

    def due(self, plan: Plan, now: float | None = None) -> set[GroupKey]:
        """The groups of which a home is to be written."""
        if not (self._moves or self.wanted):
            return set()
        self._forget_written()
        time = monotonic() if now is None else now
        due = [name for name, move in self._moves.items() if time - move.since >= self._lasts]
        groups = set()
        for name in due:
            move = self._moves.pop(name)
            if self._elsewhere(name, plan) == move.to:
                self.wanted[name] = move.to
                groups.add(self._seen.vips[name].group)
        return groups

    def _forget_written(self) -> None:
        for name, home in [*self.wanted.items()]:
            seen = self._seen.vips.get(name)
            if seen is None or seen.home == home:
                del self.wanted[name]

    def _elsewhere(self, name: str, plan: Plan) -> tuple[str, ...]:
        """Where a VIP is at home from now on; empty when that is where it was, when it goes back
        anyway, or when nobody knows."""
        seen = self._seen.vips.get(name)
        rule = plan.claims.engine_rules.get(seen.engine_group) if seen is not None else None
        if seen is None or rule is None or rule.failback or not seen.home:
            return ()
        members = {engine.name for engine in rule.engines}
        home = _followed(seen, self._seen.holders)
        return home if home != seen.home and members.issuperset(home) else ()


def _followed(seen: SeenVip, holders: Holders) -> tuple[str, ...]:
    """Those at home who still hold it, then the others who do, as many as before."""
    present = holders.of(seen.address)
    kept = [name for name in seen.home if name in present]
    home = (*kept, *(name for name in present if name not in kept))[: len(seen.home)]
    return home if len(home) == len(seen.home) else ()


def names_of(addresses: Iterable[str]) -> Iterator[str]:
    """The objects of addresses that engines report; text that is no address has none."""
    for text in addresses:
        try:
            yield object_name(Spot(DEFAULT_SPACE, parse_address(text)))
        except ValueError:
            continue
