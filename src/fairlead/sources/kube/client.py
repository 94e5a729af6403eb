"""One API server, by plain requests: bytes out, bytes in, and errors that have a type.

Bodies are JSON already and answers stay bytes until somebody wants them, so that a write costs
little more than aiohttp itself. Watches have connections of their own: they hold them for minutes,
and must not keep writes waiting.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from time import perf_counter
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import aiohttp
import msgspec
from yarl import URL

from fairlead import __version__
from fairlead.sources.kube.access import Access
from fairlead.sources.kube.errors import ApiError, Unreachable, error_of
from fairlead.sources.kube.resources import Resource, asked_for
from fairlead.sources.kube.sockets import open_socket

T = TypeVar("T")

JSON: Final = "application/json"
MERGE: Final = "application/merge-patch+json"
APPLY: Final = "application/apply-patch+yaml"
"""Server-side apply; JSON is YAML."""

OnRequest = Callable[[str, str, int, float], None]
"""Told of each request: verb, resource (``services/status``), HTTP status (0: no answer), and
seconds."""

CONNECT: Final = 10.0
"""Seconds in which a connection is made, TLS included."""
TURN: Final = 0.01
"""Seconds for a turn of the loop at the end."""
STREAM_BUFFER: Final = 1 << 18
AGENT: Final = f"fairlead/{__version__}"


class ApiClient:
    """Requests to one API server. ``connections``: how many at once, watches apart; ``timeout``:
    seconds for a request as a whole, waiting for a connection included.

    Every method raises :class:`ApiError` for an answer that is an error and :class:`Unreachable`
    when none came. Nothing is tried again, except once with a fresh credential after a 401.
    """

    def __init__(
        self,
        access: Access,
        *,
        connections: int = 64,
        timeout: float = 15.0,
        on_request: OnRequest | None = None,
    ) -> None:
        self._access = access
        self._base = access.endpoint.url
        self._connections, self._timeout = connections, timeout
        self._told = on_request
        self._headers: dict[str, dict[str, str]] = {}
        self._authorization = ""
        self._sessions: tuple[aiohttp.ClientSession, aiohttp.ClientSession] | None = None
        self._via: dict[str, Any] = {"allow_redirects": False}
        if access.endpoint.proxy:
            self._via["proxy"] = access.endpoint.proxy
        if access.endpoint.server_name:
            self._via["server_hostname"] = access.endpoint.server_name

    @property
    def namespace(self) -> str:
        """The namespace of the configuration: in a cluster the pod's own."""
        return self._access.namespace

    @property
    def url(self) -> str:
        """Where the API server is."""
        return self._base

    async def __aenter__(self) -> Self:
        whole = aiohttp.ClientTimeout(total=self._timeout, connect=None, sock_connect=CONNECT)
        self._sessions = (
            self._session(self._connections, timeout=whole),
            self._session(0, read_bufsize=STREAM_BUFFER),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        sessions, self._sessions = self._sessions, None
        for session in sessions or ():
            await session.close()
        await asyncio.sleep(TURN)  # sockets that were just connecting are closed by the loop

    def _session(self, limit: int, **options: Any) -> aiohttp.ClientSession:
        tls = self._access.endpoint.tls
        connector = aiohttp.TCPConnector(
            limit=limit,
            ssl=True if tls is None else tls,
            keepalive_timeout=60.0,
            socket_factory=open_socket,
        )
        return aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False, **options
        )

    async def get(
        self, resource: Resource, name: str, namespace: str = "", *, subresource: str = ""
    ) -> bytes:
        """One object."""
        return await self.send("GET", resource.item(name, namespace, subresource))

    async def read(self, kind: type[T], resource: Resource, name: str, namespace: str = "") -> T:
        """One object as that type."""
        return await self.fetch(kind, resource.item(name, namespace))

    async def fetch(self, kind: type[T], path: str) -> T:
        """What is at a path, as that type. An answer that is none is :class:`Unreachable` too: then
        it was not an API server that spoke."""
        answer = await self.send("GET", path)
        try:
            return msgspec.json.decode(answer, type=kind)
        except (msgspec.MsgspecError, RecursionError) as error:
            text = f"API server {self._base}: {path} is not what it should be: {error}"
            raise Unreachable(text) from None

    async def list(self, resource: Resource, namespace: str = "", *, query: str = "") -> bytes:
        """All objects, or one page of them if the query says ``limit``."""
        path = resource.collection(namespace)
        return await self.send("GET", f"{path}?{query}" if query else path)

    async def create(
        self, resource: Resource, body: bytes, namespace: str = "", *, manager: str = ""
    ) -> bytes:
        """A new object; ``manager`` is the field manager."""
        path = resource.collection(namespace)
        return await self.send("POST", f"{path}?fieldManager={manager}" if manager else path, body)

    async def update(
        self,
        resource: Resource,
        name: str,
        body: bytes,
        namespace: str = "",
        *,
        subresource: str = "",
        manager: str = "",
    ) -> bytes:
        """Put an object in the place of another; its resourceVersion makes that conditional."""
        path = resource.item(name, namespace, subresource)
        return await self.send("PUT", f"{path}?fieldManager={manager}" if manager else path, body)

    async def patch(
        self,
        resource: Resource,
        name: str,
        body: bytes,
        namespace: str = "",
        *,
        subresource: str = "",
        content_type: str = MERGE,
        manager: str = "",
    ) -> bytes:
        """Change some of an object."""
        path = resource.item(name, namespace, subresource)
        if manager:
            path = f"{path}?fieldManager={manager}"
        return await self.send("PATCH", path, body, content_type=content_type)

    async def apply(
        self,
        resource: Resource,
        name: str,
        body: bytes,
        namespace: str = "",
        *,
        manager: str,
        subresource: str = "",
        force: bool = True,
    ) -> bytes:
        """Server-side apply under a field manager; ``force`` takes fields from others."""
        path = resource.item(name, namespace, subresource)
        query = f"fieldManager={manager}&force={'true' if force else 'false'}"
        return await self.send("PATCH", f"{path}?{query}", body, content_type=APPLY)

    async def delete(
        self, resource: Resource, name: str, namespace: str = "", *, body: bytes | None = None
    ) -> bytes:
        """Delete an object; ``body``: DeleteOptions, such as preconditions."""
        return await self.send("DELETE", resource.item(name, namespace), body)

    async def send(
        self, method: str, path: str, body: bytes | None = None, *, content_type: str = JSON
    ) -> bytes:
        """One request; ``path`` with its query, quoted already."""
        session = self._open(0)
        authorization = await self._access.authorization()
        try:
            return await self._exchange(session, method, path, body, content_type, authorization)
        except ApiError as error:
            if error.status != 401 or not await self._access.refused(authorization):
                raise
        authorization = await self._access.authorization()
        return await self._exchange(session, method, path, body, content_type, authorization)

    async def _exchange(
        self,
        session: aiohttp.ClientSession,
        method: str,
        path: str,
        body: bytes | None,
        content_type: str,
        authorization: str,
    ) -> bytes:
        status, start = 0, perf_counter()
        try:
            async with session.request(
                method,
                URL(self._base + path, encoded=True),
                data=body,
                headers=self._headers_of(content_type, authorization),
                **self._via,
            ) as response:
                answer = await response.read()
                status = response.status
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise self._unreachable(error) from error
        finally:
            if self._told is not None:
                self._told(*asked_for(method, path), status, perf_counter() - start)
        if status >= 300:
            raise error_of(status, answer, response.headers.get("Retry-After"))
        return answer

    @asynccontextmanager
    async def stream(
        self, path: str, *, silence: float
    ) -> AsyncGenerator[aiohttp.StreamReader, None]:
        """The answer to a GET in pieces as they come. Silence of so many seconds, and an answer cut
        short, are :class:`Unreachable`."""
        authorization = await self._access.authorization()
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT, sock_read=silence)
        status, start = 0, perf_counter()
        try:
            async with self._open(1).get(
                URL(self._base + path, encoded=True),
                headers=self._headers_of(JSON, authorization),
                timeout=timeout,
                **self._via,
            ) as response:
                status = response.status
                if self._told is not None:
                    self._told(*asked_for("WATCH", path), status, perf_counter() - start)
                if status != 200:
                    answer = await response.read()
                    if status == 401:
                        await self._access.refused(authorization)
                    raise error_of(status, answer, response.headers.get("Retry-After"))
                try:
                    yield response.content
                finally:
                    _hang_up(response)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            if status == 0 and self._told is not None:
                self._told(*asked_for("WATCH", path), 0, perf_counter() - start)
            raise self._unreachable(error) from error

    def _open(self, which: int) -> aiohttp.ClientSession:
        if self._sessions is None:
            raise RuntimeError("ApiClient is used as 'async with ApiClient(...)'")
        return self._sessions[which]

    def _headers_of(self, content_type: str, authorization: str) -> dict[str, str]:
        """Made once per credential. Answers are not compressed: that costs an API server more than
        it saves here."""
        if authorization != self._authorization:
            self._headers, self._authorization = {}, authorization
        found = self._headers.get(content_type)
        if found is None:
            found = {
                "Accept": JSON,
                "Accept-Encoding": "identity",
                "Content-Type": content_type,
                "User-Agent": AGENT,
            }
            if authorization:
                found["Authorization"] = authorization
            self._headers[content_type] = found
        return found

    def _unreachable(self, error: Exception) -> Unreachable:
        if isinstance(error, aiohttp.SocketTimeoutError):
            why = "it says nothing"
        elif isinstance(error, TimeoutError):
            why = "no answer in time"
        else:
            why = str(error) or type(error).__name__
        return Unreachable(f"API server {self._base}: {why}")


def _hang_up(response: aiohttp.ClientResponse) -> None:
    """End the connection of a stream that is left before its end: a polite end of TLS would wait
    for the other side, which may be gone."""
    connection = response.connection
    if connection is not None and connection.transport is not None:
        connection.transport.abort()
