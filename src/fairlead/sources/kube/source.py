"""The Kubernetes API as a source: several watches, one stream of batches.

The first batch holds all that there is, once every wanted kind has been read or is known to be
absent. From then on a batch is whatever came since the one before: one event at once when nothing
else happens, and the newest state of everything when more happens than the consumer can follow.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from time import monotonic
from types import TracebackType
from typing import NamedTuple, Self

from fairlead.model.names import Ref
from fairlead.model.world import Change
from fairlead.sources.kube.client import ApiClient
from fairlead.sources.kube.health import Health
from fairlead.sources.kube.history import History
from fairlead.sources.kube.informer import Informer
from fairlead.sources.kube.pace import Pace
from fairlead.sources.kube.pending import Pending
from fairlead.sources.kube.resources import Watch


class KubeBatch(NamedTuple):
    """What changed since the last batch.

    ``explicit``: of the objects that are gone, those that were deleted (or edited out of what is
    watched); others vanished with their definition, or with the memory of the API server, or nobody
    watches them any more. ``synced``: every wanted kind was read or is absent; a kind that is not
    is not in the changes either. ``absent``: kinds that the API server does not have; what it said
    of them before still stands. ``received_at``: when the oldest change came, by the monotonic
    clock.
    """

    changes: tuple[Change, ...]
    explicit: frozenset[Ref]
    synced: bool
    absent: frozenset[str]
    received_at: float


class KubeSource:
    """Watches of one API server. Used as ``async with``; what is wanted may change at any time."""

    def __init__(
        self, client: ApiClient, wanted: Iterable[Watch] = (), *, pace: Pace | None = None
    ) -> None:
        self._client, self._pace = client, pace or Pace()
        self._history = History(client)
        self._informers: dict[Watch, Informer] = {}
        self._tasks: dict[Watch, asyncio.Task[None]] = {}
        self._left = Pending()
        self._stir = asyncio.Event()
        self._wanted = tuple(wanted)
        self._said: tuple[bool, frozenset[str]] | None = None
        self._last = float("-inf")

    async def __aenter__(self) -> Self:
        for watch in self._wanted:
            self.want(watch)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End all watches."""
        tasks = [*self._tasks.values()]
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def want(self, watch: Watch) -> None:
        """Read this too; nothing happens when it is read already. What there is of it comes as one
        batch; until then batches are not ``synced``."""
        if watch in self._informers:
            return
        if self._said is not None:  # also when it turns out to be empty, and is so at once
            self._said = False, self._said[1]
        informer = Informer(
            self._client, watch, self._history, stirred=self._stir.set, pace=self._pace
        )
        self._informers[watch] = informer
        task = asyncio.create_task(informer.run(), name=f"watch {watch.kind}")
        task.add_done_callback(lambda _: self._stir.set())
        self._tasks[watch] = task

    def drop(self, watch: Watch) -> None:
        """Read this no more. Its objects come as gone, not as explicitly deleted."""
        informer = self._informers.pop(watch, None)
        if informer is None:
            return
        self._tasks.pop(watch).cancel()
        for namespace, name in informer.known.names():
            self._left.put(Change(Ref(watch.kind, namespace, name), None))
        self._stir.set()

    @property
    def health(self) -> tuple[Health, ...]:
        """How each watch is doing, by kind."""
        return tuple(sorted((i.health for i in self._informers.values()), key=lambda h: h.kind))

    async def batches(self) -> AsyncGenerator[KubeBatch, None]:
        """Batches for ever. Iterate once."""
        await self._start()
        while True:
            batch = self._batch()
            if batch is not None:
                yield batch
                del batch  # the first one is all there is
                self._last = monotonic()
            await self._stir.wait()
            early = self._last + self._pace.gather - monotonic()
            if early > 0:
                await asyncio.sleep(early)

    async def _start(self) -> None:
        """Wait until all that is wanted was read, but not for ever for what is forbidden."""
        deadline = monotonic() + self._pace.grace
        while waiting := [i.health for i in self._informers.values() if not i.health.settled]:
            self._check()
            left = deadline - monotonic()
            denied = all(health.forbidden for health in waiting)
            if denied and left <= 0:
                return
            self._stir.clear()
            try:
                async with asyncio.timeout(left if denied else None):
                    await self._stir.wait()
            except TimeoutError:
                continue

    def _batch(self) -> KubeBatch | None:
        """What came since the last one; None when that is nothing."""
        self._stir.clear()
        self._check()
        states = [(informer, informer.health) for informer in self._informers.values()]
        ready = [i.pending for i, health in states if health.settled and i.pending]
        said = (
            all(health.settled for _, health in states),
            frozenset(health.kind for _, health in states if health.absent),
        )
        if self._left:
            ready.insert(0, self._left)
        if not ready and said == self._said:
            return None
        self._said = said
        received = min((pending.since for pending in ready), default=monotonic())
        changes: list[Change] = []
        explicit: set[Ref] = set()
        for pending in ready:
            some, meant = pending.take()
            changes += some
            explicit |= meant
        return KubeBatch(tuple(changes), frozenset(explicit), *said, received)

    def _check(self) -> None:
        """A watch ends only by a fault of its own: let that be seen."""
        for task in self._tasks.values():
            if task.done() and not task.cancelled():
                task.result()
