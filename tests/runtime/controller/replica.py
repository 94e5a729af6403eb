"""A replica of the controller in this process, wired as ``fairlead controller`` wires it."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any

from fairlead.lab.kubernetes import ControlPlane
from fairlead.model.config import Config
from fairlead.model.names import Ref
from fairlead.model.plan import Plan
from fairlead.runtime.controller.api import Api
from fairlead.runtime.controller.arrivals import Arrivals
from fairlead.runtime.controller.controller import Controller, ControllerOptions
from fairlead.runtime.controller.intake import Intake, Lack, watches
from fairlead.runtime.pipeline import Refused
from fairlead.sources.kube import Access, ApiClient, KubeSource, Pace, kubeconfig_access

QUICK = Pace(absent=0.2, slowest=0.5, forbidden=0.5, grace=1.0, first=0.05)
"""The durations of reading, for tests."""
ANSWER_SHARE = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaOptions:
    """``access``: as whom and which way, when not as the admin; ``reading``: another way to read
    than to write; ``refused``, ``disputed`` and ``lasts``: see
    :class:`ControllerOptions`; ``around``: what writes go through."""

    config: Config = field(default_factory=Config)
    lease: float = 3.0
    workers: int = 16
    refused: float = 0.5
    disputed: float = 300.0
    lasts: float = 5.0
    access: Callable[[], Access] | None = None
    reading: Callable[[], Access] | None = None
    around: Callable[[Api], Api] | None = None
    pace: Pace = QUICK

    def but(self, **options: Any) -> "ReplicaOptions":
        """With other ones."""
        return replace(self, **options)


class Replica:
    """It runs from :meth:`start` on. ``terms``: when it began to lead and ended, by the monotonic
    clock; ``failures``: (what, why) as it told them."""

    controller: Controller

    def __init__(
        self, name: str, plane: ControlPlane, namespace: str, options: ReplicaOptions
    ) -> None:
        self.name, self.options = name, options
        self.terms: list[tuple[bool, float]] = []
        self.failures: list[tuple[str, str]] = []
        self.refusals: list[Refused | None] = []
        self.addresses: dict[Ref, str] = {}
        self.plans = 0
        self._plane, self._namespace = plane, namespace
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        own = self.options
        make = own.access or (lambda: kubeconfig_access([self._plane.kubeconfig]))
        write = ApiClient(make(), connections=own.workers + 4, timeout=own.lease * ANSWER_SHARE)
        options = ControllerOptions(
            config=own.config,
            identity=self.name,
            namespace=self._namespace,
            lease=own.lease,
            workers=own.workers,
            refused=own.refused,
            disputed=own.disputed,
            lasts=own.lasts,
        )
        async with (
            write as api,
            ApiClient(own.reading() if own.reading else make()) as reader,
            KubeSource(reader, watches(own.config), pace=own.pace) as source,
        ):
            intake = self._intake = Intake(source, Arrivals())
            way = own.around(api) if own.around else api
            self.controller = Controller(options, api=way, source=intake, listener=self)
            await self.controller.run(self._stop)

    def lacks(self) -> tuple[Lack, ...]:
        """What it cannot read, and says so."""
        return self._intake.lacks() if hasattr(self, "_intake") else ()

    @property
    def complaints(self) -> str:
        """All that it says is missing or fails."""
        return " ".join([*(lack.why for lack in self.lacks()), *(why for _, why in self.failures)])

    @property
    def leads(self) -> bool:
        """Whether it leads, in its own opinion."""
        return hasattr(self, "controller") and self.running and self.controller.leads

    @property
    def ready(self) -> bool:
        """Whether it has read everything, and could lead."""
        return hasattr(self, "controller") and self.running and self.controller.synced

    @property
    def running(self) -> bool:
        """Whether it was started, and has not ended."""
        return self._task is not None and not self._task.done()

    def check(self) -> None:
        """Raise what it failed with, if it did."""
        if self._task is not None and self._task.done() and not self._task.cancelled():
            self._task.result()

    async def stop(self) -> float:
        """Stop it in an orderly way, as SIGTERM does; the seconds that took."""
        started = monotonic()
        self._stop.set()
        if self._task is not None:
            await self._task
        return monotonic() - started

    def held(self) -> dict[str, int]:
        """How much it remembers, by what; all of it must be bounded by what there is."""
        inside: Any = self.controller
        seen, publisher = inside._seen, inside._publisher
        return {
            "work": len(inside.work),
            "failures": len(inside._failures),
            "disputes": len(inside._disputes),
            "virtual ips": len(seen.vips),
            "groups": len(seen.names),
            "being written": len(seen._writing),
            "services": len(seen.services),
            "blocked": len(publisher._blocked),
            "awaited": len(inside._returns.since),
        }

    async def crash(self) -> None:
        """End it where it stands: nothing is given up, nothing is finished."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    # -- it is the Listener ----------------------------------------------------------------------

    def leading(self, yes: bool) -> None:
        self.terms.append((yes, monotonic()))

    def decided(self, plan: Plan, seconds: float) -> None:
        self.plans += 1

    def withheld(self, refused: Refused | None) -> None:
        self.refusals.append(refused)

    def addressed(self, ref: Ref, created: str) -> None:
        self.addresses[ref] = created

    def failed(self, what: str, why: str) -> None:
        if why:
            self.failures.append((what, why))
