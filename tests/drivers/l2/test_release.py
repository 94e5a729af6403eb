"""After a release nothing speaks in the VIP's name, whatever flows live on: seen on captures."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Literal

import pytest

from fairlead.drivers.l2 import L2Driver
from fairlead.drivers.l2.conntrack import forget_flows
from fairlead.model.desired import L2Changes

if TYPE_CHECKING:
    from tests.drivers.l2.conftest import Host, Net

pytestmark = pytest.mark.root

Version = Literal[4, 6]
Peer = tuple[Any, ...]

VIP = {4: "10.77.0.50", 6: "fd77::50"}
CLIENT = {4: "10.77.0.9", 6: "fd77::9"}
POD = {4: "10.88.0.2", 6: "fd88::2"}
FAMILY: dict[int, int] = {4: socket.AF_INET, 6: socket.AF_INET6}

TRANSLATION = """
table inet demo {
    chain pre {
        type nat hook prerouting priority -110;
        ip daddr 10.77.0.50 udp dport 53 dnat ip to 10.88.0.2:53
        ip6 daddr fd77::50 udp dport 53 dnat ip6 to [fd88::2]:53
    }
    chain post { type nat hook postrouting priority 100; }
}
"""


@pytest.fixture
def pod(net: Net, a: Host) -> Host:
    """A pod behind engine ``a``, which translates the VIPs' UDP port 53 to it."""
    net.join(a, "br1", "eth1", "10.88.0.1/24", "fd88::1/64")
    made = net.host("pod")
    net.join(made, "br1", "eth0", "10.88.0.2/24", "fd88::2/64")
    made.ip("route add default via 10.88.0.1")
    made.ip("route add default via fd88::1")
    a.sysctl("net/ipv4/ip_forward", "1")
    a.sysctl("net/ipv6/conf/all/forwarding", "1")
    a.run("nft", "-f", "-", stdin=TRANSLATION)
    return made


@contextmanager
def flow(client: Host, pod: Host, version: Version) -> Iterator[tuple[socket.socket, Peer]]:
    """A UDP flow from the client through the VIP to the pod; yields the pod's socket and peer."""
    with ExitStack() as stack:
        family = FAMILY[version]
        server = stack.enter_context(pod.call(socket.socket, family, socket.SOCK_DGRAM))
        asking = stack.enter_context(client.call(socket.socket, family, socket.SOCK_DGRAM))
        server.bind((POD[version], 53))
        asking.connect((VIP[version], 53))
        server.settimeout(3)
        asking.settimeout(3)
        asking.send(b"question")
        _, peer = server.recvfrom(64)
        server.sendto(b"answer", peer)
        assert asking.recv(64) == b"answer"
        yield server, peer


def speak_late(a: Host, version: Version, server: socket.socket, peer: Peer) -> None:
    """Let the pod answer once more, when its engine must first find the client again."""
    a.run("ip", f"-{version}", "neigh", "flush", "to", CLIENT[version])
    server.sendto(b"late", peer)
    time.sleep(0.2)


def entries(host: Host, version: Version) -> str:
    return host.run("conntrack", "-L", "-f", f"ipv{version}")


@pytest.mark.parametrize(("arp_announce", "heard"), [("0", True), ("2", False)])
def test_the_trap_itself(a: Host, client: Host, pod: Host, arp_announce: str, heard: bool) -> None:
    """A flow and a VIP that stays local make the kernel ask in its name, unless it may not."""
    a.ip("route add local 10.77.0.50 dev lo")
    a.sysctl("net/ipv4/conf/eth0/arp_announce", arp_announce)
    with flow(client, pod, 4) as (server, peer), client.capture() as capture:
        speak_late(a, 4, server, peer)
    senders = {one.sender for one in capture.arps() if one.sender_mac == a.mac()}
    assert ("10.77.0.50" in senders) is heard


@pytest.mark.parametrize("version", [4, 6])
def test_a_former_holder_with_live_flows_never_speaks_as_the_vip(
    a: Host, b: Host, client: Host, pod: Host, version: Version
) -> None:
    vip = frozenset({ip_address(VIP[version])})
    driver, other = L2Driver(), L2Driver()
    a.call(driver.apply, L2Changes(added=vip, removed=frozenset()))
    with flow(client, pod, version) as (server, peer):
        assert VIP[version] in entries(a, version)
        a.call(driver.apply, L2Changes(added=frozenset(), removed=vip))
        assert VIP[version] not in entries(a, version)
        with client.capture() as capture:
            b.call(other.apply, L2Changes(added=vip, removed=frozenset()))
            for _ in range(6):
                speak_late(a, version, server, peer)
    spoken = capture.sources(a.mac())
    assert spoken & {POD[version], "10.77.0.1", "fd77::1"}, "the former holder had to speak"
    assert VIP[version] not in spoken
    assert VIP[version] in capture.sources(b.mac())
    assert client.cached_mac(VIP[version]) == b.mac()
    for host, one in ((a, driver), (b, other)):
        host.call(one.withdraw)


def test_only_the_flows_of_the_addresses_go(a: Host, client: Host, pod: Host) -> None:
    a.ip("addr add 10.77.0.50/32 dev eth0")
    a.ip("addr add fd77::50/128 dev eth0 nodad")
    with flow(client, pod, 4), flow(client, pod, 6):
        client.poke("10.77.0.1", 4242)
        client.poke("fd77::1", 4242)
        assert a.call(forget_flows, [ip_address("10.77.0.51")]) == 0
        assert a.call(forget_flows, [ip_address("10.77.0.50"), ip_address("fd77::50")]) == 2
        assert a.call(forget_flows, [ip_address("10.77.0.50"), ip_address("fd77::50")]) == 0
    assert "dport=4242" in entries(a, 4)
    assert "dport=4242" in entries(a, 6)
    assert a.call(forget_flows, [ip_address(POD[4])]) == 0


def test_flows_are_found_at_every_end(a: Host, client: Host, pod: Host) -> None:
    """By the translated address too, which is only in the reply."""
    a.ip("addr add 10.77.0.50/32 dev eth0")
    with flow(client, pod, 4):
        assert a.call(forget_flows, [ip_address(POD[4])]) == 1


def test_flows_of_many_addresses_go_together(a: Host, client: Host, pod: Host) -> None:
    many = [ip_address(f"10.77.0.{n}") for n in range(40, 60)]
    a.ip("addr add 10.77.0.50/32 dev eth0")
    with flow(client, pod, 4):
        client.poke("10.77.0.1", 4242)
        assert a.call(forget_flows, many) == 1
    assert "dport=4242" in entries(a, 4)


def test_without_connection_tracking_nothing_is_done(net: Net) -> None:
    plain = net.host("plain", "10.77.0.3/24")
    assert plain.call(forget_flows, [ip_address("10.77.0.50")]) == 0
