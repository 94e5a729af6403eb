"""Netfilter's netlink protocol, as far as the driver needs it: dumps, deletions, the generation
number.

pyroute2 decodes an entry in about a tenth of a millisecond, which is seconds on a full conntrack
table; here a reader looks at the bytes it needs and skips the rest. The socket stays open for the
driver's life, because closing any netfilter socket waits for what nftables still has to free.
"""

import os
import socket
import struct
from collections.abc import Iterable, Iterator

from fairlead.drivers.base import DriverError
from fairlead.drivers.nft.namespace import entered

_NETLINK_NETFILTER = 12  # the socket module names it from Python 3.12 on

NFTABLES = 10 << 8
CONNTRACK = 1 << 8

_HEADER = struct.Struct("=IHHII")
_GENERIC = struct.Struct("=BBH")
_ATTRIBUTE = struct.Struct("=HH")
_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300
_INTERRUPTED = 0x10
_ERROR, _DONE = 2, 3
_TYPE_MASK = 0x3FFF
NESTED = 0x8000
BODY = _HEADER.size + _GENERIC.size
"""Where a message's attributes begin."""

_BUFFER = 1 << 20
_BATCH = 64


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded to four bytes."""
    length = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(length, kind) + value + bytes(-length % 4)


def attributes(data: bytes) -> dict[int, bytes]:
    """The attributes in a message's body or in a nested attribute, by number."""
    found: dict[int, bytes] = {}
    offset = 0
    while offset + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < _ATTRIBUTE.size:
            break
        found[kind & _TYPE_MASK] = data[offset + _ATTRIBUTE.size : offset + length]
        offset += (length + 3) & ~3
    return found


class Interrupted(DriverError):
    """A table changed while it was being read; read it again."""


class Netlink:
    """A netfilter socket in one network namespace."""

    def __init__(self, *, netns: str | None = None) -> None:
        """Raises :class:`DriverError` where the namespace does not exist."""
        with entered(netns):
            self._socket = socket.socket(
                socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER
            )
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * _BUFFER)
        self._socket.bind((0, 0))
        self._socket.settimeout(30.0)
        self._sequence = 0

    def close(self) -> None:
        """Close the socket. Idempotent."""
        self._socket.close()

    def dump(self, kind: int, *, family: int = 0, body: bytes = b"") -> Iterator[bytes]:
        """Every message of a dump, to the end. Raises :class:`DriverError`."""
        sequence = self._send([(kind, body)], family=family, flags=_DUMP)
        interrupted = False
        while True:
            for header, message in self._receive():
                if header[3] != sequence:
                    continue  # an answer that nobody waited for
                if header[1] == _ERROR:
                    raise _failure(message)
                interrupted |= bool(header[2] & _INTERRUPTED)
                if header[1] != _DONE:
                    yield message
                elif interrupted:
                    raise Interrupted("the table changed while it was read")
                else:
                    return

    def get(self, kind: int) -> bytes:
        """The single message that answers a request."""
        sequence = self._send([(kind, b"")], family=0, flags=0)
        while True:
            for header, message in self._receive():
                if header[3] == sequence and header[1] == _ERROR:
                    raise _failure(message)
                if header[3] == sequence:
                    return message

    def delete_all(self, kind: int, bodies: Iterable[bytes], *, family: int) -> None:
        """Send deletions; what is gone already is no error."""
        waiting = list(bodies)
        for start in range(0, len(waiting), _BATCH):
            batch = waiting[start : start + _BATCH]
            last = self._send([(kind, body) for body in batch], family=family, flags=_ACK)
            self._settle(last)

    def _settle(self, last: int) -> None:
        while True:
            for header, message in self._receive():
                if header[1] == _ERROR and _errno(message) not in (0, 2):  # 2: ENOENT
                    raise _failure(message)
                if header[3] == last:
                    return

    def _send(self, requests: list[tuple[int, bytes]], *, family: int, flags: int) -> int:
        pieces: list[bytes] = []
        for kind, body in requests:
            self._sequence += 1
            length = BODY + len(body)
            pieces += [
                _HEADER.pack(length, kind, _REQUEST | flags, self._sequence, 0),
                _GENERIC.pack(family, 0, 0),
                body,
            ]
        try:
            self._socket.send(b"".join(pieces))
        except OSError as error:
            raise DriverError(f"netlink: {error.strerror}") from error
        return self._sequence

    def _receive(self) -> Iterator[tuple[tuple[int, int, int, int], bytes]]:
        try:
            data = self._socket.recv(_BUFFER)
        except OSError as error:
            raise DriverError(f"netlink: {error.strerror or error}") from error
        offset = 0
        while offset + _HEADER.size <= len(data):
            length, kind, flags, sequence, _ = _HEADER.unpack_from(data, offset)
            yield (length, kind, flags, sequence), data[offset : offset + length]
            offset += (length + 3) & ~3


def _errno(message: bytes) -> int:
    (number,) = struct.unpack_from("=i", message, _HEADER.size)
    return -int(number)


def _failure(message: bytes) -> DriverError:
    return DriverError(f"netlink: {os.strerror(_errno(message))}")
