"""What the LAN hears when an address comes, moves and goes."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from fairlead.drivers.l2 import L2Driver, L2Error
from fairlead.drivers.l2.announce import Announcer
from fairlead.drivers.l2.host import Link, Station
from fairlead.drivers.l2.kernel import KernelHost
from fairlead.model.desired import L2Changes

if TYPE_CHECKING:
    from tests.drivers.l2.conftest import Capture, Host

pytestmark = pytest.mark.root

VIPS = frozenset({ip_address("10.77.0.50"), ip_address("fd77::50")})
TAKE = L2Changes(added=VIPS, removed=frozenset())
RELEASE = L2Changes(added=frozenset(), removed=VIPS)
BROADCAST = "ff:ff:ff:ff:ff:ff"


@pytest.fixture
def driver(a: Host) -> Iterator[L2Driver]:
    made = L2Driver()
    yield made
    a.call(made.withdraw)


def bursts(times: list[float]) -> list[float]:
    """When each burst began, in seconds after the first."""
    starts = [time for before, time in pairwise([0.0, *times]) if time - before > 0.05]
    return [start - starts[0] for start in starts]


def gratuitous(capture: Capture) -> list[tuple[int, str, str]]:
    return [
        (one.operation, one.destination, one.target_mac)
        for one in capture.arps()
        if one.sender == one.target == "10.77.0.50"
    ]


def test_bursts_of_both_forms_and_families_are_repeated_past_a_second(
    a: Host, client: Host, driver: L2Driver
) -> None:
    with client.capture() as capture:
        a.call(driver.apply, TAKE)
        time.sleep(2.4)
    mac = a.mac()
    assert gratuitous(capture) == 4 * [
        (1, BROADCAST, "00:00:00:00:00:00"),
        (2, BROADCAST, mac),
    ]
    assert {one.sender_mac for one in capture.arps() if one.sender == "10.77.0.50"} == {mac}
    adverts = [one for one in capture.neighbours() if one.target == "fd77::50"]
    assert [one[1:] for one in adverts] == 4 * [(mac, "fd77::50", "ff02::1", 136, True, "fd77::50")]
    arp_times = [one.seen for one in capture.arps() if one.sender == one.target]
    for seen in (arp_times, [one.seen for one in adverts]):
        assert bursts(seen) == pytest.approx([0, 0.1, 1.1, 2.2], abs=0.08)


def test_repeats_stop_when_the_address_is_let_go(a: Host, client: Host, driver: L2Driver) -> None:
    kept = ip_address("10.77.0.51")
    a.call(driver.apply, L2Changes(added=VIPS | {kept}, removed=frozenset()))
    a.call(driver.apply, RELEASE)
    with client.capture() as capture:
        time.sleep(1.3)
    assert {one.sender for one in capture.arps() if one.operation == 2} == {"10.77.0.51"}
    assert not [one for one in capture.neighbours() if one.target == "fd77::50"]


def test_a_move_replaces_what_neighbours_have_cached(
    a: Host, b: Host, client: Host, driver: L2Driver
) -> None:
    a.call(driver.apply, TAKE)
    assert [client.resolve("10.77.0.50"), client.resolve("fd77::50")] == 2 * [a.mac()]
    other = L2Driver()
    a.call(driver.apply, RELEASE)
    start = time.monotonic()
    b.call(other.apply, TAKE)
    waiting = {"10.77.0.50", "fd77::50"}
    while waiting and time.monotonic() < start + 3:
        # nobody asks meanwhile: only an announcement can replace the entry
        moved = {address for address in waiting if client.cached_mac(address) == b.mac()}
        for address in moved:
            print(f"{address} moved in the client's cache after {time.monotonic() - start:.3f} s")
        waiting -= moved
    assert not waiting
    b.call(other.withdraw)


def test_a_move_back_within_the_lock_time_is_repaired_by_the_repeats(
    a: Host, b: Host, client: Host, driver: L2Driver
) -> None:
    """Linux ignores a gratuitous request within a second (``locktime``) of the last change."""
    other = L2Driver()
    a.call(driver.apply, TAKE)
    client.resolve("10.77.0.50")
    client.resolve("fd77::50")
    a.call(driver.apply, RELEASE)
    b.call(other.apply, TAKE)
    b.call(other.apply, RELEASE)
    a.call(driver.apply, TAKE)
    time.sleep(2.4)
    assert client.cached_mac("10.77.0.50") == a.mac()
    assert client.cached_mac("fd77::50") == a.mac()
    b.call(other.withdraw)


def test_a_routed_address_is_not_announced(a: Host, client: Host, driver: L2Driver) -> None:
    routed = frozenset({ip_address("203.0.113.1"), ip_address("2001:db8::1")})
    with client.capture() as capture:
        a.call(driver.apply, L2Changes(added=routed, removed=frozenset()))
        time.sleep(0.2)
    assert not [one for one in capture.arps() if one.sender == "203.0.113.1"]
    assert not [one for one in capture.neighbours() if one.target == "2001:db8::1"]


def test_an_interface_that_goes_while_speaking_is_reported(a: Host) -> None:
    announcer = Announcer()
    gone = Link(ifindex=99, name="eth9", mac=bytes(6), up=True, lan=True, loopback=False)
    problems = a.call(announcer.announce, [Station(ip_address("10.77.0.50"), gone)])
    assert problems == {gone: "cannot announce: No such device"}
    announcer.close()


def test_a_burst_that_cannot_leave_fails_the_apply_and_is_made_up_for(
    a: Host, client: Host, driver: L2Driver
) -> None:
    """The interface goes down between the adding and the announcement."""

    class Late(KernelHost):
        def announce(self, stations: Sequence[Station]) -> Mapping[Link, str]:
            subprocess.run(["ip", "link", "set", "eth0", "down"], check=True)
            return super().announce(stations)

    late = L2Driver(host=Late())
    vip = frozenset({ip_address("10.77.0.50")})
    with pytest.raises(L2Error, match=r"eth0: cannot announce: Network is down \(10\.77\.0\.50\)"):
        a.call(late.apply, L2Changes(added=vip, removed=frozenset()))
    a.ip("link set eth0 up")
    with client.capture() as capture:
        a.call(driver.apply, L2Changes(added=vip, removed=frozenset()))
        time.sleep(1.3)
    assert gratuitous(capture)
    a.call(late.withdraw)
