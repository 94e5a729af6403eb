"""Asking an echo server over TCP and UDP, to be called inside a host's namespace."""

from __future__ import annotations

import errno
import ipaddress
import os
import select
import socket
import time
from typing import TYPE_CHECKING, Self

from fairlead.lab.probe.icmp_errors import keep_icmp_errors, refusal
from fairlead.lab.probe.outcomes import (
    Answer,
    Endpoint,
    Outcome,
    Reason,
    Refused,
    TimedOut,
)

if TYPE_CHECKING:
    from types import TracebackType

    from fairlead.lab.topology import Address

__all__ = ["TcpConnection", "open_socket", "own_end", "tcp_ask", "tcp_connect", "udp_ask"]


class TcpConnection:
    """A TCP connection to an echo server that stays open; `greeting` is its first answer."""

    def __init__(self, sock: socket.socket, greeting: Answer) -> None:
        self._sock = sock
        self.greeting = greeting

    @property
    def local(self) -> Endpoint:
        return self.greeting.local

    def ask(self, timeout: float = 1.0) -> Outcome:
        """Send a line and wait for its answer. After a time-out the connection may be asked again,
        and then may give the earlier answer first.
        """
        started = time.monotonic()
        try:
            self._sock.settimeout(timeout)
            self._sock.sendall(b"\n")
        except TimeoutError:
            return TimedOut(time.monotonic() - started, connected=True)
        except OSError as error:
            return refusal(self._sock, error, started)
        return _read_answer(self._sock, started, timeout)

    def close(self) -> None:
        self._sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def tcp_connect(
    address: Address | str,
    port: int,
    timeout: float = 1.0,
    *,
    source: Address | str | None = None,
    source_port: int = 0,
) -> TcpConnection | Refused | TimedOut:
    """Connect, read the echo server's greeting and keep the connection open.

    `timeout` (seconds) is for the connection and the greeting together.
    """
    started = time.monotonic()
    sock = open_socket(address, socket.SOCK_STREAM, source=source, source_port=source_port)
    try:
        outcome = _greeted(sock, (str(address), port), started, timeout)
    except BaseException:
        sock.close()
        raise
    if isinstance(outcome, Answer):
        return TcpConnection(sock, outcome)
    sock.close()
    return outcome


def tcp_ask(
    address: Address | str,
    port: int,
    timeout: float = 1.0,
    *,
    source: Address | str | None = None,
    source_port: int = 0,
) -> Outcome:
    """Connect, read one answer, close."""
    outcome = tcp_connect(address, port, timeout, source=source, source_port=source_port)
    if isinstance(outcome, TcpConnection):
        with outcome:
            return outcome.greeting
    return outcome


def udp_ask(
    address: Address | str,
    port: int,
    timeout: float = 1.0,
    *,
    source: Address | str | None = None,
    source_port: int = 0,
) -> Outcome:
    """Send one datagram and wait for its answer; a lost one is not sent again."""
    started = time.monotonic()
    with open_socket(address, socket.SOCK_DGRAM, source=source, source_port=source_port) as sock:
        sock.settimeout(timeout)
        try:
            sock.connect((str(address), port))
            sock.send(b"who are you?\n")
            line = sock.recv(65536)
        except TimeoutError:
            return TimedOut(time.monotonic() - started)
        except OSError as error:
            return refusal(sock, error, started)
        elapsed = time.monotonic() - started
        return Answer.parse(line, local=own_end(sock), elapsed=elapsed)


def open_socket(
    address: Address | str,
    kind: int,
    protocol: int = 0,
    *,
    source: Address | str | None = None,
    source_port: int = 0,
) -> socket.socket:
    """A socket of the family of `address`, bound to the source if one is given."""
    version = ipaddress.ip_address(str(address)).version
    family = socket.AF_INET6 if version == 6 else socket.AF_INET
    sock = socket.socket(family, kind, protocol)
    try:
        keep_icmp_errors(sock)
        if source is not None or source_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((str(source or ("::" if version == 6 else "0.0.0.0")), source_port))
    except BaseException:
        sock.close()
        raise
    return sock


def own_end(sock: socket.socket) -> Endpoint:
    host, port = sock.getsockname()[:2]
    return Endpoint(ipaddress.ip_address(host.partition("%")[0]), port)


def _greeted(
    sock: socket.socket, target: tuple[str, int], started: float, timeout: float
) -> Outcome:
    failure = _connect(sock, target, started, timeout)
    if failure is not None:
        return failure
    # From here on as any program: an ICMP message does not end an established connection.
    keep_icmp_errors(sock, keep=False)
    return _read_answer(sock, started, timeout)


def _connect(
    sock: socket.socket, target: tuple[str, int], started: float, timeout: float
) -> Refused | TimedOut | None:
    """Connect. An ICMP message ends it even if the kernel, busy with the socket, only noted it."""
    sock.setblocking(False)
    code = sock.connect_ex(target)
    if code == errno.EINPROGRESS:
        poller = select.poll()
        poller.register(sock, select.POLLOUT)
        if not poller.poll(timeout * 1000):
            return TimedOut(time.monotonic() - started)
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code == 0 and not _established(sock):
            code = errno.ENOTCONN
    if code == 0:
        return None
    return refusal(sock, OSError(code, os.strerror(code)), started)


def _established(sock: socket.socket) -> bool:
    try:
        sock.getpeername()
    except OSError:
        return False
    return True


def _read_answer(sock: socket.socket, started: float, timeout: float) -> Outcome:
    """Read one line byte-exact, so that a line that follows stays for the next question."""
    line = b""
    while not line.endswith(b"\n"):
        left = started + timeout - time.monotonic()
        if left <= 0:
            return TimedOut(time.monotonic() - started, connected=True)
        try:
            sock.settimeout(left)
            ready = sock.recv(65536, socket.MSG_PEEK)
            data = sock.recv(ready.find(b"\n") + 1 or len(ready)) if ready else b""
        except TimeoutError:
            return TimedOut(time.monotonic() - started, connected=True)
        except OSError as error:
            return refusal(sock, error, started)
        if not data:
            return Refused(Reason.CLOSED, time.monotonic() - started)
        line += data
    elapsed = time.monotonic() - started
    return Answer.parse(line, local=own_end(sock), elapsed=elapsed)
