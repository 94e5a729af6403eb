"""A cell of fences on real hosts: each a process, fed with a table as its agent would."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, ip_address
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fairlead.lab import Hosts, Lab, cluster
from fairlead.model.addresses import IPAddress
from fairlead.model.berth import Table
from fairlead.model.cell import Partition
from fairlead.planner.berth import berths_of
from fairlead.runtime.fence.link import Agent, State

FIRST = IPv4Address("192.0.2.10")


class Cell:
    """Engines ``engine-1``… with a fence each, and this test as the agent of all."""

    def __init__(self, hosts: Hosts, directory: Path, *, vips: int) -> None:
        self.hosts = hosts
        self.engines = [host.name for host in hosts.with_role("engine")]
        self.vips: list[IPAddress] = [FIRST + n for n in range(vips)]
        self.places: dict[IPAddress, str] = {}
        self.states: dict[str, State | None] = {}
        self.fences: dict[str, subprocess.Popen[str]] = {}
        self.directory = directory
        self._agents: dict[str, Agent] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def order(self, vip: IPAddress) -> tuple[str, ...]:
        """The candidates of a VIP, spread over the engines."""
        start = int(vip) % len(self.engines)
        return tuple(self.engines[start:] + self.engines[:start])

    def table(self, me: str, *, partition: Partition = "consistent") -> Table:
        """What the agent of an engine prepares."""
        addresses = {name: ip_address(self.hosts[name].v4) for name in self.engines}
        return Table(
            me=me,
            address=addresses[me],
            peers={name: one for name, one in addresses.items() if name != me},
            berths=berths_of(((self.order(vip), 1, vip) for vip in self.vips), self.places),
            partition=partition,
        )

    def start(self, name: str) -> None:
        """Start the fence of an engine."""
        where = self.directory / name
        where.mkdir(mode=0o755, exist_ok=True)
        with (self.directory / f"{name}.log").open("a") as log:
            argv = [sys.executable, "-m", "fairlead", "fence", "--directory", str(where)]
            self.fences[name] = self.hosts[name].popen(argv, stderr=log)

    def attach(self, name: str, *, partition: Partition = "consistent") -> None:
        """Be the agent of an engine."""
        table = self.table(name, partition=partition)

        async def begin() -> None:
            agent = Agent(self.directory / name, told=lambda s: self.states.update({name: s}))
            agent.offer(table)
            self._agents[name] = agent
            self._tasks[name] = asyncio.ensure_future(agent.run())

        asyncio.run_coroutine_threadsafe(begin(), self._loop).result()

    def give(self, table: Table) -> None:
        """Have the fence of an engine go by another table."""
        self._loop.call_soon_threadsafe(self._agents[table.me].offer, table)

    def detach(self, name: str) -> None:
        """The agent of an engine is gone."""
        self._loop.call_soon_threadsafe(self._tasks.pop(name).cancel)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to the fence itself."""
        os.kill(self.fences[name].pid, number)

    def held(self, name: str, interface: str = "lan") -> set[IPAddress]:
        """The VIPs that an engine really has on an interface."""
        shown = self.hosts[name].ip("-o", "address", "show", "dev", interface)
        found = {ip_address(word.split("/")[0]) for word in shown.split() if "/" in word}
        return found & set(self.vips)

    def all_held_once(self) -> bool:
        """Whether every VIP is on exactly one engine."""
        held = [vip for name in self.engines for vip in self.held(name)]
        return sorted(held, key=int) == sorted(self.vips, key=int)

    def at_home(self) -> bool:
        """Whether every VIP is where its order begins."""
        return all(
            self.held(name) == {vip for vip in self.vips if self.order(vip)[0] == name}
            for name in self.engines
        )

    def log(self, name: str) -> str:
        """What the fence of an engine said."""
        return (self.directory / f"{name}.log").read_text()

    def close(self) -> None:
        """End the agents; the lab ends the fences."""

        async def end() -> None:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@contextmanager
def cell(*, engines: int = 3, vips: int = 9, **options: Any) -> Iterator[Cell]:
    """A cell in which every VIP is at home."""
    with _open_directory() as directory, Lab(cluster(engines=engines, pods=0, clients=1)) as hosts:
        found = Cell(hosts, directory, vips=vips)
        try:
            for name in found.engines:
                found.start(name)
                found.attach(name, **options)
            wait_for(found.at_home, timeout=30, why=lambda: found.log("engine-1"))
            yield found
        finally:
            found.close()


@contextmanager
def _open_directory() -> Iterator[Path]:
    """bfdd is another user: the directories of pytest are closed to it."""
    with TemporaryDirectory(prefix="fence-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def wait_for(
    condition: Callable[[], bool], *, timeout: float = 15, why: Callable[[], str] = lambda: ""
) -> float:
    """Wait until it is so; how long that took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < timeout, why()
        time.sleep(0.02)
    return time.monotonic() - started
