"""A whole agent for tests: batches fed by hand, the drivers' fakes, and what it said."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from time import monotonic

from fairlead.drivers.dhcp import FakeDhcp
from fairlead.model.addresses import canonical
from fairlead.model.config import Config
from fairlead.model.dhcp import Leased
from fairlead.model.kube import KubeObject
from fairlead.model.names import Ref
from fairlead.model.world import Change
from fairlead.runtime.agent.agent import Agent, AgentOptions
from fairlead.runtime.agent.mine import Announced, Shift
from fairlead.runtime.dataplane import Rounds
from fairlead.runtime.planes import Planes
from fairlead.sources.kube import Health, KubeBatch
from tests.dialects.make import service
from tests.dialects.published import endpoint, listener, node, slices, virtual_ip

from .engine import HOST, L2, Nft
from .house import Told

OTHER = "there"
WEB = (service("web"), slices("web", endpoint("10.0.0.1", HOST)))


def vip(number: int, *, home: str = HOST, **spec: object) -> KubeObject:
    """A VIP of a group of its own, at 192.0.2.NUMBER."""
    name = f"g{number}"
    return virtual_ip(f"192.0.2.{number}", listener(), group=name, home=[home], **spec)


def nodes(*, here: bool = True, there: bool = True) -> tuple[KubeObject, ...]:
    return node(HOST, ready=here), node(OTHER, ready=there)


class Fed:
    """A source that says what a test wants it to say."""

    def __init__(self) -> None:
        self.health: tuple[Health, ...] = ()
        self._queue: asyncio.Queue[KubeBatch] = asyncio.Queue()

    def say(self, *objects: KubeObject, absent: Iterable[str] = ()) -> None:
        """These are so now."""
        self._put([Change(one.ref, one) for one in objects], absent=absent)

    def gone(self, *objects: KubeObject, explicit: bool = True, absent: Iterable[str] = ()) -> None:
        """These are no more; not ``explicit``: nobody deleted them."""
        refs = [one.ref for one in objects]
        changes = [Change(ref, None) for ref in refs]
        self._put(changes, explicit=refs if explicit else (), absent=absent)

    def _put(
        self, changes: list[Change], *, explicit: Iterable[Ref] = (), absent: Iterable[str] = ()
    ) -> None:
        self._queue.put_nowait(
            KubeBatch(tuple(changes), frozenset(explicit), True, frozenset(absent), monotonic())
        )

    async def batches(self) -> AsyncGenerator[KubeBatch, None]:
        while True:
            yield await self._queue.get()


class Meter:
    """Remembers what was measured."""

    def __init__(self) -> None:
        self.events: list[Announced] = []
        self.leases: list[Leased] = []
        self.moves = 0

    def decided(self, seconds: float, shift: Shift) -> None:
        self.moves += shift.moves

    def announced(self, event: Announced) -> None:
        self.events.append(event)

    def leased(self, leased: Leased) -> None:
        self.leases.append(leased)


class Site:
    """One host with a state directory, and a data plane that outlives the agent."""

    def __init__(self, directory: Path, *, config: Config | None = None) -> None:
        self.state = directory
        self.config = config or Config(node_patience_seconds=0)
        self.log: list[str] = []
        self.nft, self.lan = Nft(self.log), L2(self.log)
        self.told, self.meter, self.source = Told(), Meter(), Fed()
        self.confined = 0
        self.clean = True
        self.dhcp = FakeDhcp()
        self.reported: dict[str, Leased] = {}

    def offer(self, name: str, leased: Leased) -> None:
        """What the agent says of a lease to whoever decides."""
        self.reported[name] = leased

    @property
    def addresses(self) -> list[str]:
        """What is announced."""
        return sorted(map(canonical, self.lan.observe().owned))

    @property
    def passing(self) -> list[str]:
        """What the L4 data plane knows."""
        return sorted(map(canonical, self.nft.observe().vips))

    @property
    def ills(self) -> dict[str, str]:
        """What does not work now, and why."""
        return {h.name: h.error for h in self.told.healths if not h.ok} | {
            h.name: "" for h in self.told.healths if h.ok
        }

    def crash(self) -> None:
        """The process is no more; what the kernel has stays, what the drivers remember goes."""
        before_nft, before_lan = self.nft, self.lan
        self.nft, self.lan = Nft(self.log), L2(self.log)
        self.nft._known = before_nft._known
        self.lan.host = self.lan._host = before_lan.host
        self.told, self.meter, self.source = Told(), Meter(), Fed()

    def _confine(self) -> None:
        self.confined += 1

    @asynccontextmanager
    async def running(self, **options: object) -> AsyncIterator[Agent]:
        """An agent until the end of the block; then it is stopped as by SIGTERM."""
        chosen = AgentOptions(
            config=self.config, engine=HOST, state=self.state, rounds=Rounds(every=0.05)
        )
        planes = (
            None if self.config.dataplane == "none" else Planes(self.nft, self.lan, dhcp=self.dhcp)
        )
        agent = Agent(
            replace(chosen, **options),  # type: ignore[arg-type]
            source=self.source,
            planes=planes,
            report=self.told,
            meter=self.meter,
            confined=self._confine,
            leases=self,
        )
        stop = asyncio.Event()
        task = asyncio.create_task(agent.run(stop))
        try:
            yield agent
            stop.set()
            await task
            self.clean = await agent.end()
        finally:
            task.cancel()

    @asynccontextmanager
    async def killed(self, **options: object) -> AsyncIterator[Agent]:
        """An agent that is killed at the end of the block, after it has written its cache."""
        async with self.running(keep=True, **options) as agent:
            yield agent
        self.crash()
