"""``fairlead up``: makes what the manifests say so on this host, and keeps it so.

::

    files ──> Pipeline ──> Commits ──> l4 loop ⇄ l2 loop ──> kernel
              (pure)       (disk)          └─────┴──> Status ──> reporter, status.json

A clean stop withdraws everything, addresses before listeners. Any other end leaves the data plane
as it is: the next start finds it and goes on.
"""

import asyncio
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO, Protocol

from fairlead.model.config import Config
from fairlead.runtime.commits import Commits
from fairlead.runtime.dataplane import DataPlane, Rounds
from fairlead.runtime.health import DriverHealth
from fairlead.runtime.lanes import Target
from fairlead.runtime.leasing import Hearing, changes_of, obsolete, remembered
from fairlead.runtime.pipeline import Pipeline, Refused, Step
from fairlead.runtime.planes import Planes, kernel_planes
from fairlead.runtime.reconcile import undisturbed
from fairlead.runtime.report import Reporter, Started, Stopped
from fairlead.runtime.signals import stopped_by_signals
from fairlead.runtime.snapshot import known_addresses, last
from fairlead.runtime.status import Status
from fairlead.runtime.store import LedgerStore
from fairlead.sources.collection import settle, uncollected
from fairlead.sources.files import Batch, FileSource, follow

STATE = Path("/var/lib/fairlead")


@dataclass(frozen=True, slots=True, kw_only=True)
class UpOptions:
    """How to run.

    ``state``: where the ledger is kept; ``ephemeral``: in a temporary directory instead. ``host``:
    the engine's name. ``keep``: leave the data plane when stopping. ``yes``: confirm what the guard
    refuses at the start. ``every``: seconds between full rounds.
    """

    paths: Sequence[Path] = ()
    stdin: BinaryIO | None = None
    state: Path = STATE
    ephemeral: bool = False
    config: Config = field(default_factory=Config)
    host: str = field(default_factory=socket.gethostname)
    keep: bool = False
    yes: bool = False
    every: float = 5.0


async def up(
    options: UpOptions,
    *,
    report: Reporter,
    planes: Callable[[Config], Planes | None] | None = None,
) -> int:
    """Run until SIGTERM or SIGINT; 0, or 1 when not everything could be withdrawn.

    Raises :class:`~fairlead.runtime.lock.StateError` when the state directory cannot be used.
    """
    stop = asyncio.Event()
    with (
        _state(options) as directory,
        LedgerStore.open(directory) as store,
        stopped_by_signals(stop),
    ):
        drivers = (planes or partial(kernel_planes, engine=options.host))(options.config)
        try:
            run = _Run(options, store, drivers, report)
            await run.until(stop)
            return 0 if await run.end() else 1
        finally:
            if drivers is not None:
                drivers.close()


class Worker(Protocol):
    """A loop of the run."""

    async def run(self) -> None:
        """Until told to stop."""
        ...

    def stop(self) -> None:
        """End the loop after the step it is in."""
        ...


class _Run:
    """One run of ``up``, wired."""

    def __init__(
        self, options: UpOptions, store: LedgerStore, planes: Planes | None, report: Reporter
    ) -> None:
        ledger = store.load()
        self._options, self._report = options, report
        self._pipeline = Pipeline(options.config, options.host, ledger)
        self._commits = Commits(store, ledger, done=self._committed, health=self._health)
        self._refused: Refused | None = None
        self._turn = asyncio.Lock()
        self._heard = asyncio.Event()
        self._hearing = Hearing(planes.dhcp if planes is not None else None, self._heard.set)
        self._leases = remembered(store.directory)
        known = known_addresses(last(store.directory))
        self._dataplane = DataPlane(
            options.host,
            planes,
            known=known,
            rounds=Rounds(every=options.every, gateway=options.config.upnp_refresh_seconds),
            progress=lambda: self._status.touch(),
            health=self._health,
        )
        self._status = Status(store.directory, options, report, self._dataplane)
        report.started(
            Started(options.host, store.directory, options.ephemeral, len(ledger.holders))
        )

    async def until(self, stop: asyncio.Event) -> None:
        """Serve until told to stop."""
        async with asyncio.TaskGroup() as tasks:
            workers: tuple[Worker, ...] = (self._commits, *self._dataplane.loops, self._status)
            for worker in workers:
                tasks.create_task(worker.run())
            tasks.create_task(self._follow(stop))
            hearing = tasks.create_task(self._hear())
            await stop.wait()
            hearing.cancel()
            for worker in workers:
                worker.stop()

    async def end(self) -> bool:
        """Withdraw everything, unless it shall be kept. Returns whether that worked."""
        clean = True
        if not self._options.keep:
            clean = await self._dataplane.withdraw()
        await self._status.final()
        self._report.stopped(Stopped(self._options.keep, clean))
        return clean

    async def _follow(self, stop: asyncio.Event) -> None:
        source = FileSource(self._options.paths, self._options.stdin)
        with uncollected():
            batch = await undisturbed(source.load)
            await self._take(batch, confirmed=self._options.yes)
        settle()
        async for batch in follow(source, stop=stop):
            await self._take(batch, confirmed=False)

    async def _take(self, batch: Batch, *, confirmed: bool) -> None:
        self._report.read(batch.problems, batch.unknown)
        async with self._turn:
            leases, self._leases = self._leases, []
            step = await undisturbed(self._pipeline.feed, (*leases, *batch.changes))
            if confirmed and step.refused is not None:
                self._commits.offer(step)  # what the next step changes counts from this one
                step = await undisturbed(self._pipeline.confirm)
            await self._go_on(step)

    async def _hear(self) -> None:
        """What DHCP servers say is an input like any other."""
        while True:
            await self._heard.wait()
            self._heard.clear()
            news = self._hearing.take()
            async with self._turn:
                plan = self._pipeline.plan
                changes = [*changes_of(news, plan, self._options.host)] if plan else []
                if changes:
                    await self._go_on(await undisturbed(self._pipeline.feed, changes))

    async def _go_on(self, step: Step) -> None:
        """Go by a step, and forget the leases that nobody wants any more."""
        self._offer(step)
        gone = obsolete(step.world, step.plan) if not step.sheltering else []
        if gone:
            self._offer(await undisturbed(self._pipeline.feed, gone))

    def _offer(self, step: Step) -> None:
        self._tell_refusal(step)
        self._commits.offer(step)

    def _tell_refusal(self, step: Step) -> None:
        if step.refused != self._refused:
            self._refused = step.refused
            self._report.refused(step.refused)

    def _committed(self, step: Step) -> None:
        self._dataplane.offer(Target(step.plan, step.spared))
        self._status.committed(step)

    def _health(self, health: DriverHealth) -> None:
        self._status.health(health)


@contextmanager
def _state(options: UpOptions) -> Iterator[Path]:
    """The state directory; a temporary one goes with the run, unless what it explains stays."""
    if not options.ephemeral:
        yield options.state
        return
    directory = Path(tempfile.mkdtemp(prefix="fairlead-"))
    try:
        yield directory
    finally:
        if not options.keep:
            shutil.rmtree(directory)
