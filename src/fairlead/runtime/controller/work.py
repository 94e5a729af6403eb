"""What is to be written, one entry for each group or object, whatever the number of changes.

An entry is handed out again only when it is done; if it came anew meanwhile, it is done once more.
So two writes about one thing never overtake each other, and a thousand changes of it cost as many
writes as there is time for. An entry that has to wait has one due time, however often it comes.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from time import monotonic

HURRY = 1.0
"""Seconds that an entry waits at most when it comes anew while it is put off."""


class Work:
    """A queue of keys without duplicates, with entries that are due later."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._ready: deque[Hashable] = deque()
        self._waiting: set[Hashable] = set()
        self._busy: set[Hashable] = set()
        self._again: set[Hashable] = set()
        self._due: dict[Hashable, float] = {}
        self._later: list[tuple[float, int, Hashable]] = []
        self._count = 0
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting) + len(self._busy) + len(self._due)

    def __contains__(self, key: object) -> bool:
        """Whether it is still to be done, or being done."""
        return key in self._waiting or key in self._busy or key in self._due

    def add(self, keys: Iterable[Hashable]) -> None:
        """Do these, once each; what is put off comes within :data:`HURRY` at most."""
        for key in keys:
            if key in self._busy:
                self._again.add(key)
            elif key in self._due:
                self.add_later(key, HURRY)
            elif key not in self._waiting:
                self._waiting.add(key)
                self._ready.append(key)
        if self._ready:
            self._wake.set()

    def add_later(self, key: Hashable, seconds: float) -> None:
        """Do it after that time, or as soon as it was to be done anyway."""
        due = self._clock() + seconds
        if key in self._waiting or self._due.get(key, due + 1) <= due:
            return
        self._count += 1
        self._due[key] = due
        heapq.heappush(self._later, (due, self._count, key))
        self._wake.set()

    def clear(self) -> None:
        """Forget everything that nobody is doing."""
        self._ready.clear()
        self._waiting.clear()
        self._again.clear()
        self._due.clear()
        self._later.clear()

    async def next(self) -> Hashable:
        """The next entry; :meth:`done` must follow."""
        while True:
            self._ripen()
            if self._ready:
                key = self._ready.popleft()
                self._waiting.discard(key)
                self._busy.add(key)
                return key
            self._wake.clear()
            left = self._later[0][0] - self._clock() if self._later else None
            try:
                async with asyncio.timeout(left):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def done(self, key: Hashable) -> None:
        """The entry was done, or given up."""
        self._busy.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add((key,))

    def _ripen(self) -> None:
        now = self._clock()
        while self._later and self._later[0][0] <= now:
            due, _, key = heapq.heappop(self._later)
            if self._due.get(key) == due:  # else it was put off anew, or forgotten
                del self._due[key]
                self.add((key,))
