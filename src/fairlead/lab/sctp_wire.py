"""The few SCTP packets the lab speaks (RFC 9260), built and read by hand.

The kernels this is used on may have no SCTP sockets (`socket(..., IPPROTO_SCTP)` fails with
EPROTONOSUPPORT), yet nftables translates and tracks SCTP. So the start of an association is made by
hand: INIT, answered by INIT ACK (its state cookie is the echo server's JSON line) or by ABORT.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

__all__ = ["ABORT", "INIT", "INIT_ACK", "PROTOCOL", "Chunk", "abort", "crc32c", "init", "init_ack"]
__all__ += ["parse"]

PROTOCOL: Final = 132
INIT: Final = 1
INIT_ACK: Final = 2
ABORT: Final = 6

_COOKIE: Final = 7
_WINDOW: Final = 65536
_STREAMS: Final = 1


def _table() -> tuple[int, ...]:
    rows = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        rows.append(value)
    return tuple(rows)


_TABLE: Final = _table()


@dataclass(frozen=True, slots=True)
class Chunk:
    """The first chunk of a packet. `tag` is the verification tag, `init_tag` that of INIT (ACK)."""

    source_port: int
    target_port: int
    tag: int
    kind: int
    init_tag: int = 0
    cookie: bytes = b""


def crc32c(data: bytes) -> int:
    """CRC32c (Castagnoli) as in RFC 9260 appendix A."""
    value = 0xFFFFFFFF
    for byte in data:
        value = (value >> 8) ^ _TABLE[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF


def init(source_port: int, target_port: int, init_tag: int) -> bytes:
    """An INIT packet; its verification tag is 0 as the RFC demands."""
    return _packet(source_port, target_port, 0, INIT, _opening(init_tag))


def init_ack(
    source_port: int, target_port: int, *, peer_tag: int, init_tag: int, cookie: bytes
) -> bytes:
    """An INIT ACK that answers an INIT whose tag was `peer_tag`."""
    parameter = struct.pack("!HH", _COOKIE, 4 + len(cookie)) + cookie
    padding = bytes(-len(parameter) % 4)
    body = _opening(init_tag) + parameter + padding
    return _packet(source_port, target_port, peer_tag, INIT_ACK, body)


def abort(source_port: int, target_port: int, *, peer_tag: int) -> bytes:
    """An ABORT, the answer to an INIT for a port nobody listens on."""
    return _packet(source_port, target_port, peer_tag, ABORT, b"")


def parse(data: bytes) -> Chunk | None:
    """Read a packet (from its common header on); None when it is cut short or its CRC is wrong."""
    if len(data) < 16:
        return None
    source_port, target_port, tag, _ = struct.unpack_from("!HHII", data)
    (checksum,) = struct.unpack_from("<I", data, 8)
    if crc32c(data[:8] + bytes(4) + data[12:]) != checksum:
        return None
    kind, _, length = struct.unpack_from("!BBH", data, 12)
    body = data[16 : 12 + length]
    if kind not in (INIT, INIT_ACK) or len(body) < 16:
        return Chunk(source_port, target_port, tag, kind)
    (init_tag,) = struct.unpack_from("!I", body)
    return Chunk(source_port, target_port, tag, kind, init_tag, _cookie(body[16:]))


def _opening(init_tag: int) -> bytes:
    return struct.pack("!IIHHI", init_tag, _WINDOW, _STREAMS, _STREAMS, init_tag)


def _packet(source_port: int, target_port: int, tag: int, kind: int, body: bytes) -> bytes:
    chunk = struct.pack("!BBH", kind, 0, 4 + len(body)) + body
    header = struct.pack("!HHI", source_port, target_port, tag)
    return header + struct.pack("<I", crc32c(header + bytes(4) + chunk)) + chunk


def _cookie(parameters: bytes) -> bytes:
    while len(parameters) >= 4:
        kind, length = struct.unpack_from("!HH", parameters)
        if length < 4:
            break
        if kind == _COOKIE:
            return parameters[4:length]
        parameters = parameters[length + -length % 4 :]
    return b""
