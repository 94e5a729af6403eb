"""What repeats is said seldom: a failure that hits every object would else be the whole log."""

from collections import OrderedDict
from collections.abc import Callable
from time import monotonic

AGAIN = 30.0
"""Seconds after which the same is said again."""
BURST = 10
"""So many different things of one kind are said at once."""
EVERY = 5.0
"""Seconds after which one more of that kind is said."""
REMEMBERED = 256
"""Things that are known as said."""


class Throttle:
    """Decides what of many messages is said. ``clock`` is in seconds."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._said: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._room: dict[str, tuple[float, float]] = {}
        self._silenced: dict[str, int] = {}

    def passes(self, kind: str, text: str) -> int | None:
        """None: say nothing now. Else say it, and that so many of its kind were not said."""
        if self._repeated(kind, text) or not self._has_room(kind):
            self._silenced[kind] = self._silenced.get(kind, 0) + 1
            return None
        self._said[kind, text] = self._clock()
        self._said.move_to_end((kind, text))
        if len(self._said) > REMEMBERED:
            self._said.popitem(last=False)
        return self._silenced.pop(kind, 0)

    def forget(self, kind: str) -> None:
        """It is over: the next one is news."""
        for key in [key for key in self._said if key[0] == kind]:
            del self._said[key]
        self._silenced.pop(kind, None)

    def _repeated(self, kind: str, text: str) -> bool:
        at = self._said.get((kind, text))
        return at is not None and self._clock() - at < AGAIN

    def _has_room(self, kind: str) -> bool:
        now = self._clock()
        room, at = self._room.get(kind, (float(BURST), now))
        room = min(float(BURST), room + (now - at) / EVERY)
        self._room[kind] = (max(room - 1, 0.0) if room >= 1 else room, now)
        return room >= 1
