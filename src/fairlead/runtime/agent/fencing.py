"""An agent's side of its fence: what it prepares for it, and what the fence lets it know."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from fairlead.model.addresses import IPAddress, parse_address
from fairlead.model.cell import Partition
from fairlead.model.kube import Node
from fairlead.model.plan import Plan
from fairlead.model.world import World
from fairlead.planner.fencing import table_of
from fairlead.runtime.agent.fenced import FencedAnnouncer
from fairlead.runtime.agent.following import Liveness
from fairlead.runtime.agent.holding import Holding
from fairlead.runtime.agent.record import Record
from fairlead.runtime.fence.link import Agent as Link
from fairlead.runtime.fence.link import Claim, State
from fairlead.sources.kube import ApiError, Unreachable

INTERNAL = "InternalIP"
AGAIN = 0.1
"""Seconds between two attempts to write what the fence claims."""


class Fencing:
    """The fence whose sockets are in ``directory``. ``announcer`` is what it holds, as a driver."""

    def __init__(self, directory: Path, engine: str, *, partition: Partition) -> None:
        self.announcer = FencedAnnouncer()
        self.able: Liveness | None = None
        self._cell: frozenset[str] = frozenset()
        self._engine, self._partition = engine, partition
        self._link = Link(directory, told=self._told)
        self._changed: Callable[[], None] = lambda: None
        self._record: Record | None = None
        self._claim: Claim | None = None
        self._state: State | None = None
        self._asked = asyncio.Event()

    def prepare(self, plan: Plan, world: World, ready: set[IPAddress] | None) -> None:
        """Send the table of a plan, if it differs from the last."""
        if ready is None:
            return
        table = table_of(
            plan, self._engine, addresses=reached(world), ready=ready, partition=self._partition
        )
        if table is not None:
            self._cell = table.cell
            self._link.offer(table)

    def holding(self, held: tuple[str, ...]) -> Holding:
        """What to publish of this engine."""
        state = self._state
        if state is None:
            return Holding(held, problems=("no fence answers",))
        problems = tuple(
            f"{what}: {why}".removeprefix(": ") for what, why in state.problems.items()
        )
        # a fence may hold more than its agent expects of it: what another one is aground with
        holds = held if set(state.held) <= set(held) else (*held, *sorted({*state.held} - {*held}))
        return Holding(holds, state.side, state.rightful, problems[:100])

    @property
    def rightful(self) -> bool:
        """Whether this engine may hold VIPs, as far as the fence says anything."""
        return self._state is None or self._state.rightful

    def use(self, record: Record) -> None:
        """Fetch the evidence that the fence asks for from the API."""
        self._record = record

    async def released(self) -> bool:
        """Wait for a fence that is ending too to hand over; whether it holds nothing (any more)."""
        return await asyncio.to_thread(self.announcer.released)

    async def run(self, changed: Callable[[], None]) -> None:
        """Until cancelled: keep in touch."""
        self._changed = changed
        await asyncio.gather(self._link.run(), self._evidence())

    async def _evidence(self) -> None:
        """Write what the fence claims, as long as it claims it. While the API is away nothing is
        certain, so it is tried again and again."""
        while True:
            await self._asked.wait()
            claim = self._claim
            if claim is None or self._record is None:
                self._asked.clear()
                continue
            with suppress(ApiError, Unreachable):
                recorded = await self._record.claim(self._cell, claim)
                if recorded is not None:
                    self._link.record(recorded)
            await asyncio.sleep(AGAIN)

    def _told(self, state: State | None) -> None:
        self.announcer.tell(state)
        self._state = state
        self._claim = state.claim if state is not None else None
        if self._claim is not None:
            self._asked.set()
        # who of the cell is able is believed of a side that rules; else this engine knows nothing
        rules = state is not None and state.rightful
        able = Liveness(self._cell, frozenset(state.able)) if state is not None and rules else None
        if able != self.able:
            self.able = able
            self._changed()


def reached(world: World) -> Mapping[str, IPAddress]:
    """Where each engine is reached by the others: its Node's first InternalIP."""
    found: dict[str, IPAddress] = {}
    for node in world.every(Node):
        for entry in (node.status.addresses if node.status else None) or ():
            if entry.type == INTERNAL and node.name not in found:
                try:
                    found[node.name] = parse_address(entry.address)
                except ValueError:
                    continue
    return found
