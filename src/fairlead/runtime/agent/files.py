"""VirtualIPs in files instead of an API server, as batches.

A file that is removed is an explicit deletion, unless it takes so many VIPs with it that somebody
must have emptied a folder.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from time import monotonic
from typing import NamedTuple

from fairlead.model.names import Ref
from fairlead.model.virtualip import VirtualIP
from fairlead.model.world import Change
from fairlead.runtime.agent.intake import is_many
from fairlead.runtime.reconcile import undisturbed
from fairlead.sources.files import Batch, FileSource, follow
from fairlead.sources.kube import Health


class FileBatch(NamedTuple):
    """See :class:`~fairlead.sources.kube.KubeBatch`."""

    changes: tuple[Change, ...]
    explicit: frozenset[Ref]
    received_at: float
    absent: frozenset[str] = frozenset()


class FileBatches:
    """The source of an agent that reads files. ``told`` gets each batch, with what is wrong in the
    files. It ends with ``stop``."""

    health: tuple[Health, ...] = ()

    def __init__(
        self, source: FileSource, *, told: Callable[[Batch], None], stop: asyncio.Event
    ) -> None:
        self._source, self._told, self._stop = source, told, stop
        self._vips: set[Ref] = set()

    async def batches(self) -> AsyncGenerator[FileBatch, None]:
        """What there is, then what each edit made different."""
        yield self._batch(await undisturbed(self._source.load))
        async for batch in follow(self._source, stop=self._stop):
            yield self._batch(batch)

    def _batch(self, batch: Batch) -> FileBatch:
        received_at = monotonic()
        self._told(batch)
        gone = {c.ref for c in batch.changes if c.object is None and c.problem is None}
        lost = gone & self._vips
        explicit = gone - lost if is_many(len(lost), len(self._vips)) else gone
        come = (c.ref for c in batch.changes if c.object is not None)
        self._vips |= {ref for ref in come if ref.kind == VirtualIP.KIND}
        self._vips -= lost
        return FileBatch(batch.changes, frozenset(explicit), received_at)
