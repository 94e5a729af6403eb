"""A path to an API server that breaks where a test wants it to.

It takes plain HTTP/1.1 on a port of the loopback address and passes it on by TLS, so that it can
see what it cuts: an answer in the middle of a line, a stream that falls silent, a request that gets
another answer than the API server's.
"""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

Answer = Callable[[str, str], bytes | None]
"""Method and path with query -> an HTTP answer, or None to ask the API server."""


def answer(status: int, body: bytes = b"", **headers: str) -> bytes:
    """An HTTP answer."""
    lines = [f"HTTP/1.1 {status} Said-By-Proxy", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def status_answer(status: int, reason: str, message: str, **headers: str) -> bytes:
    """An HTTP answer that is an error of the API."""
    text = f'{{"kind":"Status","code":{status},"reason":"{reason}","message":"{message}"}}'
    return answer(status, text.encode(), **headers)


@dataclass
class Proxy:
    """``async with``; ``url`` is where it listens. The attributes may be changed at any time."""

    target: str
    ca: str
    answers: Answer | None = None
    cut_at: bytes = b""
    """Bytes in an answer right after which its connection is cut, once."""
    requests: list[tuple[str, str]] = field(default_factory=list)
    cuts: int = 0
    url: str = ""
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _flows: asyncio.Event = field(default_factory=asyncio.Event)
    _refusing: bool = False

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()[:2]
        self.url = f"http://{host}:{port}"
        self._flows.set()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def hold(self) -> None:
        """Pass no answer on; connections stay."""
        self._flows.clear()

    def release(self) -> None:
        """Pass on what was held, and what comes."""
        self._flows.set()

    def cut(self) -> None:
        """Cut all connections."""
        for writer in self._writers:
            self.cuts += 1
            writer.transport.abort()

    def refuse(self, refusing: bool = True) -> None:
        """Cut all connections, and each new one at once."""
        self._refusing = refusing
        self.cut()

    def count(self, what: str) -> int:
        """How many requests there were whose path with query holds this."""
        return sum(what in path for _, path in self.requests)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            if not self._refusing:
                await self._serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # one side went, and the other is to see just that; or the test is over
        finally:
            writer.transport.abort()
            self._writers.discard(writer)
            self._tasks.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await self._connect()
        down = asyncio.create_task(self._answers(up_reader, writer))
        try:
            while head := await _head(reader):
                method, path, _ = head.split(b" ", 2)
                self.requests.append((method.decode(), path.decode()))
                body = await reader.readexactly(_length(head))
                own = self.answers and self.answers(method.decode(), path.decode())
                if own:
                    writer.write(own)
                else:
                    up_writer.write(head + body)
                    await up_writer.drain()
        finally:
            down.cancel()
            with suppress(asyncio.CancelledError, OSError):
                await down
            up_writer.transport.abort()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """To the API server. Not to be cancelled on the way: asyncio forgets a socket whose TLS
        handshake is cancelled."""
        where = urlsplit(self.target)
        context = ssl.create_default_context(cafile=self.ca)
        connecting = asyncio.ensure_future(
            asyncio.open_connection(where.hostname, where.port, ssl=context)
        )
        try:
            return await asyncio.shield(connecting)
        except asyncio.CancelledError:
            with suppress(OSError):
                (await connecting)[1].transport.abort()
            raise

    async def _answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self._flows.wait()
            if self.cut_at and (found := data.find(self.cut_at)) >= 0:
                writer.write(data[: found + len(self.cut_at)])
                self.cut_at = b""
                self.cuts += 1
                writer.close()
                return
            writer.write(data)
            await writer.drain()
        writer.close()


async def _head(reader: asyncio.StreamReader) -> bytes:
    with suppress(asyncio.IncompleteReadError):
        return await reader.readuntil(b"\r\n\r\n")
    return b""


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0
