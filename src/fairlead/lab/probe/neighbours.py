"""Who answers for an address on a segment: ARP and neighbour solicitation by packet sockets.

The kernel's own cache would hide a second holder, because it keeps one answer. Here every answer
within a window is collected, so "exactly one holder" can be asserted.
"""

from __future__ import annotations

import socket
import time
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fairlead.lab.frames import (
    ARP,
    IPV6,
    Arp,
    Frame,
    Neighbour,
    arp_request,
    neighbour_solicitation,
    parse_frame,
)

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["arp_ask", "ndp_ask"]

_ANY: Final = IPv4Address(0)
_LINK_LOCAL: Final = 0x20


def arp_ask(
    interface: str,
    ip: IPv4Address | str,
    window: float = 0.2,
    *,
    source: IPv4Address | str = _ANY,
) -> list[str]:
    """Ask who has an IPv4 address; the distinct MACs that answered within `window` seconds.

    Without a source the question is a probe, which leaves all caches as they are.
    """
    target = IPv4Address(str(ip))

    def answer(frame: Frame) -> str | None:
        arp = frame.payload
        if isinstance(arp, Arp) and arp.operation == "reply" and arp.sender_ip == target:
            return arp.sender_mac
        return None

    return _ask(
        interface,
        ARP,
        lambda mac: arp_request(mac, target, IPv4Address(str(source))),
        answer,
        window,
    )


def ndp_ask(
    interface: str,
    ip: IPv6Address | str,
    window: float = 0.2,
    *,
    source: IPv6Address | str | None = None,
) -> list[str]:
    """Solicit an IPv6 address; the distinct MACs that advertised it within `window` seconds.

    The source is the interface's link-local address unless another is given.
    """
    target = IPv6Address(str(ip))
    own = IPv6Address(str(source)) if source is not None else _link_local(interface)

    def answer(frame: Frame) -> str | None:
        seen = frame.payload
        if isinstance(seen, Neighbour) and seen.kind == "advertisement":
            return (seen.link_address or frame.source_mac) if seen.target_ip == target else None
        return None

    return _ask(
        interface, IPV6, lambda mac: neighbour_solicitation(mac, target, own), answer, window
    )


def _ask(
    interface: str,
    ethertype: int,
    question: Callable[[bytes], bytes],
    answer: Callable[[Frame], str | None],
    window: float,
) -> list[str]:
    answers: dict[str, None] = {}
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
        sock.bind((interface, ethertype))
        own_mac: bytes = sock.getsockname()[4]
        sock.send(question(own_mac))
        deadline = time.monotonic() + window
        while (left := deadline - time.monotonic()) > 0:
            sock.settimeout(left)
            try:
                raw, address = sock.recvfrom(65536)
            except TimeoutError:
                break
            if address[2] == socket.PACKET_OUTGOING:
                continue
            frame = parse_frame(raw, time=0.0, interface=interface, outgoing=False)
            if frame is not None and (mac := answer(frame)) is not None:
                answers[mac] = None
    return list(answers)


def _link_local(interface: str) -> IPv6Address:
    """The link-local address of an interface of this thread's namespace (proc(5) if_inet6)."""
    for line in Path("/proc/thread-self/net/if_inet6").read_text().splitlines():
        raw, _, _, scope, _, name = line.split()
        if name == interface and int(scope, 16) == _LINK_LOCAL:
            return IPv6Address(bytes.fromhex(raw))
    raise OSError(f"{interface} has no link-local address to solicit from")
