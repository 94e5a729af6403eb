"""Delays that grow, for each thing by itself.

One object that cannot be written, or that somebody else keeps writing, must cost little however
long it lasts, and nobody else may wait for it.
"""

from collections.abc import Callable, Hashable
from time import monotonic
from typing import NamedTuple

ROOM = 1024
"""Keys that are remembered before those that are over are looked for."""


class _Streak(NamedTuple):
    length: int
    until: float


class Patience:
    """How long to wait with a key: not at all the first ``free`` times, then ``first`` seconds and
    twice as long each time, up to ``longest``. A key that is let alone for ``calm`` seconds after
    its delay starts over."""

    def __init__(
        self,
        *,
        first: float,
        longest: float,
        free: int = 0,
        calm: float = 60.0,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._first, self._longest, self._free, self._calm = first, longest, free, calm
        self._clock = clock
        self._streaks: dict[Hashable, _Streak] = {}
        self._room = ROOM

    def __len__(self) -> int:
        return len(self._streaks)

    def next(self, key: Hashable, *, longest: float | None = None) -> float:
        """The delay, one more time. ``longest``: other seconds for this time."""
        now, streak = self._clock(), self._streaks.get(key)
        count = streak.length if streak is not None and now < streak.until else 0
        delay = 0.0
        if count >= self._free:
            whole = self._first * (1 << min(count - self._free, 32))
            delay = min(self._longest if longest is None else longest, whole)
        self._streaks[key] = _Streak(count + 1, now + 2 * delay + self._calm)
        if len(self._streaks) > self._room:
            self._prune(now)
        return delay

    def forget(self, key: Hashable) -> None:
        """It went well."""
        self._streaks.pop(key, None)

    def _prune(self, now: float) -> None:
        self._streaks = {key: s for key, s in self._streaks.items() if now < s.until}
        self._room = max(ROOM, 2 * len(self._streaks))
