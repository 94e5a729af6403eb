"""ICMP and ICMPv6 echo over a raw socket."""

from __future__ import annotations

import secrets
import socket
import struct
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fairlead.lab.frames import internet_checksum
from fairlead.lab.probe.icmp_errors import refusal
from fairlead.lab.probe.outcomes import Refused, TimedOut
from fairlead.lab.probe.transport import open_socket

if TYPE_CHECKING:
    from fairlead.lab.topology import Address

__all__ = ["Pong", "ping"]


@dataclass(frozen=True, slots=True)
class Pong:
    """The echo reply came, after this many seconds."""

    elapsed: float


def ping(
    address: Address | str,
    timeout: float = 1.0,
    *,
    source: Address | str | None = None,
    size: int = 32,
) -> Pong | Refused | TimedOut:
    """Send one echo request with `size` bytes of data and wait for the reply to exactly that."""
    v6 = ":" in str(address)
    protocol = socket.IPPROTO_ICMPV6 if v6 else socket.IPPROTO_ICMP
    started = time.monotonic()
    with open_socket(address, socket.SOCK_RAW, protocol, source=source) as sock:
        identity = struct.pack("!HH", secrets.randbits(16), 1)
        data = secrets.token_bytes(size)
        reply = bytes((129 if v6 else 0, 0))
        try:
            sock.settimeout(timeout)
            sock.connect((str(address), 0))
            sock.send(_request(v6, identity + data))
            while (left := started + timeout - time.monotonic()) > 0:
                sock.settimeout(left)
                packet = sock.recv(65536)
                message = packet if v6 else packet[(packet[0] & 15) * 4 :]
                if message[:2] == reply and message[4:] == identity + data:
                    return Pong(time.monotonic() - started)
        except TimeoutError:
            return TimedOut(time.monotonic() - started)
        except OSError as error:
            return refusal(sock, error, started)
    return TimedOut(time.monotonic() - started)


def _request(v6: bool, body: bytes) -> bytes:
    if v6:  # the kernel fills in the checksum, which covers addresses only it knows
        return struct.pack("!BBH", 128, 0, 0) + body
    checksum = internet_checksum(struct.pack("!BBH", 8, 0, 0) + body)
    return struct.pack("!BBH", 8, 0, checksum) + body
