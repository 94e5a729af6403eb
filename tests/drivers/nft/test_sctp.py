"""SCTP through the real kernel, with packets made by hand: this kernel has no SCTP sockets."""

import socket
import struct

import pytest

from fairlead.drivers.nft.driver import NftDriver
from fairlead.model.desired import L4Key, L4Listener
from tests.drivers.nft.net import FAMILIES, PODS, SOON, Net, address, pod, row, serve
from tests.drivers.nft.wire import SCTP, icmp_protocol, payload, sctp_init, sctp_is_whole

pytestmark = pytest.mark.root
families = pytest.mark.parametrize("family", FAMILIES)


@families
def test_an_association_reaches_a_pod_whole(driver: NftDriver, net: Net, family: int) -> None:
    vip = address(family, "vip 1")
    serve(driver, {L4Key(vip, "SCTP", 5060): row(family, "pod1")})
    with net.socket("pod1", family, socket.SOCK_RAW, SCTP) as ears:
        ears.settimeout(SOON)
        send(net, family, to_port=5060, from_ports=[40_000])
        packet, peer = ears.recvfrom(2048)
    packet = payload(packet, family)
    assert struct.unpack_from("!HH", packet) == (40_000, 8080)
    assert sctp_is_whole(packet)
    assert peer[0] == str(address(family, "lan 1"))


@families
def test_associations_are_spread(driver: NftDriver, net: Net, family: int) -> None:
    vip = address(family, "vip 1")
    serve(driver, {L4Key(vip, "SCTP", 5060): row(family, *PODS)})
    ears = [net.socket(name, family, socket.SOCK_RAW, SCTP) for name in PODS]
    try:
        for one in ears:
            one.settimeout(SOON)
        send(net, family, to_port=5060, from_ports=list(range(41_000, 41_040)))
        assert all(one.recv(2048) for one in ears)
    finally:
        for one in ears:
            one.close()


@families
@pytest.mark.parametrize("port", [5060, 5061])
def test_what_has_no_backend_or_no_listener_is_refused(
    driver: NftDriver, net: Net, family: int, port: int
) -> None:
    vip = address(family, "vip 1")
    serve(driver, {L4Key(vip, "SCTP", 5060): L4Listener(backends=())})
    unreachable = b"\3\3" if family == 4 else b"\1\4"
    with net.socket("client", family, socket.SOCK_RAW, icmp_protocol(family)) as ears:
        ears.settimeout(SOON)
        send(net, family, to_port=port, from_ports=[40_001])
        while not (got := payload(ears.recv(2048), family)).startswith(unreachable):
            continue  # neighbour discovery
    assert vip.packed in got


@families
def test_a_far_backend_sees_the_engine(driver: NftDriver, net: Net, family: int) -> None:
    vip = address(family, "vip 1")
    serve(driver, {L4Key(vip, "SCTP", 5060): row(family, "far")})
    with net.socket("far", family, socket.SOCK_RAW, SCTP) as ears:
        ears.settimeout(SOON)
        send(net, family, to_port=5060, from_ports=[40_002])
        packet, peer = ears.recvfrom(2048)
    assert sctp_is_whole(payload(packet, family))
    assert peer[0] == str(address(family, "far 1"))
    assert pod(family, "far") != address(family, "far 1")


def send(net: Net, family: int, *, to_port: int, from_ports: list[int]) -> None:
    """INITs from the client to the VIP."""
    with net.socket("client", family, socket.SOCK_RAW, SCTP) as raw:
        for port in from_ports:
            raw.sendto(sctp_init(source=port, to=to_port), (str(address(family, "vip 1")), 0))
