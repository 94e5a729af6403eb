"""Somebody else uses an address that is held: it is heard, told, and answered once, not fought
over."""

import socket
import time
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest

from fairlead.drivers.l2.driver import L2Driver
from fairlead.drivers.l2.host import Conflict, Station
from fairlead.drivers.l2.kernel import KernelHost
from fairlead.drivers.l2.packets import announcement, probe
from fairlead.drivers.l2.sentry import DEFEND_INTERVAL, REMEMBERED, Sentry
from fairlead.drivers.l2.wire import MOST_FILTERED
from fairlead.model.addresses import IPAddress
from fairlead.model.desired import L2Changes

from .conftest import Host, wait_for

pytestmark = pytest.mark.root

VIP, SIX = IPv4Address("10.77.0.50"), IPv6Address("fd77::50")
OTHERS = [IPv4Address("10.77.1.0") + n for n in range(MOST_FILTERED + 5)]
CALM = 0.3


class Clock:
    """Tells the time that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Site:
    """A sentry on `a`, and a rival on `b`."""

    def __init__(self, a: Host, b: Host) -> None:
        self.a, self.b, self.clock = a, b, Clock()
        self.defended: list[Station] = []
        self.sentry = Sentry(self.defended.append, clock=self.clock, calm=CALM)
        snapshot = a.call(KernelHost().read)
        self.link = next(link for link in snapshot.links.values() if link.name == "eth0")
        self.own = [link.mac for link in snapshot.links.values()]

    def attend(self, *addresses: IPAddress) -> None:
        stations = [Station(address, self.link) for address in addresses]
        self.a.call(self.sentry.attend, stations, self.own)

    def claims(self, address: IPAddress, *, mac: str = "") -> None:
        """The rival says that an address is its own."""
        self._send(*announcement(address, _packed(mac or self.b.mac())))

    def asks(self, address: IPAddress) -> None:
        """The rival asks whether anybody has it."""
        self._send(probe(address, _packed(self.b.mac())))

    def _send(self, *frames: bytes) -> None:
        def send() -> None:
            with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as out:
                out.bind(("eth0", 0))
                for frame in frames:
                    out.send(frame)

        self.b.call(send)

    def heard(self, address: IPAddress) -> bool:
        return wait_for(lambda: address in self.sentry.rivals())


def _packed(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


@pytest.fixture
def site(a: Host, b: Host) -> Iterator[Site]:
    made = Site(a, b)
    yield made
    made.sentry.close()


@pytest.mark.parametrize("address", [VIP, SIX])
def test_who_goes_on_claiming_a_held_address_is_a_rival(site: Site, address: IPAddress) -> None:
    site.attend(address)
    site.claims(address)  # within the calm: the former holder
    time.sleep(0.1)
    site.clock.now += 10
    assert not site.sentry.rivals()
    site.claims(address)
    time.sleep(0.1)
    assert not site.sentry.rivals(), "it may be another engine of ours that takes over"
    site.clock.now += 1
    assert site.heard(address)
    assert site.sentry.rivals() == {address: Conflict(address, site.b.mac(), "eth0")}
    site.clock.now += REMEMBERED + 1
    assert not site.sentry.rivals()


def test_it_is_defended_once_in_a_while(site: Site) -> None:
    site.attend(VIP)
    site.clock.now += 10
    for _ in range(20):
        site.claims(VIP)
        time.sleep(0.01)
        site.clock.now += 0.1
    assert wait_for(lambda: len(site.defended) == 1)
    site.clock.now += DEFEND_INTERVAL
    site.claims(VIP)
    assert wait_for(lambda: len(site.defended) == 2)
    assert {one.address for one in site.defended} == {VIP}


def test_what_claims_nothing_of_ours_is_not_heard(site: Site) -> None:
    site.attend(VIP, SIX)
    site.clock.now += 10
    site.asks(VIP)
    site.asks(SIX)
    site.claims(OTHERS[0])
    site.claims(ip_address("fd77::1:50"))
    site.claims(VIP, mac=site.a.mac())
    site.claims(ip_address("fd78::50"))  # the same last bits
    time.sleep(0.2)
    site.clock.now += 1
    assert not site.sentry.rivals()


def test_what_is_let_go_is_heard_of_no_more(site: Site) -> None:
    site.attend(VIP)
    site.clock.now += 10
    site.claims(VIP)
    time.sleep(0.1)
    site.clock.now += 1
    assert site.heard(VIP)
    site.attend()
    assert not site.sentry.rivals()
    site.attend(VIP)
    site.claims(VIP)
    time.sleep(0.1)
    site.clock.now += 0.1
    assert not site.sentry.rivals()


def test_more_addresses_than_a_filter_can_name(site: Site) -> None:
    site.attend(*OTHERS)
    site.clock.now += 10
    site.claims(OTHERS[-1])
    site.claims(VIP)
    time.sleep(0.1)
    site.clock.now += 1
    assert site.heard(OTHERS[-1])
    assert site.sentry.rivals().keys() == {OTHERS[-1]}


def test_an_interface_that_was_away_is_listened_to_again(site: Site) -> None:
    site.attend(VIP)
    site.clock.now += 10
    site.a.ip("link set eth0 down")
    time.sleep(0.1)
    site.a.ip("link set eth0 up")

    def again() -> bool:
        site.attend(VIP)
        site.claims(VIP)
        site.clock.now += 1
        return VIP in site.sentry.rivals()

    assert wait_for(again)


def test_a_driver_listens_for_what_it_holds(a: Host, b: Host) -> None:
    driver = L2Driver()
    try:
        a.call(driver.apply, L2Changes(frozenset({VIP}), frozenset()))
        b.ip(f"address add {VIP}/32 dev eth0")

        def disputed() -> bool:
            b.call(_announce, VIP, b.mac())
            a.call(driver.observe)
            return bool(driver.disputes())

        assert wait_for(disputed, seconds=15)
        assert driver.disputes() == (Conflict(VIP, b.mac(), "eth0"),)
        with a.capture() as capture:
            assert wait_for(
                lambda: disputed() and any(arp.sender_mac == a.mac() for arp in capture.arps()),
                seconds=15,
            )
        a.call(driver.apply, L2Changes(frozenset(), frozenset({VIP})))
        assert driver.disputes() == ()
    finally:
        a.call(driver.withdraw)


def _announce(address: IPAddress, mac: str) -> None:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as out:
        out.bind(("eth0", 0))
        for frame in announcement(address, _packed(mac)):
            out.send(frame)
