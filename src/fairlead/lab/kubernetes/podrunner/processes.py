"""The runner's side of the fork server: tasks in, processes out."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

    from fairlead.lab.kubernetes.podrunner.task import Task

__all__ = ["Process", "Processes", "StartFailed"]


class StartFailed(Exception):
    """A process could not be started; the message is the system's."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process of a pod. `ended` gives its exit code, with 128 + the signal when one ended it."""

    pid: int
    ended: asyncio.Future[int]

    def signal(self, number: signal.Signals) -> None:
        """Send it, and what it started, a signal; one that has ended gets none."""
        if not self.ended.done():
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    async def end(self, grace: float) -> int:
        """Ask it to end, kill it after `grace` seconds, and wait for it."""
        if grace > 0:
            self.signal(signal.SIGTERM)
            await asyncio.wait([self.ended], timeout=grace)
        self.signal(signal.SIGKILL)
        return await self.ended


class Processes:
    """The line to the fork server. `run` reads it for as long as the runner lives."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._numbers = itertools.count(1)
        self._starting: dict[int, asyncio.Future[int]] = {}
        self._running: dict[int, asyncio.Future[int]] = {}

    async def run(self) -> None:
        """Take the server's answers. Raises ConnectionError when it is gone."""
        self._line.setblocking(False)
        reader, self._writer = await asyncio.open_connection(sock=self._line, limit=1 << 20)
        while line := await reader.readline():
            self._take(json.loads(line))
        raise ConnectionError("the fork server is gone")

    async def start(self, task: Task) -> Process:
        """Start a process. Raises StartFailed."""
        loop = asyncio.get_running_loop()
        number = next(self._numbers)
        started, ended = loop.create_future(), loop.create_future()
        self._starting[number], self._running[number] = started, ended
        self._writer.write(task.encode(number))
        try:
            return Process(await asyncio.shield(started), ended)
        except asyncio.CancelledError:
            started.add_done_callback(_kill)  # it comes up although nobody waits for it any more
            raise

    def _take(self, answer: dict[str, int | str]) -> None:
        match answer:
            case {"number": int(number), "pid": int(pid)}:
                self._starting.pop(number).set_result(pid)
            case {"number": int(number), "error": str(error)}:
                self._starting.pop(number).set_exception(StartFailed(error))
            case {"number": int(number), "exit": int(code)}:
                ended = self._running.pop(number)
                if not ended.cancelled():
                    ended.set_result(code)


def _kill(started: asyncio.Future[int]) -> None:
    if not started.cancelled() and started.exception() is None:
        with suppress(ProcessLookupError):
            os.killpg(started.result(), signal.SIGKILL)
