"""Raw Ethernet sockets (AF_PACKET): one for sending per interface, and listening ones for probes.

Sockets for sending have no protocol, so the kernel hands them no frame. Listening ones are bound to
one ethertype and not to all: a socket for all would also see the frames of VLANs on top of the
interface, with their tag taken off, and mistake another LAN's host for one of this.
"""

import ctypes
import socket
import struct
from collections.abc import Iterable, Sequence

from fairlead.drivers.l2.host import Link
from fairlead.drivers.l2.packets import (
    ETHERTYPE_IPV6,
    ICMPV6,
    NEIGHBOUR_ADVERTISEMENT,
    NEIGHBOUR_SOLICITATION,
)
from fairlead.model.addresses import IPAddress

SOL_PACKET, PACKET_ADD_MEMBERSHIP, PACKET_MR_ALLMULTI = 263, 1, 2
SO_ATTACH_FILTER, SO_RCVBUFFORCE = 26, 33

LISTEN_BUFFER = 4 << 20
"""Bytes: room for the answers to some thousand probes."""

_BPF_LOAD_WORD, _BPF_LOAD_BYTE, _BPF_JUMP_EQUAL, _BPF_RETURN = 0x20, 0x30, 0x15, 0x06
_IPV6_NEXT_HEADER, _ICMPV6_TYPE = 20, 54
_ARP_SENDER, _TARGET_END = 28, 74
"""The sender's address; the last four bytes of what an advertisement is about."""
_NEIGHBOUR_ONLY = (
    (_BPF_LOAD_BYTE, 0, 0, _IPV6_NEXT_HEADER),
    (_BPF_JUMP_EQUAL, 0, 4, ICMPV6),
    (_BPF_LOAD_BYTE, 0, 0, _ICMPV6_TYPE),
    (_BPF_JUMP_EQUAL, 1, 0, NEIGHBOUR_SOLICITATION),
    (_BPF_JUMP_EQUAL, 0, 1, NEIGHBOUR_ADVERTISEMENT),
    (_BPF_RETURN, 0, 0, 0xFFFF),
    (_BPF_RETURN, 0, 0, 0),
)


Program = tuple[tuple[int, int, int, int], ...]
"""Classic BPF: code, jump if true, jump if false, operand."""

MOST_FILTERED = 1000
"""Addresses that a filter names: a program may have 4096 steps (BPF_MAXINSNS)."""


class Wire:
    """The sockets for sending, opened when first used. Not thread-safe: its owner locks."""

    def __init__(self) -> None:
        self._sockets: dict[int, socket.socket] = {}

    def send(self, link: Link, frames: Iterable[bytes]) -> None:
        """Send the frames on the interface; OSError when it is down or gone."""
        try:
            out = self._socket(link)
            for frame in frames:
                out.send(frame)
        except OSError:
            self._drop(link)
            raise

    def close(self) -> None:
        """Give the sockets back."""
        for index in list(self._sockets):
            self._sockets.pop(index).close()

    def _socket(self, link: Link) -> socket.socket:
        if link.ifindex not in self._sockets:
            opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            self._sockets[link.ifindex] = opened
            opened.bind((link.name, 0))
        return self._sockets[link.ifindex]

    def _drop(self, link: Link) -> None:
        if (broken := self._sockets.pop(link.ifindex, None)) is not None:
            broken.close()


def listen(link: Link, ethertype: int) -> socket.socket:
    """A socket that sends, and hears the interface's frames of one ethertype; OSError.

    Of IPv6 only neighbour solicitations and advertisements, multicast ones for groups of others
    too.
    """
    heard = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    try:
        heard.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, LISTEN_BUFFER)
        if ethertype == ETHERTYPE_IPV6:
            _attach(heard, _NEIGHBOUR_ONLY)
            membership = struct.pack("=iHH8s", link.ifindex, PACKET_MR_ALLMULTI, 0, b"")
            heard.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, membership)
        heard.bind((link.name, ethertype))
        heard.setblocking(False)
    except OSError:
        heard.close()
        raise
    return heard


def only_claims(heard: socket.socket, ethertype: int, addresses: Sequence[IPAddress]) -> None:
    """Have a socket hear only who claims one of these; with many, whoever claims any."""
    head: Program = ((_BPF_LOAD_WORD, 0, 0, _ARP_SENDER),)
    if ethertype == ETHERTYPE_IPV6:
        head = (
            (_BPF_LOAD_BYTE, 0, 0, _ICMPV6_TYPE),
            (_BPF_JUMP_EQUAL, 1, 0, NEIGHBOUR_ADVERTISEMENT),
            (_BPF_RETURN, 0, 0, 0),
            (_BPF_LOAD_WORD, 0, 0, _TARGET_END),
        )
    if len(addresses) > MOST_FILTERED:
        _attach(heard, (*head[:-1], (_BPF_RETURN, 0, 0, 0xFFFF)))
        return
    tests: list[tuple[int, int, int, int]] = []
    for address in addresses:
        last = int.from_bytes(address.packed[-4:])
        tests += [(_BPF_JUMP_EQUAL, 0, 1, last), (_BPF_RETURN, 0, 0, 0xFFFF)]
    _attach(heard, (*head, *tests, (_BPF_RETURN, 0, 0, 0)))


def _attach(target: socket.socket, program: Program) -> None:
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in program))
    pointer = ctypes.addressof(code)
    target.setsockopt(
        socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("@HP", len(program), pointer)
    )
