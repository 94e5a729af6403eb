"""Ethernet frames, read into what tests assert on: ARP, neighbour discovery, IP packets.

Sources: RFC 826 (ARP), RFC 4861 (neighbour discovery), RFC 791/8200 (IP headers). MAC addresses are
`aa:bb:cc:dd:ee:ff`. What is cut short or not understood has the payload None, never an error.
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final, Literal

from fairlead.lab.topology import Address

__all__ = [
    "ARP",
    "IPV4",
    "IPV6",
    "Arp",
    "Frame",
    "Neighbour",
    "Packet",
    "arp_request",
    "internet_checksum",
    "mac_bytes",
    "mac_text",
    "neighbour_solicitation",
    "parse_frame",
]

ARP: Final = 0x0806
IPV4: Final = 0x0800
IPV6: Final = 0x86DD

_BROADCAST: Final = b"\xff" * 6
_ICMPV6: Final = 58
_SOLICITATION: Final = 135
_ADVERTISEMENT: Final = 136
_WITH_PORTS: Final = (6, 17, 132)


@dataclass(frozen=True, slots=True)
class Arp:
    """An ARP packet. A gratuitous one has `sender_ip == target_ip`."""

    operation: Literal["request", "reply"]
    sender_mac: str
    sender_ip: IPv4Address
    target_mac: str
    target_ip: IPv4Address


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A neighbour solicitation or advertisement.

    `link_address` is the source (solicitation) or target (advertisement) link-layer option.
    """

    kind: Literal["solicitation", "advertisement"]
    source_ip: IPv6Address
    destination_ip: IPv6Address
    target_ip: IPv6Address
    link_address: str | None
    solicited: bool = False
    override: bool = False


@dataclass(frozen=True, slots=True)
class Packet:
    """An IP packet; ports are there for TCP, UDP and SCTP, the flags of the header for TCP."""

    source_ip: Address
    destination_ip: Address
    protocol: int
    source_port: int | None = None
    destination_port: int | None = None
    tcp_flags: int | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """A captured frame. `time` is that of `time.monotonic()` when it was read."""

    time: float
    interface: str
    outgoing: bool
    source_mac: str
    destination_mac: str
    ethertype: int
    payload: Arp | Neighbour | Packet | None
    raw: bytes


def parse_frame(raw: bytes, *, time: float, interface: str, outgoing: bool) -> Frame | None:
    """Read one Ethernet frame; None when it is shorter than its header."""
    if len(raw) < 14:
        return None
    (ethertype,) = struct.unpack_from("!H", raw, 12)
    body = raw[14:]
    payload: Arp | Neighbour | Packet | None
    match ethertype:
        case 0x0806 if len(body) >= 28:
            payload = _arp(body)
        case 0x0800 if len(body) >= 20:
            payload = _ipv4(body)
        case 0x86DD if len(body) >= 40:
            payload = _ipv6(body)
        case _:
            payload = None
    return Frame(
        time=time,
        interface=interface,
        outgoing=outgoing,
        source_mac=mac_text(raw[6:12]),
        destination_mac=mac_text(raw[:6]),
        ethertype=ethertype,
        payload=payload,
        raw=raw,
    )


def mac_text(raw: bytes) -> str:
    return raw.hex(":")


def mac_bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def arp_request(own_mac: bytes, target: IPv4Address, source: IPv4Address) -> bytes:
    """A broadcast who-has; with source 0.0.0.0 it is a probe (RFC 5227) and changes no cache."""
    body = struct.pack("!HHBBH", 1, IPV4, 6, 4, 1)
    body += own_mac + source.packed + bytes(6) + target.packed
    return _BROADCAST + own_mac + struct.pack("!H", ARP) + body


def neighbour_solicitation(own_mac: bytes, target: IPv6Address, source: IPv6Address) -> bytes:
    """A solicitation to the target's solicited-node multicast group."""
    group = IPv6Address(int(IPv6Address("ff02::1:ff00:0")) | (int(target) & 0xFFFFFF))
    option = bytes((1, 1)) + own_mac
    message = struct.pack("!BBHI", _SOLICITATION, 0, 0, 0) + target.packed + option
    pseudo = source.packed + group.packed + struct.pack("!II", len(message), _ICMPV6)
    checksum = internet_checksum(pseudo + message)
    message = message[:2] + struct.pack("!H", checksum) + message[4:]
    header = struct.pack("!IHBB", 6 << 28, len(message), _ICMPV6, 255)
    ethernet = b"\x33\x33" + group.packed[12:] + own_mac + struct.pack("!H", IPV6)
    return ethernet + header + source.packed + group.packed + message


def internet_checksum(data: bytes) -> int:
    """The one's complement sum of RFC 1071."""
    padded = data + bytes(len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def _arp(body: bytes) -> Arp | None:
    hardware, protocol, mac_length, ip_length, operation = struct.unpack_from("!HHBBH", body)
    if (hardware, protocol, mac_length, ip_length) != (1, IPV4, 6, 4) or operation not in (1, 2):
        return None
    return Arp(
        operation="request" if operation == 1 else "reply",
        sender_mac=mac_text(body[8:14]),
        sender_ip=IPv4Address(body[14:18]),
        target_mac=mac_text(body[18:24]),
        target_ip=IPv4Address(body[24:28]),
    )


def _ipv4(body: bytes) -> Packet:
    header = (body[0] & 15) * 4
    first_fragment = struct.unpack_from("!H", body, 6)[0] & 0x1FFF == 0
    upper = body[header:] if first_fragment else b""
    return _packet(body[12:16], body[16:20], body[9], upper)


def _ipv6(body: bytes) -> Neighbour | Packet:
    upper = body[40:]
    if body[6] == _ICMPV6 and len(upper) >= 24 and upper[0] in (_SOLICITATION, _ADVERTISEMENT):
        return _neighbour(body, upper)
    return _packet(body[8:24], body[24:40], body[6], upper)


def _neighbour(body: bytes, upper: bytes) -> Neighbour:
    advertisement = upper[0] == _ADVERTISEMENT
    wanted = 2 if advertisement else 1
    option = upper[24:32]
    has_option = len(option) == 8 and option[:2] == bytes((wanted, 1))
    return Neighbour(
        kind="advertisement" if advertisement else "solicitation",
        source_ip=IPv6Address(body[8:24]),
        destination_ip=IPv6Address(body[24:40]),
        target_ip=IPv6Address(upper[8:24]),
        link_address=mac_text(option[2:]) if has_option else None,
        solicited=advertisement and bool(upper[4] & 0x40),
        override=advertisement and bool(upper[4] & 0x20),
    )


def _packet(source: bytes, destination: bytes, protocol: int, upper: bytes) -> Packet:
    ports = protocol in _WITH_PORTS and len(upper) >= 4
    return Packet(
        source_ip=ipaddress.ip_address(source),
        destination_ip=ipaddress.ip_address(destination),
        protocol=protocol,
        source_port=struct.unpack_from("!H", upper, 0)[0] if ports else None,
        destination_port=struct.unpack_from("!H", upper, 2)[0] if ports else None,
        tcp_flags=upper[13] if protocol == 6 and len(upper) >= 14 else None,
    )
