"""Foreign holders are found before an address is taken, and the rest of the batch is taken."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Collection, Iterator
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest

from fairlead.drivers.l2 import Conflict, L2Driver, L2Error, ProbeTiming
from fairlead.drivers.l2.host import ProbeResult, Station
from fairlead.drivers.l2.kernel import KernelHost
from fairlead.drivers.l2.packets import probe
from fairlead.model.addresses import IPAddress
from fairlead.model.desired import L2Changes, L2Desired

if TYPE_CHECKING:
    from tests.drivers.l2.conftest import Host, Net

pytestmark = pytest.mark.root

FOREIGN = (ip_address("10.77.0.50"), ip_address("fd77::50"))
FREE = (ip_address("10.77.0.51"), ip_address("fd77::51"))


def take(*addresses: IPAddress, fresh: bool = True) -> L2Changes:
    added = frozenset(addresses)
    return L2Changes(added=added, removed=frozenset(), probe=added if fresh else frozenset())


@pytest.fixture
def driver(a: Host) -> Iterator[L2Driver]:
    made = L2Driver(probe=ProbeTiming(times=3, interval=0.03, wait=0.1))
    yield made
    a.call(made.withdraw)


@pytest.fixture
def holder(b: Host) -> Host:
    """Another host that has the foreign addresses."""
    b.ip("addr add 10.77.0.50/24 dev eth0")
    b.ip("addr add fd77::50/64 dev eth0 nodad")
    return b


def test_a_foreign_holder_is_reported_and_the_others_are_taken(
    a: Host, holder: Host, driver: L2Driver
) -> None:
    a.call(driver.apply, take(*FOREIGN, *FREE))
    assert driver.conflicts() == tuple(
        Conflict(address, holder.mac(), "eth0") for address in FOREIGN
    )
    assert a.call(driver.observe) == L2Desired(owned=frozenset(FREE))


def test_a_conflict_is_probed_again_until_the_holder_is_gone(
    a: Host, holder: Host, driver: L2Driver
) -> None:
    a.call(driver.apply, take(*FOREIGN))
    a.call(driver.apply, take(*FOREIGN, fresh=False))
    assert [one.address for one in driver.conflicts()] == list(FOREIGN)
    holder.ip("addr del 10.77.0.50/24 dev eth0")
    holder.ip("addr del fd77::50/64 dev eth0")
    a.call(driver.apply, take(*FOREIGN, fresh=False))
    assert driver.conflicts() == ()
    assert a.call(driver.observe).owned == set(FOREIGN)


def test_nobody_is_asked_about_a_known_address(a: Host, holder: Host, driver: L2Driver) -> None:
    """A take-over does not wait: the former holder may still answer."""
    start = time.monotonic()
    a.call(driver.apply, take(*FOREIGN, fresh=False))
    assert time.monotonic() - start < 0.1
    assert a.call(driver.observe).owned == set(FOREIGN)


def test_a_held_address_is_not_asked_about_again(a: Host, client: Host, driver: L2Driver) -> None:
    a.call(driver.apply, take(*FREE))
    with client.capture() as capture:
        a.call(driver.apply, take(*FREE))
    assert not [one for one in capture.arps() if one.sender == "0.0.0.0"]
    assert a.call(driver.observe).owned == set(FREE)


def test_a_conflict_is_forgotten_with_the_wish(a: Host, holder: Host, driver: L2Driver) -> None:
    a.call(driver.apply, take(*FOREIGN))
    a.call(driver.apply, L2Changes(added=frozenset(), removed=frozenset(FOREIGN[:1])))
    assert [one.address for one in driver.conflicts()] == [FOREIGN[1]]
    a.call(driver.prune, L2Desired(owned=frozenset()))
    assert driver.conflicts() == ()


def test_the_questions_claim_nothing(a: Host, client: Host, driver: L2Driver) -> None:
    with client.capture() as capture:
        a.call(driver.apply, take(*FREE))
    mac = a.mac()
    asked = [one for one in capture.arps() if one.sender == "0.0.0.0"]
    assert [one[1:] for one in asked] == 3 * [
        ("ff:ff:ff:ff:ff:ff", 1, mac, "0.0.0.0", "00:00:00:00:00:00", "10.77.0.51")
    ]
    solicited = [one for one in capture.neighbours() if one.kind == 135 and one.source == "::"]
    assert [one[1:] for one in solicited if one.target == "fd77::51"] == 3 * [
        (mac, "::", "ff02::1:ff00:51", 135, False, "fd77::51")
    ]
    first = min(one.seen for one in capture.arps() if one.sender == "10.77.0.51")
    assert first - asked[-1].seen > 0.09, "the window closed before the address was taken"


@pytest.mark.parametrize("address", FREE)
def test_two_that_ask_at_once_both_step_back(
    a: Host, client: Host, driver: L2Driver, address: IPAddress
) -> None:
    rival = bytes.fromhex("020000000077")
    asking = threading.Thread(target=client.call, args=(ask_for, probe(address, rival)))
    asking.start()
    a.call(driver.apply, take(address))
    asking.join()
    assert driver.conflicts() == (Conflict(address, rival.hex(":"), "eth0"),)


@pytest.mark.parametrize("address", FREE)
def test_our_own_frames_that_come_back_are_no_conflict(
    a: Host, client: Host, driver: L2Driver, address: IPAddress
) -> None:
    """A loop in the LAN, or a switch that mirrors."""
    own = bytes.fromhex(a.mac().replace(":", ""))
    echo = threading.Thread(target=client.call, args=(ask_for, probe(address, own)))
    echo.start()
    a.call(driver.apply, take(address))
    echo.join()
    assert driver.conflicts() == ()


def ask_for(question: bytes) -> None:
    """Send a question for 0.2 s."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as out:
        out.bind(("eth0", 0))
        for _ in range(20):
            out.send(question)
            time.sleep(0.01)


