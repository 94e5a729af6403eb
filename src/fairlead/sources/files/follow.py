"""Edits of manifests as they happen.

Events only say that it is time to look: what changed is found by looking (``FileSource.refresh``),
so lost, merged or misleading events cost nothing but time. Folders are watched with everything in
them, and for every named path its parent too, because editors replace files and Kubernetes swaps
the link ``..data``. A look every few seconds finds what no event tells: targets of links, network
file systems, a path that comes to exist. Where the kernel has no watches left, that is all there
is.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Callable
from typing import Final

import watchfiles
from msgspec import Struct

from fairlead.sources.files.entry import Batch
from fairlead.sources.files.listing import SKIPPED, STDIN
from fairlead.sources.files.source import FileSource

QUIET_MS: Final = 50
SLOWEST_MS: Final = 500
UNWATCHED: Final = 1.0
"""Seconds between looks where no events come."""
SWAPPED: Final = ".."
"""How the entries begin that the kubelet swaps when a mounted ConfigMap changes."""

Targets = frozenset[tuple[str, bool, int, int]]
"""What is watched: path, whether with everything in it, device, inode (a new folder needs a new
watch)."""


async def follow(
    source: FileSource, *, stop: asyncio.Event | None = None, poll: float = 5.0, watch: bool = True
) -> AsyncGenerator[Batch, None]:
    """What changes after ``source.load()``, until ``stop``: batches in which something is
    different.

    ``poll``: seconds between looks without an event, where events come (at most one where they do
    not). ``watch``: off where they are known not to. Edits that follow each other within 50 ms come
    together, but none waits for more than half a second.
    """
    halt = stop or asyncio.Event()
    bell = _Bell(asyncio.Event(), set())
    heard: tuple[object, ...] | None = None
    watchers = _Watchers(bell)
    try:
        while not halt.is_set():
            if watch:
                await watchers.attend(source.paths)
            changed = bell.silence()
            batch = await asyncio.to_thread(source.refresh, changed)
            said = (batch.problems, batch.unknown)
            if batch.changes or (heard is not None and said != heard):
                yield batch
            heard = said
            await _either(bell.rung, halt, poll if watchers.alive else min(poll, UNWATCHED))
    finally:
        await watchers.close()


class _Bell(Struct):
    """What the watchers tell: that something changed, and which paths."""

    rung: asyncio.Event
    paths: set[str]

    def silence(self) -> set[str]:
        self.rung.clear()
        paths, self.paths = self.paths, set()
        return paths

    def ring(self, paths: set[str]) -> None:
        self.paths |= paths
        self.rung.set()


class _Watchers:
    """The running watches. They end by themselves where the kernel refuses one; looking goes on."""

    def __init__(self, bell: _Bell) -> None:
        self._bell = bell
        self._targets: Targets = frozenset()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def alive(self) -> bool:
        """Whether all that should be watched is."""
        return bool(self._tasks) and not any(task.done() for task in self._tasks)

    async def attend(self, paths: tuple[str, ...]) -> None:
        """Watch what the paths lead to now."""
        targets = await asyncio.to_thread(_targets, paths)
        for task in self._tasks:
            if task.done() and (error := task.exception()) is not None:
                raise error  # not one that a watch may end with
        if targets == self._targets:
            return
        await self.close()
        self._targets = targets
        for deep in (True, False):
            roots = sorted(path for path, inside, *_ in targets if inside is deep)
            if roots:
                heard = _heard_inside if deep else _heard_beside(paths)
                self._tasks.append(asyncio.create_task(self._watch(roots, deep, heard)))
        await asyncio.sleep(0)  # the tasks start, and with them the watches, before the next look

    async def _watch(self, roots: list[str], deep: bool, heard: Callable[[str], bool]) -> None:
        with contextlib.suppress(OSError):  # no watches left, or the root is gone: looking goes on
            async for changes in watchfiles.awatch(
                *roots,
                watch_filter=lambda _, path: heard(path),
                debounce=SLOWEST_MS,
                step=QUIET_MS,
                recursive=deep,
            ):
                self._bell.ring({path for _, path in changes})

    async def close(self) -> None:
        """End all watches, whatever they end with: nobody needs them any more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks, self._targets = [], frozenset()


def _targets(paths: tuple[str, ...]) -> Targets:
    found = set()
    for path in paths:
        if path == STDIN:
            continue
        parent = os.path.dirname(os.path.abspath(path))
        for place, deep in ((path, True), (parent, False)):
            if os.path.isdir(place):
                with contextlib.suppress(OSError):  # gone since: the next look sees to it
                    status = os.stat(place)
                    found.add((os.path.abspath(place), deep, status.st_dev, status.st_ino))
    return frozenset(found)


def _heard_inside(path: str) -> bool:
    """Whether an event in a folder can matter: hidden and temporary files cannot, swapped links
    can."""
    name = os.path.basename(path)
    return name.startswith(SWAPPED) or not name.startswith(SKIPPED)


def _heard_beside(paths: tuple[str, ...]) -> Callable[[str], bool]:
    """Whether an event in the parent of a named path can matter to that path."""
    names = frozenset(map(os.path.abspath, paths))
    return lambda path: path in names or os.path.basename(path).startswith(SWAPPED)


async def _either(rung: asyncio.Event, halt: asyncio.Event, seconds: float) -> None:
    """Wait for one of two events, or for the time to pass."""
    waiting = [asyncio.create_task(event.wait()) for event in (rung, halt)]
    try:
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
