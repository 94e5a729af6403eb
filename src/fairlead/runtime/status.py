"""Keeps the reporter and ``status.json`` true while ``up`` runs.

Both are told after the ledger is on disk, and again whenever the data plane says something new: a
verdict that changed is told at once, the file is written when it would differ, and seldom enough
that a large one costs little.
"""

import asyncio
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from msgspec.structs import replace

from fairlead.model.addresses import canonical
from fairlead.model.config import Config
from fairlead.publish.forwards import written
from fairlead.runtime import snapshot
from fairlead.runtime.dataplane import DataPlane
from fairlead.runtime.health import DriverHealth
from fairlead.runtime.pipeline import Step
from fairlead.runtime.reconcile import undisturbed
from fairlead.runtime.report import Reporter
from fairlead.runtime.snapshot import Held, Snapshot
from fairlead.runtime.verdicts import Impediment, News, concerned, overlaid, touched

if TYPE_CHECKING:
    from msgspec import Raw

    from fairlead.model.names import Ref
    from fairlead.model.verdict import Forward
    from fairlead.model.world import World

PAUSE = 0.2
"""Seconds between two writes, at least."""
WRITE_SHARE = 20
"""Writing may take one part in so many of the time."""


class Host(Protocol):
    """Who serves, and by which configuration."""

    @property
    def host(self) -> str: ...
    @property
    def config(self) -> Config: ...


class Status:
    """What there is to say about one run, and the loop that says it."""

    def __init__(
        self,
        directory: Path,
        host: Host,
        report: Reporter,
        dataplane: DataPlane,
    ) -> None:
        self._directory, self._host, self._report = directory, host, report
        self._dataplane = dataplane
        self._started = datetime.now(UTC)
        self._news = News()
        self._step: Step | None = None
        self._refs: set[Ref] | None = set()
        self._ledger: DriverHealth | None = None
        self._impediments: tuple[Impediment, ...] = ()
        self._forwards: tuple[Forward, ...] = ()
        self._encoded: tuple[World, dict[str, Raw]] | None = None
        self._written: Snapshot | None = None
        self._unwritable = ""
        self._write_at = inf
        self._earliest = 0.0
        self._wake = asyncio.Event()
        self._stopping = False

    def committed(self, step: Step) -> None:
        """This is served from now on."""
        refs = touched(self._step.plan if self._step else None, step.plan)
        self._refs = None if refs is None or self._refs is None else self._refs | refs
        self._step = step
        self._wake.set()

    def health(self, health: DriverHealth) -> None:
        """A driver or the ledger works, or fails."""
        if health.name not in self._dataplane.names:
            self._ledger = health
        self._report.health(health)
        self._wake.set()

    def touch(self) -> None:
        """The data plane moved."""
        self._wake.set()

    def stop(self) -> None:
        """End :meth:`run`."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Until :meth:`stop`."""
        while not self._stopping:
            left = self._write_at - monotonic()
            try:
                async with asyncio.timeout(None if left == inf else max(0.0, left)):
                    await self._wake.wait()
            except TimeoutError:
                await self._write()
                continue
            self._wake.clear()
            await self._tell()
            self._write_at = min(self._write_at, self._earliest)

    async def final(self) -> None:
        """Write how things are left."""
        await self._write()

    async def _tell(self) -> None:
        step, refs = self._step, self._refs
        if step is None:
            return
        self._refs = set()
        plan, before = step.plan, self._impediments
        self._impediments = await undisturbed(self._dataplane.impediments, plan)
        ports, self._forwards = self._forwards, self._dataplane.forwards
        if before or self._impediments or ports or self._forwards:
            plan = overlaid(plan, self._impediments, self._forwards)
            concern = concerned(plan, (*before, *self._impediments))
            concern |= {one.service for one in (*ports, *self._forwards)}
            refs = None if refs is None else refs | concern
        changes = await undisturbed(self._news.about, plan, refs)
        if changes:
            self._report.verdicts(plan, changes)

    async def _write(self) -> None:
        self._write_at = inf
        if self._step is None:
            return
        started = monotonic()
        wanted = await undisturbed(self._snapshot, self._step)
        if self._written is not None:
            unchanged = replace(wanted, written=self._written.written) == self._written
            if unchanged:
                return
        try:
            await undisturbed(snapshot.save, self._directory, wanted)
        except OSError as error:
            why = f"{self._directory / snapshot.FILE} cannot be written: {error.strerror}"
            self._tell_file(why)
            self._write_at = monotonic() + 10 * PAUSE
            return
        self._tell_file("")
        self._written = wanted
        now = monotonic()
        self._earliest = now + max(PAUSE, WRITE_SHARE * (now - started))

    def _tell_file(self, error: str) -> None:
        """Whether the file can be written; good news only after bad."""
        if error != self._unwritable:
            self._unwritable = error
            self._report.health(DriverHealth("status", not error, error, datetime.now(UTC)))

    def _snapshot(self, step: Step) -> Snapshot:
        world = step.world
        if self._encoded is None or self._encoded[0] is not world:
            self._encoded = world, snapshot.objects_of(world)
        held = step.refused
        return snapshot.new(
            host=self._host.host,
            started=self._started,
            written=datetime.now(UTC),
            config=self._host.config,
            drivers=(*((self._ledger,) if self._ledger else ()), *self._dataplane.healths),
            in_place=snapshot.texts(self._dataplane.in_place),
            impediments=tuple((canonical(a), code, why) for a, code, why in self._impediments),
            forwards=tuple(map(written, self._forwards)),
            held=held
            and Held(
                held.withheld, tuple(map(canonical, held.addresses)), held.token, held.message
            ),
            sheltering=step.sheltering,
            unusable=tuple(sorted(world.problems.items())),
            objects=self._encoded[1],
        )
