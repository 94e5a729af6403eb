"""``fairlead controller`` as a process: everything wired, from credentials to the exit code.

Reading and writing have clients of their own: a write must fail before somebody else can lead, a
list of 50 000 objects may take its time.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from structlog.typing import FilteringBoundLogger

from fairlead.runtime.controller.arrivals import Arrivals
from fairlead.runtime.controller.census import Census
from fairlead.runtime.controller.controller import Controller, ControllerOptions
from fairlead.runtime.controller.intake import Intake, watches
from fairlead.runtime.controller.leader import RENEW_SHARE
from fairlead.runtime.controller.metrics import ControllerMetrics
from fairlead.runtime.controller.readiness import Reached, readiness
from fairlead.runtime.controller.telemetry import Telemetry
from fairlead.runtime.lag import Lag
from fairlead.runtime.probes import Check, Listen, probes
from fairlead.runtime.signals import stopped_by_signals
from fairlead.sources.collection import collect_seldom
from fairlead.sources.kube import Access, ApiClient, KubeSource, Pace

CONFIG_DEFAULTS = {"handleUnclassed": False}
"""What differs on a cluster: Services without a class are somebody else's until configured."""
ANSWER_SHARE = (1 - RENEW_SHARE) * 0.75
"""The share of the lease in which a write is answered, or given up: before anybody can take
over."""
PACE = Pace(absent=2.0)
"""Definitions that are installed after the controller are noticed soon."""
SPARE_CONNECTIONS = 4
"""Connections beside those of the writers: the Lease must not wait for one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """How to run. ``access``: which API server, and as whom; ``listen``: where health and metrics
    are."""

    access: Access
    controller: ControllerOptions
    listen: Listen


async def serve(options: ServeOptions, log: FilteringBoundLogger) -> int:
    """Run until SIGTERM or SIGINT; the exit code. Raises
    :class:`~fairlead.runtime.probes.ListenError`."""
    stop = asyncio.Event()
    with stopped_by_signals(stop):
        async with AsyncExitStack() as stack:
            await Process(options, log).run(stack, stop)
    log.info("stopped")
    return 0


class Process:
    """One replica with everything around it."""

    def __init__(self, options: ServeOptions, log: FilteringBoundLogger) -> None:
        self._options, self._log = options, log
        self._metrics = ControllerMetrics(Census())
        self._arrivals = Arrivals()
        self._reached, self._lag = Reached(), Lag()
        self._metrics.loop_lag.set_function(lambda: self._lag.worst)

    async def run(self, stack: AsyncExitStack, stop: asyncio.Event) -> None:
        """Until told to stop. What was opened is on the stack."""
        collect_seldom()
        own = self._options.controller
        write = self._client(
            connections=own.workers + SPARE_CONNECTIONS, timeout=own.lease * ANSWER_SHARE
        )
        api = await stack.enter_async_context(write)
        reader = await stack.enter_async_context(self._client())
        source = await stack.enter_async_context(KubeSource(reader, watches(own.config), pace=PACE))
        intake = Intake(source, self._arrivals)
        telemetry = Telemetry(self._log, self._metrics, self._arrivals)
        controller = Controller(own, api=api, source=intake, listener=telemetry)
        self._metrics.queued = lambda: len(controller.work)
        self._metrics.watched = lambda: source.health
        bound = await stack.enter_async_context(
            probes(
                self._options.listen,
                self._metrics.registry,
                live=self._live,
                ready=lambda: readiness(controller, self._reached, intake.lacks()),
            )
        )
        self._log.info(
            "started",
            server=api.url,
            identity=own.identity,
            lease=f"{own.namespace}/{own.lease_name}",
            address=bound.address,
            port=bound.port,
        )
        async with asyncio.TaskGroup() as tasks:
            others = [
                tasks.create_task(telemetry.count()),
                tasks.create_task(telemetry.watch(intake.lacks)),
                tasks.create_task(self._lag.measure()),
            ]
            await controller.run(stop)
            for task in others:
                task.cancel()

    def _client(self, *, connections: int = 16, timeout: float = 15.0) -> ApiClient:
        return ApiClient(
            self._options.access,
            connections=connections,
            timeout=timeout,
            on_request=self._requested,
        )

    def _requested(self, verb: str, resource: str, status: int, seconds: float) -> None:
        self._reached.note(status)
        self._metrics.requested(verb, resource, status, seconds)

    def _live(self) -> Sequence[Check]:
        return (Check("loop", True, f"at most {self._lag.worst:.3f} s late"),)
