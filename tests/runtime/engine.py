"""One engine for tests: the drivers' fakes with their loops, wired as ``up`` wires them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fairlead.drivers.base import DriverError
from fairlead.drivers.l2 import FakeL2Driver
from fairlead.drivers.nft.fake import FakeNft
from fairlead.model.desired import L2Changes, L2Desired, L4Changes, L4Desired
from fairlead.runtime.backoff import Backoff
from fairlead.runtime.health import DriverHealth
from fairlead.runtime.lanes import L2Lane, L4Lane, Target
from fairlead.runtime.reconcile import Reconciler, Surroundings

HOST = "here"
LANS = {"eth0": ["192.0.2.254/24", "2001:db8::fe/64"]}


class Nft(FakeNft):
    """Also fails for as long as told to, and writes down what it was asked."""

    def __init__(self, log: list[str]) -> None:
        super().__init__()
        self.log = log
        self.broken = ""
        self.pruned = 0

    def observe(self) -> L4Desired:
        if self.broken:
            raise DriverError(self.broken)
        return super().observe()

    def apply(self, changes: L4Changes) -> None:
        if self.broken:
            raise DriverError(self.broken)
        super().apply(changes)
        for sign, addresses in (("+", changes.vips_added), ("-", changes.vips_removed)):
            self.log += [f"l4 {sign}{address}" for address in sorted(addresses, key=int)]

    def prune(self, desired: L4Desired) -> None:
        super().prune(desired)
        self.pruned += 1

    def withdraw(self) -> None:
        super().withdraw()
        self.log.append("l4 withdrawn")


class L2(FakeL2Driver):
    """Also fails for as long as told to, and writes down what it was asked."""

    def __init__(self, log: list[str]) -> None:
        super().__init__(LANS)
        self.log = log
        self.broken = ""
        self.stuck = ""
        self.probed: list[str] = []

    def observe(self) -> L2Desired:
        if self.broken:
            raise DriverError(self.broken)
        return super().observe()

    def apply(self, changes: L2Changes) -> None:
        if self.broken:
            raise DriverError(self.broken)
        self.probed += sorted(map(str, changes.probe))
        super().apply(changes)
        for sign, addresses in (("+", changes.added), ("-", changes.removed)):
            self.log += [f"l2 {sign}{address}" for address in sorted(addresses, key=int)]

    def withdraw(self) -> None:
        if self.stuck:
            raise DriverError(self.stuck)
        super().withdraw()
        self.log.append("l2 withdrawn")


class Engine:
    """Both loops on their fakes. ``log``: what the drivers did, in order."""

    def __init__(self, every: float = 60.0) -> None:
        self.log: list[str] = []
        self.said: list[DriverHealth] = []
        self.nft, self.lan = Nft(self.log), L2(self.log)

        def quickly() -> Backoff:
            return Backoff(first=0.01, longest=0.05)

        self.l4: Reconciler[L4Desired, L4Changes] = Reconciler(
            L4Lane(HOST),
            self.nft,
            Surroundings(
                other=lambda: self.l2.in_place,
                progress=lambda: self.l2.nudge(),
                health=self.said.append,
            ),
            every=every,
            backoff=quickly(),
        )
        self.l2: Reconciler[L2Desired, L2Changes] = Reconciler(
            L2Lane(HOST, known=(), contested=lambda: {one.address for one in self.lan.conflicts()}),
            self.lan,
            Surroundings(
                other=lambda: self.l4.in_place,
                progress=lambda: self.l4.nudge(),
                health=self.said.append,
            ),
            every=every,
            backoff=quickly(),
        )

    def offer(self, target: Target) -> None:
        self.l4.offer(target)
        self.l2.offer(target)

    @property
    def settled(self) -> bool:
        return self.l4.settled and self.l2.settled


@asynccontextmanager
async def running(engine: Engine) -> AsyncIterator[None]:
    """The loops run until the end of the block."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(engine.l4.run())
        tasks.create_task(engine.l2.run())
        try:
            yield
        finally:
            engine.l4.stop()
            engine.l2.stop()


async def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    """Wait for something to be so; TimeoutError when it does not come."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 (conditions are of fakes, which tell nobody)
            await asyncio.sleep(0.002)
