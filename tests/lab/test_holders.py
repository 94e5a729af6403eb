"""The prober that judges failovers, on a LAN where the test itself is the failover."""

import socket
import struct
import time
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest

from fairlead.lab import Host, Hosts, Lab, cluster
from fairlead.lab.probe import Holders
from fairlead.lab.topology import Address

pytestmark = pytest.mark.root
V4, V6 = IPv4Address("192.0.2.10"), IPv6Address("fd00:2::1:10")
BOTH: list[Address] = [V4, V6]


def hold(host: Host, action: str, vips: list[Address]) -> None:
    lines = [f"address {action} {vip}/{vip.max_prefixlen} dev lan" for vip in vips]
    nodad = " nodad" if action == "add" else ""
    text = "\n".join(line + (nodad if ":" in line else "") for line in lines)
    host.run(["ip", "-batch", "-"], input=text, check=True)


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def send(host: Host, frame: bytes) -> None:
    def go() -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as wire:
            wire.bind(("lan", 0))
            wire.send(frame)

    host.call(go)


def arp(host: Host, *, operation: int, sender: IPv4Address, target: IPv4Address) -> bytes:
    mac = bytes.fromhex(host.mac().replace(":", ""))
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation)
    body += mac + sender.packed + bytes(6) + target.packed
    return b"\xff" * 6 + mac + struct.pack("!H", 0x0806) + body


@pytest.mark.parametrize("vip", BOTH)
def test_a_move_is_seen_with_its_gap(lab: Hosts, vip: Address) -> None:
    one, two = lab.with_role("engine")
    hold(one, "add", [vip])
    try:
        with Holders(lab["client"], [vip]) as seen:
            until(lambda: seen.holder(vip) == one.mac())
            gone = seen.now()
            hold(one, "del", [vip])
            time.sleep(0.3)
            hold(two, "add", [vip])
            back = seen.now()
            until(lambda: seen.holder(vip) == two.mac())
        hold(two, "del", [vip])
    finally:
        one.run(["ip", "address", "del", f"{vip}/{vip.max_prefixlen}", "dev", "lan"])
    assert seen.outage(vip, since=gone) >= 0.29
    assert seen.dark(vip, since=gone) <= back - gone + 0.1 + seen.lag
    assert seen.holders(vip) == [one.mac(), two.mac()]
    assert seen.doubles(vip) == 0.0


@pytest.mark.parametrize("vip", BOTH)
def test_two_holders_are_a_double_for_as_long_as_they_are(lab: Hosts, vip: Address) -> None:
    one, two = lab.with_role("engine")
    hold(one, "add", [vip])
    with Holders(lab["client"], [vip]) as seen:
        until(lambda: seen.holder(vip) is not None)
        begin = seen.now()
        hold(two, "add", [vip])
        time.sleep(0.4)
        hold(one, "del", [vip])
        end = seen.now()
        time.sleep(0.1)
    hold(two, "del", [vip])
    assert 0.3 - seen.lag <= seen.doubles(vip) <= end - begin + 2 * (seen.every + seen.lag)


def test_who_claims_a_vip_unasked_is_recorded(lab: Hosts) -> None:
    one, two = lab.with_role("engine")
    with Holders(lab["client"], BOTH) as seen:
        begin = seen.now()
        send(one, arp(one, operation=1, sender=V4, target=V4))
        send(one, arp(one, operation=2, sender=V4, target=V4))
        client = IPv4Address(lab["client"].v4)
        send(two, arp(two, operation=1, sender=V4, target=client))
        until(lambda: len(seen.claims[V4]) == 3)
    kinds = [(one.mac, one.kind) for one in seen.claims[V4]]
    first, second = one.mac(), two.mac()
    expected = [(first, "announcement"), (first, "announcement"), (second, "question")]
    assert kinds == expected
    assert [one.mac for one in seen.impostors(V4, allowed={first}, since=begin)] == [second]
    announced = seen.announced(V4, since=begin)
    assert announced is not None
    assert begin <= announced <= begin + 5


def test_a_neighbour_advertisement_nobody_asked_for_is_recorded(lab: Hosts) -> None:
    engine = lab["engine-1"]
    engine.run(["sysctl", "-w", "net.ipv6.conf.lan.ndisc_notify=1"], check=True)
    with Holders(lab["client"], [V6], every=5.0) as seen:
        engine.ip("link", "set", "lan", "down")
        engine.ip("link", "set", "lan", "up")
        hold(engine, "add", [V6])
        mac = bytes.fromhex(engine.mac().replace(":", ""))
        engine.ip("link", "set", "lan", "address", engine.mac())  # has the kernel notify
        until(lambda: bool(seen.claims[V6]))
    hold(engine, "del", [V6])
    assert {one.mac for one in seen.claims[V6]} == {mac.hex(":")}


def test_five_hundred_vips_are_asked_for_every_fifty_milliseconds() -> None:
    vips: list[Address] = [ip_address(f"192.0.2.{n}") for n in range(1, 200)]
    vips += [V6 + n for n in range(301)]
    with Lab(cluster(engines=2, pods=0)) as hosts:
        hold(hosts["engine-1"], "add", vips[::2])
        hold(hosts["engine-2"], "add", vips[1::2])
        with Holders(hosts["client"], vips, every=0.05) as seen:
            begin = seen.now()
            time.sleep(1.0)
            took = seen.now() - begin
        assert seen.lost == 0
        assert seen.asked >= len(vips) * took / (0.05 + seen.lag)
        assert all(seen.answers[vip] for vip in vips)
        worst = max(seen.outage(vip, since=begin) for vip in vips)
        assert worst <= 0.05 + 2 * seen.lag + 0.1
        assert max(seen.doubles(vip) for vip in vips) == 0.0