def test_two_lans_are_asked_at_once(net: Net, a: Host, holder: Host, driver: L2Driver) -> None:
    net.join(a, "br1", "eth1", "10.78.0.1/24")
    net.join(holder, "br1", "eth1", "10.78.0.2/24", "10.78.0.50/24")
    both = ip_address("10.78.0.50")
    start = time.monotonic()
    a.call(driver.apply, take(FOREIGN[0], both, ip_address("10.78.0.51")))
    assert time.monotonic() - start < 0.3
    assert driver.conflicts() == (
        Conflict(FOREIGN[0], holder.mac("eth0"), "eth0"),
        Conflict(both, holder.mac("eth1"), "eth1"),
    )
    assert a.call(driver.observe).owned == {ip_address("10.78.0.51")}


def test_a_host_elsewhere_with_the_address_is_no_conflict(
    net: Net, a: Host, driver: L2Driver
) -> None:
    """Only the LAN of the address counts."""
    net.join(a, "br1", "eth1", "10.78.0.1/24")
    other = net.host("other")
    net.join(other, "br1", "eth0", "10.77.0.51/24")
    a.call(driver.apply, take(FREE[0]))
    assert driver.conflicts() == ()


def test_an_address_that_cannot_be_asked_about_is_not_taken(a: Host) -> None:
    """The interface goes down between the look at the host and the question."""

    class Late(KernelHost):
        def probe(self, stations: Collection[Station]) -> ProbeResult:
            subprocess.run(["ip", "link", "set", "eth0", "down"], check=True)
            return super().probe(stations)

    late = L2Driver(host=Late())
    with pytest.raises(L2Error, match="eth0: cannot ask whether the address is free: Network is"):
        a.call(late.apply, take(*FREE))
    assert a.addresses("eth0") == {"10.77.0.1/24"}
    a.ip("link set eth0 up")
    with pytest.raises(L2Error, match="cannot ask"):
        a.call(late.apply, take(FREE[0], fresh=False))  # the question is still open
    a.call(late.withdraw)


def test_a_take_over_does_not_wait_for_the_probe_of_others(
    a: Host, client: Host, driver: L2Driver
) -> None:
    known = ip_address("10.77.0.60")
    with client.capture() as capture:
        change = L2Changes(
            added=frozenset({known, *FREE}), removed=frozenset(), probe=frozenset(FREE)
        )
        a.call(driver.apply, change)
    announced = min(one.seen for one in capture.arps() if one.sender == str(known))
    assert announced < min(one.seen for one in capture.arps() if one.sender == "0.0.0.0")
    assert a.call(driver.observe).owned == change.added
