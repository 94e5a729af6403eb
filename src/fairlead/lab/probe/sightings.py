"""What a prober saw of some VIPs, and what follows: outages, doubles, moves, announcements.

Pure, so that the judge of every failover test is itself tested by made-up sightings. Times are
seconds of the monotonic clock.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, NamedTuple

from fairlead.lab.topology import Address

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

__all__ = ["Answered", "Claimed", "Sightings"]

Claim = Literal["announcement", "question"]


class Answered(NamedTuple):
    """An answer to a question: when, and by which MAC address."""

    at: float
    mac: str


class Claimed(NamedTuple):
    """A frame in which somebody said unasked that a VIP is at its MAC address: an announcement (a
    gratuitous ARP in either form, an unsolicited advertisement), or a question in the VIP's name,
    which every listener takes for an announcement too."""

    at: float
    mac: str
    kind: Claim


@dataclass
class Sightings:
    """``every``: seconds between two questions for one VIP; ``lag``: how late one was at worst."""

    every: float
    lag: float = 0.0
    answers: dict[Address, list[Answered]] = field(default_factory=lambda: defaultdict(list))
    claims: dict[Address, list[Claimed]] = field(default_factory=lambda: defaultdict(list))

    def outage(self, vip: Address, *, since: float, until: float = float("inf")) -> float:
        """The longest silence after ``since``, in seconds; infinite when nobody answered again.

        It counts from the last answer before ``since``, or from ``since`` if there was none.
        """
        times = [one.at for one in self.answers[vip] if one.at <= until]
        cut = bisect_right(times, since)
        if cut == len(times):
            return float("inf")
        marks = [times[cut - 1] if cut else since, *times[cut:]]
        return max(b - a for a, b in pairwise(marks))

    def dark(self, vip: Address, *, since: float, until: float = float("inf")) -> float:
        """How long nobody answered after ``since``: until the first answer, in seconds."""
        first = next((one.at for one in self.answers[vip] if since < one.at <= until), None)
        return float("inf") if first is None else first - since

    def doubles(self, vip: Address, *, since: float = 0.0) -> float:
        """For how long two answered side by side, at worst, in seconds.

        Two answered when answers of both are less than half a period apart. What was seen in one
        round only may have lasted a period, and counts as that.
        """
        worst, begun, last = 0.0, 0.0, float("-inf")
        for earlier, later in self._pairs(vip, since):
            if earlier - last > 2 * (self.every + self.lag):
                begun = earlier
            last = later
            worst = max(worst, last - begun + self.every)
        return worst

    def _pairs(self, vip: Address, since: float) -> Iterator[tuple[float, float]]:
        """The times of answers by two, close to each other."""
        latest: dict[str, float] = {}
        for at, mac in self.answers[vip]:
            if at < since:
                continue
            latest[mac] = at
            others = [t for other, t in latest.items() if other != mac]
            if others and at - max(others) < self.every / 2:
                yield max(others), at

    def holder(self, vip: Address) -> str | None:
        """The MAC address that answered last."""
        found = self.answers[vip]
        return found[-1].mac if found else None

    def holders(
        self, vip: Address, *, since: float = 0.0, until: float = float("inf")
    ) -> list[str]:
        """Who answered one after the other: one entry for each change."""
        found: list[str] = []
        for at, mac in self.answers[vip]:
            if since < at <= until and found[-1:] != [mac]:
                found.append(mac)
        return found

    def moves(self, vip: Address, *, since: float = 0.0, until: float = float("inf")) -> int:
        """How often the VIP changed hands."""
        return max(0, len(self.holders(vip, since=since, until=until)) - 1)

    def announced(self, vip: Address, *, since: float, by: str | None = None) -> float | None:
        """When the VIP was first announced after ``since``, by that MAC address if one is given."""
        return next(
            (
                one.at
                for one in self.claims[vip]
                if one.at > since and one.kind == "announcement" and by in (None, one.mac)
            ),
            None,
        )

    def impostors(
        self, vip: Address, *, allowed: Collection[str], since: float, until: float = float("inf")
    ) -> list[Claimed]:
        """The claims of others than those allowed: what a former holder must not send."""
        return [
            one for one in self.claims[vip] if since < one.at <= until and one.mac not in allowed
        ]
