"""Captures: what passes an interface, told by who said it and on which port of the switch."""

import struct
import time

import pytest

from fairlead.lab import Arp, Capture, Frame, Hosts, Neighbour, Packet
from fairlead.lab.frames import internet_checksum
from fairlead.lab.probe import Answer, arp_ask, ndp_ask, tcp_ask, udp_ask

pytestmark = pytest.mark.root


def test_an_arp_exchange_is_seen_with_its_sender(lab: Hosts) -> None:
    client, engine = lab["client"], lab["engine-1"]
    with Capture(client) as capture:
        client.call(arp_ask, "lan", engine.v4, 0.1)
    replies = [(frame, arp) for frame, arp in capture.arps(engine.v4) if arp.operation == "reply"]
    assert len(replies) == 1
    frame, arp = replies[0]
    assert (arp.sender_mac, frame.source_mac, frame.outgoing) == (engine.mac(), engine.mac(), False)
    asked = [frame for frame, arp in capture.arps("0.0.0.0") if arp.operation == "request"]
    assert asked[0].outgoing
    assert asked[0].time <= frame.time <= time.monotonic()


def test_an_advertisement_tells_its_flags(lab: Hosts) -> None:
    client, engine = lab["client"], lab["engine-1"]
    with Capture(client) as capture:
        client.call(ndp_ask, "lan", engine.v6, 0.1)
    [(_, seen)] = capture.advertisements(engine.v6)
    assert (seen.link_address, seen.solicited, seen.override) == (engine.mac(), True, True)
    assert capture.advertisements("fd00:2::77") == []


def test_gratuitous_announcements_are_seen_by_everybody(lab: Hosts) -> None:
    engine = lab["engine-2"]

    def announced(frame: Frame) -> bool:
        arp = frame.payload
        return isinstance(arp, Arp) and arp.sender_ip == arp.target_ip

    with Capture(lab["client"]) as near, Capture(lab["edge"]) as far:
        engine.ip("addr", "add", "192.0.2.99/32", "dev", "lan")
        engine.call(arp_ask, "lan", "192.0.2.99", 0.01, source="192.0.2.99")
        assert near.wait_for(announced) is not None
        assert far.wait_for(announced) is not None
        assert near.wait_for(lambda frame: isinstance(frame.payload, Neighbour), 0.01) is None


def test_the_switch_tells_which_host_spoke(lab: Hosts) -> None:
    client, engine = lab["client"], lab["engine-1"]
    with Capture(lab.switch, None) as capture:
        client.call(arp_ask, "lan", engine.v4, 0.05)
    speakers = {
        (frame.interface, arp.operation) for frame, arp in capture.arps() if not frame.outgoing
    } - {("lan", "request")}
    assert speakers == {("l-client", "request"), ("l-engine-1", "reply")}


def test_ports_and_flags_of_a_connection_are_read(lab: Hosts) -> None:
    client, pod = lab["client"], lab["pod-a"]
    with Capture(pod, "pods") as capture:
        answer = client.call(tcp_ask, pod.v6, 8080)
        assert isinstance(answer, Answer)
    packets = [f.payload for f in capture.frames if isinstance(f.payload, Packet)]
    opening = [p for p in packets if p.tcp_flags == 0x02]
    assert [(str(p.source_ip), p.destination_port) for p in opening] == [(client.v6, 8080)]
    assert opening[0].source_port == answer.client.port


def test_packets_leave_with_their_checksum_filled_in(lab: Hosts) -> None:
    """Else captures, raw sockets and SCTP translation would see half-made packets."""
    client, pod = lab["client"], lab["pod-a"]
    with Capture(client) as capture:
        assert isinstance(client.call(udp_ask, pod.v4, 8080), Answer)
    [request] = [
        frame
        for frame in capture.frames
        if isinstance(frame.payload, Packet) and frame.payload.destination_port == 8080
    ]
    assert request.outgoing
    datagram = request.raw[34:]
    pseudo_header = request.raw[26:34] + struct.pack("!HH", 17, len(datagram))
    assert internet_checksum(pseudo_header + datagram) == 0


def test_waiting_for_what_never_comes_ends_in_time(lab: Hosts) -> None:
    started = time.monotonic()
    with Capture(lab["client"]) as capture:
        assert capture.wait_for(lambda frame: False, 0.1) is None
    assert 0.1 <= time.monotonic() - started < 0.5
