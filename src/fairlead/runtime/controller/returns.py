"""Addresses that are kept for a while for the return of the Services that had them.

Since when is in the VirtualIPs themselves, so that the time goes on whoever leads.
"""

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from time import monotonic

from fairlead.model.names import Ref
from fairlead.runtime.controller.services import now_text

GiveUp = Callable[[Ref, str], Awaitable[None]]


class Returns:
    """Who is awaited, and since when (RFC 3339). ``keep``: for how many seconds; 0: nobody is."""

    def __init__(self, keep: float) -> None:
        self.keep = keep
        self._since: dict[Ref, str] = {}
        self._ends: list[tuple[float, Ref, str]] = []
        self._stir = asyncio.Event()

    @property
    def since(self) -> Mapping[Ref, str]:
        """Who is awaited, and since when."""
        return self._since

    def restart(self, known: Mapping[Ref, str], present: Iterable[Ref]) -> None:
        """Go on with what the ledger says; who is present is awaited no more."""
        self._since.clear()
        self._ends.clear()
        now = datetime.now(UTC)
        for ref, since in known.items():
            try:
                left = self.keep - (now - datetime.fromisoformat(since)).total_seconds()
            except (ValueError, TypeError):
                left = 0.0
            self._await(ref, since, min(self.keep, max(0.0, left)))
        for ref in present:
            self._since.pop(ref, None)

    def gone(self, ref: Ref) -> None:
        """It has gone now; from now on it is awaited."""
        if ref not in self._since:
            self._await(ref, now_text(), self.keep)

    def back(self, ref: Ref) -> None:
        """It is there again."""
        self._since.pop(ref, None)

    def given_up(self, ref: Ref, since: str) -> bool:
        """Whether it has been awaited since then, which is over."""
        if self._since.get(ref) != since:
            return False
        del self._since[ref]
        return True

    async def run(self, give_up: GiveUp) -> None:
        """Give each up when its time is over, until cancelled."""
        while True:
            self._stir.clear()
            left = self._ends[0][0] - monotonic() if self._ends else None
            if left is None or left > 0:
                try:
                    async with asyncio.timeout(left):
                        await self._stir.wait()
                except TimeoutError:
                    pass  # somebody's time is over
                continue
            _, ref, since = heapq.heappop(self._ends)
            if self._since.get(ref) == since:
                await give_up(ref, since)

    def _await(self, ref: Ref, since: str, seconds: float) -> None:
        self._since[ref] = since
        heapq.heappush(self._ends, (monotonic() + seconds, ref, since))
        self._stir.set()
