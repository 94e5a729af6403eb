"""A bfdd that ends says nothing about its host, nor about others, while it may come back."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path

import pytest

from fairlead.runtime.fence import bfd
from fairlead.runtime.fence.bfd import HEADER, NOTIFY, VERSION, Sessions

PEER = ip_address("198.51.100.2")


class Bfdd:
    """A bfdd whose only session is up, or down."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._writers: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None

    async def start(self, state: str) -> None:
        said = {"op": "status", "peer-address": str(PEER), "state": state}

        async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._writers.append(writer)
            text = json.dumps(said).encode()
            writer.write(HEADER.pack(len(text), 1, NOTIFY, VERSION) + text)

        self._server = await asyncio.start_unix_server(serve, str(self._socket))

    async def kill(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.close()
        self._writers.clear()
        self._socket.unlink(missing_ok=True)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - a state, for which there is no event
            await asyncio.sleep(0.01)


@asynccontextmanager
async def _running(sessions: Sessions) -> AsyncIterator[None]:
    task = asyncio.create_task(sessions.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _sessions(socket: Path) -> Sessions:
    own = ip_address("198.51.100.1")
    made = Sessions(socket.parent, own=own, changed=lambda _: None, bfdd=socket)
    made.want([PEER])
    return made


def test_it_is_blind_until_the_sessions_are_back(tmp_path: Path) -> None:
    async def life() -> None:
        daemon, sessions = Bfdd(tmp_path / "bfdd.sock"), _sessions(tmp_path / "bfdd.sock")
        await daemon.start("up")
        async with _running(sessions):
            await _until(lambda: PEER in sessions.up)
            assert not sessions.blind
            await daemon.kill()
            await _until(lambda: sessions.blind)
            assert not sessions.up
            await daemon.start("up")
            await _until(lambda: PEER in sessions.up)
            assert not sessions.blind
        await daemon.kill()

    asyncio.run(life())


def test_what_does_not_come_back_is_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bfd, "RECOVERY", 0.5)

    async def life() -> None:
        daemon, sessions = Bfdd(tmp_path / "bfdd.sock"), _sessions(tmp_path / "bfdd.sock")
        await daemon.start("up")
        async with _running(sessions):
            await _until(lambda: PEER in sessions.up)
            await daemon.kill()
            await _until(lambda: not sessions.reached)
            await daemon.start("down")
            await _until(lambda: sessions.reached)
            await _until(lambda: not sessions.blind)
            assert not sessions.up
        await daemon.kill()

    asyncio.run(life())


def test_a_bfdd_that_was_never_there_blinds_nobody(tmp_path: Path) -> None:
    sessions = _sessions(tmp_path / "bfdd.sock")
    assert not sessions.blind
    assert not sessions.reached
