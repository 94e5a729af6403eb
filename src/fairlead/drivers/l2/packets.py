"""The announcer's frames: gratuitous ARP, ARP probe, unsolicited NA, DAD's NS, and their reading.

Gratuitous ARP comes in both forms, because hosts differ in which they believe: the announcement of
RFC 5227 §3 (a request) and a broadcast reply (RFC 826); Linux takes the reply only when its target
hardware address is the sender's. The unsolicited NA carries Override (RFC 4861 §7.2.6), so that it
replaces a cached address, and comes from the VIP itself, as the kernel's own do.
"""

import struct
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from fairlead.model.addresses import IPAddress

ETHERTYPE_ARP = 0x0806
ETHERTYPE_IPV6 = 0x86DD
ICMPV6 = 58
NEIGHBOUR_SOLICITATION = 135
NEIGHBOUR_ADVERTISEMENT = 136
OVERRIDE = 0x20000000
TARGET_LINK_LAYER_ADDRESS = 2

BROADCAST = b"\xff" * 6
ALL_NODES_MAC = bytes.fromhex("333300000001")
ALL_NODES = IPv6Address("ff02::1")
SOLICITED_NODE = int(IPv6Address("ff02::1:ff00:0"))

REQUEST, REPLY = 1, 2
UNKNOWN_MAC = bytes(6)
UNSPECIFIED4 = IPv4Address(0)
UNSPECIFIED6 = IPv6Address(0)

_ETHERNET = struct.Struct("!6s6sH")
_ARP = struct.Struct("!HHBBH6s4s6s4s")
_IPV6 = struct.Struct("!IHBB16s16s")
_NEIGHBOUR = struct.Struct("!BBHI16s")


class Sighting(NamedTuple):
    """A frame shows that the station ``mac`` uses, or is about to use, ``address``."""

    address: IPAddress
    mac: bytes


def announcement(address: IPAddress, mac: bytes) -> tuple[bytes, ...]:
    """One burst that tells the LAN that ``address`` is at ``mac``."""
    if isinstance(address, IPv4Address):
        return (
            _arp(REQUEST, sender=(mac, address), target=(UNKNOWN_MAC, address)),
            _arp(REPLY, sender=(mac, address), target=(mac, address)),
        )
    return (_advertisement(address, mac),)


def probe(address: IPAddress, mac: bytes) -> bytes:
    """The question whether anybody has ``address``, asked without claiming it (RFC 5227 §2.1.1,
    RFC 4862 §5.4.2)."""
    if isinstance(address, IPv4Address):
        return _arp(REQUEST, sender=(mac, UNSPECIFIED4), target=(UNKNOWN_MAC, address))
    group = IPv6Address(SOLICITED_NODE | int(address) & 0xFFFFFF)
    body = _NEIGHBOUR.pack(NEIGHBOUR_SOLICITATION, 0, 0, 0, address.packed)
    destination = b"\x33\x33" + group.packed[-4:]
    return _ETHERNET.pack(destination, mac, ETHERTYPE_IPV6) + _icmpv6(UNSPECIFIED6, group, body)


def sighting(frame: bytes) -> Sighting | None:
    """What a received frame says about who uses an address; None when it says nothing.

    A probe by somebody else counts: two hosts about to take one address must both step back
    (RFC 5227 §2.1.1, RFC 4862 §5.4.3).
    """
    if len(frame) < _ETHERNET.size:
        return None
    _, source, ethertype = _ETHERNET.unpack_from(frame)
    if ethertype == ETHERTYPE_ARP and len(frame) >= _ETHERNET.size + _ARP.size:
        return _arp_sighting(frame)
    if ethertype == ETHERTYPE_IPV6 and len(frame) >= _ETHERNET.size + _IPV6.size + _NEIGHBOUR.size:
        return _neighbour_sighting(frame, source)
    return None


def claim(frame: bytes) -> Sighting | None:
    """Who says that an address is its own; None for a frame that claims nothing, as a probe."""
    seen = sighting(frame)
    if seen is None:
        return None
    if frame[12:14] == ETHERTYPE_ARP.to_bytes(2):
        return seen if frame[28:32] == seen.address.packed else None
    return seen if frame[54] == NEIGHBOUR_ADVERTISEMENT else None


def _arp(
    operation: int, *, sender: tuple[bytes, IPv4Address], target: tuple[bytes, IPv4Address]
) -> bytes:
    return _ETHERNET.pack(BROADCAST, sender[0], ETHERTYPE_ARP) + _ARP.pack(
        1, 0x0800, 6, 4, operation, sender[0], sender[1].packed, target[0], target[1].packed
    )


def _advertisement(address: IPv6Address, mac: bytes) -> bytes:
    body = _NEIGHBOUR.pack(NEIGHBOUR_ADVERTISEMENT, 0, 0, OVERRIDE, address.packed)
    body += bytes((TARGET_LINK_LAYER_ADDRESS, 1)) + mac
    return _ETHERNET.pack(ALL_NODES_MAC, mac, ETHERTYPE_IPV6) + _icmpv6(address, ALL_NODES, body)


def _icmpv6(source: IPv6Address, destination: IPv6Address, body: bytes) -> bytes:
    pseudo = source.packed + destination.packed + struct.pack("!II", len(body), ICMPV6)
    checked = body[:2] + struct.pack("!H", checksum(pseudo + body)) + body[4:]
    header = _IPV6.pack(6 << 28, len(body), ICMPV6, 255, source.packed, destination.packed)
    return header + checked


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071) of an even number of bytes."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _arp_sighting(frame: bytes) -> Sighting | None:
    *form, operation, mac, sender, _, target = _ARP.unpack_from(frame, _ETHERNET.size)
    if form != [1, 0x0800, 6, 4]:
        return None
    if IPv4Address(sender) != UNSPECIFIED4:
        return Sighting(IPv4Address(sender), mac)
    return Sighting(IPv4Address(target), mac) if operation == REQUEST else None


def _neighbour_sighting(frame: bytes, source_mac: bytes) -> Sighting | None:
    *_, following, hops, source, _ = _IPV6.unpack_from(frame, _ETHERNET.size)
    kind, code, _, _, target = _NEIGHBOUR.unpack_from(frame, _ETHERNET.size + _IPV6.size)
    if following != ICMPV6 or hops != 255 or code != 0:
        return None
    match kind:
        case 136:
            return Sighting(IPv6Address(target), source_mac)
        case 135 if IPv6Address(source) == UNSPECIFIED6:
            return Sighting(IPv6Address(target), source_mac)
        case 135:
            return Sighting(IPv6Address(source), source_mac)
    return None
