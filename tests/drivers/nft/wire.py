"""Packets made by hand: SCTP INIT (many kernels have no SCTP sockets) and ICMP "too big"."""

import socket
import struct

from fairlead.model.addresses import IPAddress

SCTP = 132


def crc32c(data: bytes) -> int:
    """The Castagnoli checksum of SCTP (RFC 9260, appendix A)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def sctp_init(*, source: int, to: int) -> bytes:
    """An SCTP packet with an INIT chunk."""
    chunk = struct.pack("!BBHIIHHI", 1, 0, 20, 0x1234, 65535, 1, 1, 1)
    header = struct.pack("!HHI", source, to, 0)
    return header + struct.pack("<I", crc32c(header + bytes(4) + chunk)) + chunk


def sctp_is_whole(packet: bytes) -> bool:
    """Whether the checksum is right."""
    (given,) = struct.unpack_from("<I", packet, 8)
    return bool(given == crc32c(packet[:8] + bytes(4) + packet[12:]))


def too_big(inner: bytes, family: int) -> bytes:
    """ICMP "fragmentation needed" or ICMPv6 "packet too big" for a packet, MTU 1280."""
    if family == 6:
        return struct.pack("!BBHI", 2, 0, 0, 1280) + inner  # the kernel fills in the checksum
    body = struct.pack("!BBHHH", 3, 4, 0, 0, 1280) + inner
    return body[:2] + struct.pack("!H", _sum(body)) + body[4:]


def tcp_packet(source: IPAddress, to: IPAddress, ports: tuple[int, int]) -> bytes:
    """The first bytes of a TCP packet, as ICMP errors quote them."""
    tcp = struct.pack("!HHIIBBHHH", *ports, 1, 1, 0x50, 0x10, 100, 0, 0)
    if source.version == 6:
        return struct.pack("!IHBB", 6 << 28, len(tcp), 6, 64) + source.packed + to.packed + tcp
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 1, 0x4000, 64, 6, 0)
    head += source.packed + to.packed
    return head[:10] + struct.pack("!H", _sum(head)) + head[12:] + tcp


def payload(packet: bytes, family: int) -> bytes:
    """What a raw socket received, without the IPv4 header that it includes."""
    return packet[(packet[0] & 15) * 4 :] if family == 4 else packet


def icmp_protocol(family: int) -> int:
    """ICMP or ICMPv6."""
    return socket.IPPROTO_ICMP if family == 4 else socket.IPPROTO_ICMPV6


def _sum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
