"""Which berths this host has no ground for: an interface is gone, down, or without a cable.

Others take those berths. An interface that is back must stay for :data:`HEALED` seconds before it
counts again, so that a link that flaps does not take its VIPs to and fro.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from fairlead.model.addresses import IPAddress
from fairlead.model.berth import Table
from fairlead.planner.berth import NONE, Marks

HEALED = 2.0


class Watched(Protocol):
    """The interfaces of this host."""

    def fileno(self) -> int: ...
    def changed(self) -> bool: ...
    def close(self) -> None: ...


class _Since(NamedTuple):
    """Until when a VIP counts as astray (None: it is), and why."""

    until: float | None
    why: str


class Ground:
    """``links``: opens what tells of changes."""

    def __init__(self, links: Callable[[], Watched]) -> None:
        self._open = links
        self._links: Watched | None = None
        self._changed = False
        self._seen: Table | None = None
        self._astray: dict[IPAddress, _Since] = {}

    def follow(self, heard: Callable[[], None]) -> None:
        """Begin, in a running loop; ``heard`` is called when one has to look again."""
        links = self._links = self._open()

        def told() -> None:
            if links.changed():
                self._changed = True
                heard()

        asyncio.get_running_loop().add_reader(links.fileno(), told)

    def is_news(self, table: Table) -> bool:
        """Whether one has to look again."""
        return self._changed or table is not self._seen

    def look(self, table: Table, astray: Mapping[IPAddress, str], now: float) -> None:
        """What was seen: the VIPs that nobody would hear of here, and why."""
        self._seen, self._changed = table, False
        healing = {
            one: _Since(now + HEALED if since.until is None else since.until, since.why)
            for one, since in self._astray.items()
            if one not in astray and one in table.places
        }
        self._astray = healing | {one: _Since(None, why) for one, why in astray.items()}

    def aground(self, table: Table, now: float) -> Marks:
        """The berths with such VIPs, by mark."""
        if not self._astray:
            return NONE
        kept = {
            one: since
            for one, since in self._astray.items()
            if since.until is None or since.until > now
        }
        self._astray = kept
        return frozenset(b.mark for b in table.berths if not kept.keys().isdisjoint(b.addresses))

    @property
    def problems(self) -> Mapping[IPAddress, str]:
        """What is in the way now."""
        return {one: why for one, (until, why) in self._astray.items() if until is None}

    def close(self) -> None:
        """Follow no more."""
        if self._links is not None:
            asyncio.get_running_loop().remove_reader(self._links.fileno())
            self._links.close()
            self._links = None
