"""Asking an echo server over SCTP, as far as that goes without SCTP in the kernel.

Kernels built without SCTP have no such sockets, so the INIT chunk is crafted (with its CRC32c) and
sent over a raw socket; the echo server answers INIT ACK with its line in the state cookie. That is
enough to see where nftables sends an association and how it translates it. No association is ever
completed, so nothing is said about data transfer.
"""

from __future__ import annotations

import secrets
import socket
import time
from typing import TYPE_CHECKING

from fairlead.lab import sctp_wire
from fairlead.lab.probe.icmp_errors import refusal
from fairlead.lab.probe.outcomes import Answer, Endpoint, Outcome, Reason, Refused, TimedOut
from fairlead.lab.probe.transport import open_socket, own_end

if TYPE_CHECKING:
    from fairlead.lab.topology import Address

__all__ = ["sctp_init"]


def sctp_init(
    address: Address | str,
    port: int,
    timeout: float = 1.0,
    *,
    source: Address | str | None = None,
    source_port: int = 0,
) -> Outcome:
    """Send one INIT and wait for INIT ACK (Answer) or ABORT (Refused). Without a `source_port` a
    random one above 32767 is taken.
    """
    started = time.monotonic()
    own_port = source_port or 32768 + secrets.randbelow(28000)
    tag = secrets.randbits(32) or 1
    with open_socket(address, socket.SOCK_RAW, sctp_wire.PROTOCOL, source=source) as sock:
        try:
            sock.settimeout(timeout)
            sock.connect((str(address), 0))
            sock.send(sctp_wire.init(own_port, port, tag))
            while (left := started + timeout - time.monotonic()) > 0:
                sock.settimeout(left)
                chunk = _chunk(sock)
                if chunk is None or (chunk.source_port, chunk.target_port, chunk.tag) != (
                    port,
                    own_port,
                    tag,
                ):
                    continue
                return _outcome(chunk, own_end(sock).address, time.monotonic() - started)
        except TimeoutError:
            return TimedOut(time.monotonic() - started)
        except OSError as error:
            return refusal(sock, error, started)
    return TimedOut(time.monotonic() - started)


def _chunk(sock: socket.socket) -> sctp_wire.Chunk | None:
    packet = sock.recv(65536)
    if sock.family == socket.AF_INET:
        packet = packet[(packet[0] & 15) * 4 :]
    return sctp_wire.parse(packet)


def _outcome(chunk: sctp_wire.Chunk, own: Address, elapsed: float) -> Outcome:
    if chunk.kind == sctp_wire.ABORT:
        return Refused(Reason.ABORT, elapsed)
    local = Endpoint(own, chunk.target_port)
    return Answer.parse(chunk.cookie, local=local, elapsed=elapsed)
