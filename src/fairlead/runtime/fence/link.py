"""Between an agent and its fence: tables one way, what became of them the other, by UNIX socket.

A message is its length (u32, big-endian) and MessagePack. The agent sends its whole table whenever
it differs; the fence answers with what it holds whenever that differs. An agent with nothing to say
sends an empty message every :data:`BEAT` seconds: one that hangs is as good as none. Without it the
fence goes on with the table it has.
"""

import asyncio
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from fairlead.model.berth import Table
from fairlead.model.cell import Roster
from fairlead.runtime.fence import texts

LENGTH = struct.Struct("!I")
LARGEST = 64 << 20
SOCKET = "fence.sock"
BEAT = 1.0
RECORD = b"\xc1"
"""A byte that no MessagePack begins with."""


class Claim(Struct, frozen=True):
    """What a fence with half of its roster needs written to the API before the other half does:
    ``roster``, unless what is written there is younger than generation ``base``."""

    base: int
    roster: Roster


class State(Struct, frozen=True):
    """What a fence does. ``able``: who of the cell may hold VIPs, as it sees it. ``problems``: text
    for people, by address; empty key: about all of them. ``claim``: what it asks its agent for.
    ``disputes``: who uses a held address as well, each as (address, MAC, interface)."""

    held: tuple[str, ...] = ()
    rightful: bool = False
    able: tuple[str, ...] = ()
    side: tuple[str, ...] = ()
    problems: dict[str, str] = {}
    claim: Claim | None = None
    disputes: tuple[tuple[str, str, str], ...] = ()


class Host:
    """The fence's end. ``table`` gets each table; ``recorded`` what the API has as the roster;
    ``heard`` is called with every sign of life of an agent."""

    def __init__(
        self,
        directory: Path,
        *,
        table: Callable[[Table], None],
        recorded: Callable[[Roster], None],
        heard: Callable[[], None],
    ) -> None:
        self._path = directory / SOCKET
        self._table, self._recorded, self._heard = table, recorded, heard
        self._state = State()
        self._agents: set[asyncio.StreamWriter] = set()

    async def open(self) -> asyncio.Server:
        """Listen; only root may connect."""
        self._path.unlink(missing_ok=True)
        server = await asyncio.start_unix_server(self._serve, str(self._path))
        self._path.chmod(0o600)
        return server

    def tell(self, state: State) -> None:
        """Tell every agent, when it is news."""
        if state != self._state:
            self._state = state
            for writer in self._agents:
                _send(writer, state)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._agents.add(writer)
        self._heard()
        _send(writer, self._state)
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError, msgspec.MsgspecError):
                while True:
                    self._hear(await _receive(reader))
        finally:
            self._agents.discard(writer)
            self._heard()  # until now
            writer.close()

    def _hear(self, message: bytes) -> None:
        """A table; behind a mark, what the API has recorded; or nothing but a sign of life."""
        self._heard()
        if not message:
            return
        if message[:1] == RECORD:
            self._recorded(msgspec.msgpack.decode(message[1:], type=Roster))
        else:
            self._table(texts.table_of(message))


class Agent:
    """The agent's end. ``told`` gets each state, and None while there is no fence."""

    def __init__(self, directory: Path, *, told: Callable[[State | None], None]) -> None:
        self._path = directory / SOCKET
        self._told = told
        self._table: Table | None = None
        self._writer: asyncio.StreamWriter | None = None

    def offer(self, table: Table) -> None:
        """Have the fence go by this from now on."""
        if table != self._table:
            self._table = table
            if self._writer is not None:
                _send(self._writer, texts.written(table))

    def record(self, roster: Roster) -> None:
        """Tell what the API has recorded."""
        if self._writer is not None:
            _send(self._writer, RECORD + msgspec.msgpack.encode(roster))

    async def run(self) -> None:
        """Until cancelled: keep the connection."""
        beating = asyncio.create_task(self._beat())
        try:
            await self._keep()
        finally:
            beating.cancel()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT)
            if self._writer is not None:
                _send(self._writer, b"")

    async def _keep(self) -> None:
        while True:
            try:
                reader, self._writer = await asyncio.open_unix_connection(str(self._path))
            except OSError:
                self._told(None)
                await asyncio.sleep(0.2)
                continue
            try:
                if self._table is not None:
                    _send(self._writer, texts.written(self._table))
                while True:
                    state = await _receive(reader)
                    self._told(msgspec.msgpack.decode(state, type=State))
            except (asyncio.IncompleteReadError, ConnectionError, msgspec.MsgspecError):
                await asyncio.sleep(0.05)
            finally:
                self._writer.close()
                self._writer = None


def _send(writer: asyncio.StreamWriter, message: Any) -> None:
    text = message if isinstance(message, bytes) else msgspec.msgpack.encode(message)
    writer.write(LENGTH.pack(len(text)) + text)


async def _receive(reader: asyncio.StreamReader) -> bytes:
    (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
    if length > LARGEST:
        raise ConnectionError("a message is longer than any may be")
    return await reader.readexactly(length)
