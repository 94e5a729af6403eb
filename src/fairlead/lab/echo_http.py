"""The echo service over HTTP/1.1: a JSON body that says who answered, to whom and what was asked.

Just enough of RFC 9112 for clients, health checks and load generators: keep-alive, bodies with a
length, pipelining. `POST /unready` makes `GET /readyz` answer 503 until `POST /ready`, so that a
test can take a pod out of service without stopping it.
"""

from __future__ import annotations

import json
import re
import selectors
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

__all__ = ["State", "accepting", "endpoint"]

_LONGEST_HEAD: Final = 65536
_LENGTH: Final = re.compile(rb"^content-length:[ \t]*(\d+)[ \t]*$", re.IGNORECASE | re.MULTILINE)
_CLOSE: Final = re.compile(rb"^connection:[ \t]*close[ \t]*$", re.IGNORECASE | re.MULTILINE)


@dataclass(slots=True)
class State:
    """Who answers, and whether `/readyz` says yes."""

    name: str
    ready: bool = True


def endpoint(address: Any) -> str:
    """An address as `socket` gives it, as `host:port`."""
    host, port = address[:2]
    host = host.partition("%")[0]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def accepting(
    state: State, sock: socket.socket, selector: selectors.BaseSelector
) -> Callable[[], None]:
    """The handler of a listening socket: takes a connection and answers on it until it ends."""

    def accept() -> None:
        try:
            connection, client = sock.accept()
        except (BlockingIOError, ConnectionError):
            return  # the client was gone before it was taken
        connection.setblocking(False)
        talk = _Conversation(state, connection, endpoint(client))
        selector.register(connection, selectors.EVENT_READ, lambda: talk.read(selector))

    return accept


class _Conversation:
    """One connection: what has arrived and not been answered yet."""

    def __init__(self, state: State, connection: socket.socket, client: str) -> None:
        self._state = state
        self._connection = connection
        self._client = client
        self._server = endpoint(connection.getsockname())
        self._pending = b""

    def read(self, selector: selectors.BaseSelector) -> None:
        """Take what arrived and answer each whole request; hang up when that is the end."""
        try:
            data = self._connection.recv(65536)
            self._pending += data
            goes_on = bool(data) and self._answer_all()
        except OSError:
            goes_on = False  # it was reset, or it never reads what it asked for
        if not goes_on:
            selector.unregister(self._connection)
            self._connection.close()

    def _answer_all(self) -> bool:
        while (end := self._pending.find(b"\r\n\r\n")) >= 0:
            head = self._pending[: end + 2].replace(b"\r\n", b"\n")
            found = _LENGTH.search(head)
            whole = end + 4 + (int(found[1]) if found else 0)
            if len(self._pending) < whole:
                break
            self._pending = self._pending[whole:]
            stays = not _CLOSE.search(head)
            self._connection.sendall(self._response(head, stays=stays))
            if not stays:
                return False
        return len(self._pending) < _LONGEST_HEAD or self._pending.find(b"\r\n\r\n") >= 0

    def _response(self, head: bytes, *, stays: bool) -> bytes:
        request, *lines = head.decode("latin-1").split("\n")
        method, path = (*request.split(" "), "", "")[:2]
        headers = dict(_header(line) for line in lines if ":" in line)
        answer = {
            "name": self._state.name,
            "client": self._client,
            "server": self._server,
            "protocol": "http",
            "method": method,
            "path": path,
            "host": headers.get("host", ""),
            "headers": headers,
        }
        body = json.dumps(answer).encode() + b"\n"
        return _framed(self._status(method, path), body, stays=stays, silent=method == "HEAD")

    def _status(self, method: str, path: str) -> str:
        match method, path.partition("?")[0]:
            case "POST", "/ready" | "/unready" as wanted:
                self._state.ready = wanted == "/ready"
            case _, "/readyz" if not self._state.ready:
                return "503 Service Unavailable"
        return "200 OK"


def _header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip().lower(), value.strip()


def _framed(status: str, body: bytes, *, stays: bool, silent: bool) -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n"
        f"Connection: {'keep-alive' if stays else 'close'}\r\n\r\n"
    )
    return head.encode() + (b"" if silent else body)
