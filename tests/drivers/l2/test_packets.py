"""Frames byte by byte, and what is read from frames of any content."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.drivers.l2.packets import Sighting, announcement, checksum, probe, sighting

MAC = bytes.fromhex("02aabbccddee")
OTHER = bytes.fromhex("020000000001")
VIP4 = IPv4Address("192.0.2.7")
VIP6 = IPv6Address("2001:db8::7")
addresses = st.ip_addresses()


def test_gratuitous_arp() -> None:
    assert [frame.hex(" ", -2) for frame in announcement(VIP4, MAC)] == [
        "ffff ffff ffff 02aa bbcc ddee 0806 0001 0800 0604 0001"
        " 02aa bbcc ddee c000 0207 0000 0000 0000 c000 0207",
        "ffff ffff ffff 02aa bbcc ddee 0806 0001 0800 0604 0002"
        " 02aa bbcc ddee c000 0207 02aa bbcc ddee c000 0207",
    ]


def test_unsolicited_advertisement() -> None:
    (frame,) = announcement(VIP6, MAC)
    assert frame.hex(" ", -2) == (
        "3333 0000 0001 02aa bbcc ddee 86dd 6000 0000 0020 3aff"
        " 2001 0db8 0000 0000 0000 0000 0000 0007 ff02 0000 0000 0000 0000 0000 0000 0001"
        " 8800 5eba 2000 0000 2001 0db8 0000 0000 0000 0000 0000 0007 0201 02aa bbcc ddee"
    )


def test_a_probe_has_no_sender_address() -> None:
    assert probe(VIP4, MAC)[28:32] == bytes(4)
    frame = probe(IPv6Address("2001:db8::aabb:ccdd"), MAC)
    assert frame[:6].hex() == "3333ffbbccdd"
    assert frame[22:38] == bytes(16)
    assert IPv6Address(frame[38:54]) == IPv6Address("ff02::1:ffbb:ccdd")
    assert len(frame) == 78, "DAD's solicitation has no option"


@given(st.binary(max_size=80).map(lambda data: data + bytes(len(data) % 2)))
def test_a_checksum_proves_its_data(data: bytes) -> None:
    assert checksum(data + checksum(data).to_bytes(2)) == 0


@given(addresses)
def test_what_we_send_is_what_others_see(address: IPv4Address | IPv6Address) -> None:
    frames = announcement(address, MAC)
    if int(address):
        assert {sighting(frame) for frame in frames} == {Sighting(address, MAC)}
    assert sighting(probe(address, MAC)) == Sighting(address, MAC)


@given(st.binary(max_size=200), st.sampled_from([b"\x08\x06", b"\x86\xdd", b"\x08\x00"]))
def test_no_frame_is_too_odd_to_read(content: bytes, ethertype: bytes) -> None:
    seen = sighting(bytes(6) + OTHER + ethertype + content)
    assert seen is None or len(seen.mac) == 6


@pytest.mark.parametrize(
    ("change", "meaning"),
    [
        (
            lambda frame: frame[:21] + b"\xfe" + frame[22:],
            "hop limit 254: it came through a router",
        ),
        (lambda frame: frame[:20] + b"\x06" + frame[21:], "TCP"),
        (lambda frame: frame[:54] + b"\x80" + frame[55:], "an echo request"),
        (lambda frame: frame[:77], "cut short"),
    ],
)
def test_what_is_no_neighbour_discovery_says_nothing(change: object, meaning: str) -> None:
    assert callable(change)
    (frame,) = announcement(VIP6, MAC)
    assert sighting(change(frame)) is None, meaning


def test_a_solicitation_shows_its_source() -> None:
    asked = bytearray(probe(VIP6, MAC))
    asked[22:38] = ip_address("2001:db8::9").packed
    assert sighting(bytes(asked)) == Sighting(ip_address("2001:db8::9"), MAC)


def test_an_arp_reply_from_nobody_says_nothing() -> None:
    frame = bytearray(probe(VIP4, MAC))
    frame[21] = 2
    assert sighting(bytes(frame)) is None
