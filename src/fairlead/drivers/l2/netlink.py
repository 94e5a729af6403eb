"""Netlink as far as the announcer needs it: a dump, and a batch with one answer per message.

Written on the bare socket for one reason, measured: a take-over of 500 addresses is on the path
that decides for how long clients wait. The batch takes 5 ms here and 64 ms through the general
library, which also reports only the first message of a batch that failed; reading 500 addresses
takes 2 ms instead of 30.
"""

import socket
import struct
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import NamedTuple, Self

ROUTE = 0
NETFILTER = 12

REQUEST = 0x1
ACK = 0x4
REPLACE = 0x100
EXCLUSIVE = 0x200
CREATE = 0x400
DUMP = 0x300
INTERRUPTED = 0x10

ERROR_MESSAGE = 2
DONE_MESSAGE = 3

ATTRIBUTE_TYPE = 0x3FFF
"""The rest of an attribute's type are flags (NLA_F_NESTED, NLA_F_NET_BYTEORDER)."""

CHUNK = 100
"""Messages per send: the kernel queues one answer each before it returns, and the default receive
buffer holds fewer than 300 (ENOBUFS otherwise)."""

DUMP_ATTEMPTS = 8
"""Tries for a dump that no change interrupts."""

_HEADER = struct.Struct("=IHHII")
_ERROR = struct.Struct("=i")
_ATTRIBUTE = struct.Struct("=HH")


class Message(NamedTuple):
    """A request: type, flags beside REQUEST and ACK, and what follows the header."""

    kind: int
    flags: int
    body: bytes


class Netlink:
    """A netlink socket in the network namespace of the calling thread. Errors are OSError."""

    def __init__(self, protocol: int) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()

    def dump(self, kind: int, body: bytes) -> list[bytes]:
        """The bodies of all messages of a table.

        A table that changed meanwhile may come with holes or doubles (NLM_F_DUMP_INTR): it is read
        again, and after some attempts InterruptedError is raised.
        """
        for _ in range(DUMP_ATTEMPTS):
            answers = list(self._answers(kind, body))
            if not any(flags & INTERRUPTED for flags, _ in answers):
                return [part for _, part in answers]
        raise InterruptedError("the kernel's table changes faster than it can be read")

    def stream(self, kind: int, body: bytes) -> Iterator[bytes]:
        """The bodies of all messages of a large table that need not be of one moment."""
        return (part for _, part in self._answers(kind, body))

    def batch(self, messages: Sequence[Message]) -> list[int]:
        """Send the messages together; per message 0 or the errno of the refusal."""
        results: list[int] = []
        for start in range(0, len(messages), CHUNK):
            results += self._chunk(messages[start : start + CHUNK])
        return results

    def _chunk(self, messages: Sequence[Message]) -> list[int]:
        self._socket.send(
            b"".join(
                _pack(message._replace(flags=message.flags | ACK), sequence=sequence)
                for sequence, message in enumerate(messages)
            )
        )
        results: dict[int, int] = {}
        while len(results) < len(messages):
            for kind, _, sequence, body in split(self._socket.recv(1 << 16)):
                if kind == ERROR_MESSAGE:
                    results[sequence] = -_ERROR.unpack_from(body)[0]
        return [results[sequence] for sequence in range(len(messages))]

    def _answers(self, kind: int, body: bytes) -> Iterator[tuple[int, bytes]]:
        self._socket.send(_pack(Message(kind, DUMP, body), sequence=1))
        while True:
            for answer, flags, _, part in split(self._socket.recv(1 << 16)):
                if answer in (ERROR_MESSAGE, DONE_MESSAGE):
                    _raise_for(part)
                if answer == DONE_MESSAGE:
                    return
                yield flags, part


def _raise_for(body: bytes) -> None:
    """Raise the OSError that the body of an error or done message bears, if it does."""
    code = -_ERROR.unpack_from(body)[0] if len(body) >= _ERROR.size else 0
    if code:
        raise OSError(code, "netlink")


def split(datagram: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """The messages of a datagram: type, flags, sequence number, body."""
    offset = 0
    while offset < len(datagram):
        length, kind, flags, sequence, _ = _HEADER.unpack_from(datagram, offset)
        yield kind, flags, sequence, datagram[offset + _HEADER.size : offset + length]
        offset += length + 3 & ~3


def attribute(kind: int, value: bytes) -> bytes:
    """An attribute, padded."""
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) % 4)


def attributes(data: bytes, offset: int = 0) -> dict[int, bytes]:
    """The attributes in ``data`` from ``offset`` on, by type without flags."""
    found: dict[int, bytes] = {}
    while offset + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        found[kind & ATTRIBUTE_TYPE] = data[offset + _ATTRIBUTE.size : offset + length]
        offset += max(length, _ATTRIBUTE.size) + 3 & ~3
    return found


def _pack(message: Message, *, sequence: int) -> bytes:
    body = message.body
    flags = message.flags | REQUEST
    header = _HEADER.pack(_HEADER.size + len(body), message.kind, flags, sequence, 0)
    return header + body + bytes(-len(body) % 4)
