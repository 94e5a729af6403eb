"""Packets built and read by hand, against published vectors and against each other."""

from ipaddress import IPv4Address, IPv6Address

from fairlead.lab import sctp_wire
from fairlead.lab.frames import (
    Arp,
    Neighbour,
    arp_request,
    internet_checksum,
    neighbour_solicitation,
    parse_frame,
)
from fairlead.lab.probe import Endpoint

MAC = bytes.fromhex("020000000001")


def test_crc32c_gives_the_check_value_of_the_catalogue() -> None:
    assert sctp_wire.crc32c(b"123456789") == 0xE3069283
    assert sctp_wire.crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720 B.4


def test_an_init_ack_carries_tag_and_cookie() -> None:
    packet = sctp_wire.init_ack(9000, 40000, peer_tag=7, init_tag=9, cookie=b"hello")
    assert len(packet) % 4 == 0
    assert sctp_wire.parse(packet) == sctp_wire.Chunk(
        9000, 40000, 7, sctp_wire.INIT_ACK, 9, b"hello"
    )


def test_a_damaged_sctp_packet_is_not_read() -> None:
    packet = bytearray(sctp_wire.init(1, 2, 3))
    packet[-1] ^= 1
    assert sctp_wire.parse(bytes(packet)) is None
    assert sctp_wire.parse(b"short") is None


def test_internet_checksum_gives_the_example_of_rfc_1071() -> None:
    assert internet_checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xFFFF ^ 0xDDF2
    assert internet_checksum(b"\x01") == 0xFFFF ^ 0x0100


def test_an_arp_request_reads_back() -> None:
    raw = arp_request(MAC, IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2"))
    frame = parse_frame(raw, time=0.0, interface="lan", outgoing=True)
    assert frame is not None
    assert frame.destination_mac == "ff:ff:ff:ff:ff:ff"
    assert frame.payload == Arp(
        "request",
        "02:00:00:00:00:01",
        IPv4Address("192.0.2.2"),
        "00:00:00:00:00:00",
        IPv4Address("192.0.2.1"),
    )


def test_a_neighbour_solicitation_goes_to_the_solicited_node_group() -> None:
    raw = neighbour_solicitation(MAC, IPv6Address("fd00::12:3456"), IPv6Address("fe80::1"))
    frame = parse_frame(raw, time=0.0, interface="lan", outgoing=True)
    assert frame is not None
    assert frame.destination_mac == "33:33:ff:12:34:56"
    assert isinstance(frame.payload, Neighbour)
    assert frame.payload.destination_ip == IPv6Address("ff02::1:ff12:3456")
    assert frame.payload.link_address == "02:00:00:00:00:01"


def test_frames_cut_short_have_no_payload() -> None:
    raw = arp_request(MAC, IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2"))
    assert parse_frame(raw[:13], time=0.0, interface="lan", outgoing=False) is None
    cut = parse_frame(raw[:20], time=0.0, interface="lan", outgoing=False)
    assert cut is not None
    assert cut.payload is None


def test_an_endpoint_reads_back_in_both_families() -> None:
    for text in ("192.0.2.1:80", "[fd00::1]:443"):
        assert str(Endpoint.parse(text)) == text
