"""Which ICMP message ended a question, read from a socket's error queue.

`ECONNREFUSED` alone does not tell a TCP reset from an ICMP port unreachable. With IP_RECVERR the
kernel keeps the message (`struct sock_extended_err`, see ip(7)) and the address of its sender.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
import struct
import time
from typing import TYPE_CHECKING, Final

from fairlead.lab.probe.outcomes import Reason, Refused

if TYPE_CHECKING:
    from fairlead.lab.topology import Address

__all__ = ["keep_icmp_errors", "refusal"]

_IP_RECVERR: Final = 11
_IPV6_RECVERR: Final = 25
_ORIGIN_ICMP: Final = 2
_ORIGIN_ICMP6: Final = 3

_UNREACHABLE_V4: Final = {
    0: Reason.NET_UNREACHABLE,
    1: Reason.HOST_UNREACHABLE,
    2: Reason.PROTOCOL_UNREACHABLE,
    3: Reason.PORT_UNREACHABLE,
    9: Reason.PROHIBITED,
    10: Reason.PROHIBITED,
    13: Reason.PROHIBITED,
}
_UNREACHABLE_V6: Final = {
    0: Reason.NET_UNREACHABLE,
    1: Reason.PROHIBITED,
    3: Reason.HOST_UNREACHABLE,
    4: Reason.PORT_UNREACHABLE,
    5: Reason.PROHIBITED,
    6: Reason.NET_UNREACHABLE,
}
_LOCAL: Final = {
    errno.ECONNRESET: Reason.RESET,
    errno.EPIPE: Reason.RESET,
    errno.ECONNREFUSED: Reason.RESET,
    errno.ENETUNREACH: Reason.NO_ROUTE,
    errno.EHOSTUNREACH: Reason.HOST_UNREACHABLE,
    errno.EACCES: Reason.PROHIBITED,
    errno.EPERM: Reason.PROHIBITED,
}


def keep_icmp_errors(sock: socket.socket, *, keep: bool = True) -> None:
    """Have the kernel queue ICMP errors of this socket, or no more; set before it connects."""
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, keep)
    else:
        sock.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, keep)


def refusal(sock: socket.socket, error: OSError, started: float) -> Refused:
    """The refusal behind this error of a socket. An error that is none is raised again."""
    elapsed = time.monotonic() - started
    queued = _queued(sock)
    if queued is not None:
        return Refused(queued[0], elapsed, queued[1])
    if error.errno not in _LOCAL:
        raise error
    return Refused(_LOCAL[error.errno], elapsed)


def _queued(sock: socket.socket) -> tuple[Reason, Address] | None:
    sock.setblocking(False)  # with a timeout Python would wait for a queue that stays empty
    try:
        _, ancillary, _, _ = sock.recvmsg(512, 512, socket.MSG_ERRQUEUE)
    except BlockingIOError:
        return None
    for level, kind, data in ancillary:
        if (level, kind) in ((0, _IP_RECVERR), (socket.IPPROTO_IPV6, _IPV6_RECVERR)):
            _, origin, icmp_type, code = struct.unpack_from("=IBBB", data)
            if origin in (_ORIGIN_ICMP, _ORIGIN_ICMP6):
                return _reason(origin, icmp_type, code), _offender(data[16:])
    return None


def _reason(origin: int, icmp_type: int, code: int) -> Reason:
    match origin, icmp_type:
        case (2, 3):
            return _UNREACHABLE_V4.get(code, Reason.OTHER_ICMP)
        case (3, 1):
            return _UNREACHABLE_V6.get(code, Reason.OTHER_ICMP)
        case (2, 11) | (3, 3):
            return Reason.HOP_LIMIT
        case (3, 4) if code == 1:  # unrecognised next header
            return Reason.PROTOCOL_UNREACHABLE
        case _:
            return Reason.OTHER_ICMP


def _offender(sockaddr: bytes) -> Address:
    (family,) = struct.unpack_from("=H", sockaddr)
    raw = sockaddr[8:24] if family == socket.AF_INET6 else sockaddr[4:8]
    return ipaddress.ip_address(raw)
