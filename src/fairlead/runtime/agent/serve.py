"""``fairlead agent`` as a process: everything wired, from credentials to the exit code."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from fairlead.model.config import Config
from fairlead.model.dhcp import Leased
from fairlead.publish.forwards import written
from fairlead.runtime.agent.agent import ROUNDS, Agent, AgentOptions
from fairlead.runtime.agent.fencing import Fencing
from fairlead.runtime.agent.files import FileBatches
from fairlead.runtime.agent.holding import Holding, once_each, publish
from fairlead.runtime.agent.intake import Source
from fairlead.runtime.agent.leases import LeaseReports
from fairlead.runtime.agent.mine import Announced, Shift
from fairlead.runtime.agent.record import Record
from fairlead.runtime.agent.scope import Scoped
from fairlead.runtime.agent.watches import needed, slices, watches
from fairlead.runtime.health import DriverHealth
from fairlead.runtime.lag import Lag
from fairlead.runtime.lock import StateError, WriterLock
from fairlead.runtime.metrics import AgentMetrics, DriverState
from fairlead.runtime.planes import Planes, kernel_planes
from fairlead.runtime.probes import Check, Listen, probes
from fairlead.runtime.report import Reporter, Started, Stopped
from fairlead.runtime.signals import stopped_by_signals
from fairlead.runtime.snapshot import texts
from fairlead.sources.files import Batch, FileSource
from fairlead.sources.kube import Access, ApiClient, KubeSource

if TYPE_CHECKING:
    from fairlead.model.addresses import IPAddress


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """How to run. ``access``: which API server, and as whom; None: ``paths`` are read instead.
    ``listen``: where health and metrics are; None: nowhere. ``fence``: the directory of the fence
    that holds the addresses; None: the agent holds them itself."""

    config: Config
    engine: str
    state: Path
    access: Access | None = None
    paths: Sequence[Path] = ()
    stdin: BinaryIO | None = None
    keep: bool = False
    listen: Listen | None = None
    fence: Path | None = None
    namespace: str = "fairlead-system"


async def agent(
    options: ServeOptions,
    *,
    report: Reporter,
    planes: Callable[[Config], Planes | None] | None = None,
) -> int:
    """Run until SIGTERM or SIGINT; 0, or 1 when not everything could be withdrawn.

    Raises :class:`~fairlead.runtime.lock.StateError` when the state directory cannot be used, and
    OSError when it cannot listen.
    """
    stop = asyncio.Event()
    lock = _locked(options.state)
    drivers = None
    try:
        make = planes or partial(
            kernel_planes,
            engine=options.engine,
            fence=options.fence,
            hands_over=options.access is not None,
        )
        drivers = make(options.config)
        with stopped_by_signals(stop):
            return await _Process(options, drivers, report).run(stop)
    finally:
        if drivers is not None:
            drivers.close()
        lock.release()


def _locked(directory: Path) -> WriterLock:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        return WriterLock(directory)
    except OSError as error:
        raise StateError(f"{directory} cannot be used: {error.strerror}") from None


class _Process:
    """One agent with everything around it."""

    def __init__(self, options: ServeOptions, planes: Planes | None, report: Reporter) -> None:
        self._client: ApiClient | None = None
        self._fence: Fencing | None = None
        self._leases: LeaseReports | None = None
        if options.fence is not None and planes is not None:
            partition = options.config.partition
            self._fence = Fencing(options.fence, options.engine, partition=partition)
            planes = planes._replace(l2=self._fence.announcer, links=None)
        self._options, self._planes, self._report = options, planes, report
        self._metrics, self._lag = AgentMetrics(), Lag()
        self._metrics.loop_lag.set_function(lambda: self._lag.worst)

    async def run(self, stop: asyncio.Event) -> int:
        """Until told to stop; the exit code."""
        async with AsyncExitStack() as stack:
            served = await self._agent(stack, stop)
            self._watch(served)
            if self._options.listen is not None:
                await stack.enter_async_context(
                    probes(
                        self._options.listen,
                        self._metrics.registry,
                        live=self._live,
                        ready=lambda: readiness(served),
                    )
                )
            self._report.started(Started(self._options.engine, self._options.state, False, 0))
            beside = [asyncio.create_task(self._lag.measure())]
            if self._client is not None:
                beside.append(asyncio.create_task(self._publish(self._client, served)))
            if self._leases is not None:
                beside.append(asyncio.create_task(self._leases.run()))
            try:
                await served.run(stop)
            finally:
                for task in beside:
                    task.cancel()
        clean = await served.end()
        self._report.stopped(Stopped(self._options.keep, clean))
        return 0 if clean else 1

    async def _agent(self, stack: AsyncExitStack, stop: asyncio.Event) -> Agent:
        access, config = self._options.access, self._options.config
        if access is None:
            files = FileSource(self._options.paths, self._options.stdin)
            return self._made(FileBatches(files, told=self._read, stop=stop))
        client = ApiClient(access, on_request=self._metrics.requested)
        await stack.enter_async_context(client)
        source = await stack.enter_async_context(KubeSource(client, watches(config)))
        scoped = Scoped(source, config, self._options.engine)
        self._metrics.watched = lambda: scoped.health
        self._client = client
        self._leases = LeaseReports(client, self._said("leases"))
        if self._fence is not None:
            self._fence.use(Record(client, namespace=self._options.namespace))
        more = slices(config)
        return self._made(
            scoped,
            confined=lambda: source.want(more) if more is not None else None,
            foreign=lambda: scoped.foreign,
        )

    def _made(
        self,
        source: Source,
        *,
        confined: Callable[[], None] = lambda: None,
        foreign: Callable[[], Collection[str]] = tuple,
    ) -> Agent:
        own = self._options
        alone = own.access is None
        return Agent(
            AgentOptions(
                config=own.config,
                engine=own.engine,
                state=own.state,
                keep=own.keep,
                alone=alone,
                needed=needed(own.config),
                rounds=ROUNDS._replace(gateway=own.config.upnp_refresh_seconds),
            ),
            source=source,
            planes=self._planes,
            report=self._report,
            meter=Measured(self._metrics),
            confined=confined,
            foreign=foreign,
            fence=self._fence,
            leases=self._leases,
        )

    def _said(self, what: str) -> Callable[[str], None]:
        def said(error: str) -> None:
            now = datetime.now(UTC)
            self._report.health(DriverHealth(what, not error, error, now))

        return once_each(said)

    async def _publish(self, client: ApiClient, served: Agent) -> None:
        plane = served.dataplane
        announced: set[IPAddress] = set()
        held: tuple[str, ...] = ()

        def holding() -> Holding:
            nonlocal announced, held
            now = plane.announced
            if now != announced:  # to put thousands into words each time would cost a core's 5 %
                announced, held = set(now), texts(now)
            whole = self._fence.holding(held) if self._fence is not None else Holding(held)
            rivals = sorted({f"{a} {mac} {name}" for a, mac, name in plane.rivals})
            forwards = tuple(map(written, plane.forwards))
            return whole._replace(forwards=forwards, rivals=tuple(rivals))

        await publish(client, self._options.engine, holding, self._said("engine report"))

    def _watch(self, served: Agent) -> None:
        plane = served.dataplane
        self._metrics.announced = lambda: (len(plane.in_place), len(served.mine.addresses))
        if self._planes is not None and self._planes.dhcp is not None:
            leaser = self._planes.dhcp
            self._metrics.leases = lambda: leaser.leases().values()
        self._metrics.forwards = lambda: plane.forwards
        self._metrics.drivers = lambda: [
            DriverState(loop.name, loop.health is not None and loop.health.ok, loop.counters)
            for loop in plane.loops
        ]

    def _read(self, batch: Batch) -> None:
        self._report.read(batch.problems, batch.unknown)

    def _live(self) -> Sequence[Check]:
        return (Check("loop", True, f"at most {self._lag.worst:.3f} s late"),)


class Measured:
    """What an agent measures, as metrics. It is its
    :class:`~fairlead.runtime.agent.agent.Meter`."""

    def __init__(self, metrics: AgentMetrics) -> None:
        self._metrics = metrics

    def decided(self, seconds: float, shift: Shift) -> None:
        """A plan was made."""
        if shift.moves:
            self._metrics.moves.labels("engine").inc(shift.moves)

    def leased(self, leased: Leased) -> None:
        """A DHCP server said something."""
        self._metrics.lease_changes.labels(leased.state).inc()

    def announced(self, event: Announced) -> None:
        """An address is in place."""
        self._metrics.time_to_announce.observe(event.seconds)


def readiness(served: Agent) -> list[Check]:
    """Whether an agent can do its work, and if not, why. One that goes by its cache serves, and is
    ready."""
    known = served.plan is not None
    source = "" if served.live else "goes by the cache" if known else "nothing was read yet"
    return [
        Check("read", known, "; ".join([*([source] if source else []), *served.lacks])),
        *(Check(health.name, health.ok, health.error) for health in served.dataplane.serving),
    ]
