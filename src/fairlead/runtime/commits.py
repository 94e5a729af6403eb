"""From a step of the pipeline to something that may be announced: its ledger is on disk first.

Steps come faster than a disk syncs, so only the newest is written. When the disk refuses, nothing
of the step reaches the data plane; it is tried again until it works, while what was committed
before is served.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

from msgspec.structs import replace

from fairlead.model.ledger import Ledger
from fairlead.model.names import GroupKey
from fairlead.runtime.backoff import Backoff
from fairlead.runtime.health import DriverHealth
from fairlead.runtime.pipeline import Step
from fairlead.runtime.reconcile import undisturbed
from fairlead.runtime.store import LedgerStore, WriteFailed

NAME = "ledger"


class Commits:
    """Commits steps and passes them on. ``done`` gets each step whose ledger is durable; the plan's
    ``changed`` then counts from the step passed on before."""

    def __init__(
        self,
        store: LedgerStore,
        committed: Ledger,
        *,
        done: Callable[[Step], None],
        health: Callable[[DriverHealth], None],
        backoff: Backoff | None = None,
    ) -> None:
        self.state: DriverHealth | None = None
        self._store, self._committed = store, committed
        self._done, self._health = done, health
        self._backoff = backoff or Backoff(first=0.5)
        self._step: Step | None = None
        self._changed: frozenset[GroupKey] | None = None
        self._wake = asyncio.Event()
        self._stopping = asyncio.Event()

    def offer(self, step: Step) -> None:
        """Commit this next; it replaces what was offered before and not committed yet."""
        if self._step is None:
            self._changed = step.plan.changed
        else:
            self._changed = _union(self._changed, step.plan.changed)
        self._step = step
        self._wake.set()

    def stop(self) -> None:
        """End :meth:`run` after the commit it is in; what is not committed is dropped."""
        self._stopping.set()
        self._wake.set()

    async def run(self) -> None:
        """Until :meth:`stop`."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._stopping.is_set():
                return
            if self._step is not None and not await self._commit(self._step, self._changed):
                await self._pause(self._backoff.next())
                self._wake.set()

    async def _commit(self, step: Step, changed: frozenset[GroupKey] | None) -> bool:
        self._step, self._changed = None, None
        ledger = step.plan.ledger
        try:
            await undisturbed(
                self._store.commit, self._committed, ledger, datetime.now(UTC), changed=changed
            )
        except WriteFailed as error:
            self._again(step, changed)
            self._tell(ok=False, error=str(error))
            return False
        self._committed = ledger
        self._backoff.reset()
        self._tell(ok=True)
        self._done(step._replace(plan=replace(step.plan, changed=changed)))
        return True

    def _again(self, step: Step, changed: frozenset[GroupKey] | None) -> None:
        """Keep what could not be written, unless a newer step came meanwhile; then its changes
        count.
        """
        if self._step is None:
            self._step, self._changed = step, changed
        else:
            self._changed = _union(changed, self._changed)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return

    def _tell(self, *, ok: bool, error: str = "") -> None:
        before = self.state
        if before is not None and (before.ok, before.error) == (ok, error):
            return
        self.state = DriverHealth(NAME, ok, error, datetime.now(UTC))
        self._health(self.state)


def _union(
    older: frozenset[GroupKey] | None, newer: frozenset[GroupKey] | None
) -> frozenset[GroupKey] | None:
    """What changed in either; None (everything) wins."""
    return None if older is None or newer is None else older | newer
