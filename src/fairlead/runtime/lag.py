"""How late the event loop is: the first sign of a process that has too much to do."""

import asyncio
from collections import deque
from time import monotonic

EVERY = 0.5
"""Seconds between two looks."""
WINDOW = 20
"""Looks that are remembered."""


class Lag:
    """The lateness of the event loop, in seconds."""

    def __init__(self) -> None:
        self._found: deque[float] = deque([0.0], maxlen=WINDOW)

    @property
    def worst(self) -> float:
        """The worst of the last ten seconds."""
        return max(self._found)

    async def measure(self) -> None:
        """Until cancelled."""
        while True:
            due = monotonic() + EVERY
            await asyncio.sleep(EVERY)
            self._found.append(max(0.0, monotonic() - due))
