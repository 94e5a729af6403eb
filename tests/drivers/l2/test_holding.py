"""Who has an address, and where: on the real kernel, both families."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest

from fairlead.drivers.l2 import L2Driver, L2Error, ProbeTiming
from fairlead.model.desired import L2Changes, L2Desired

if TYPE_CHECKING:
    from tests.drivers.l2.conftest import Host, Net

pytestmark = pytest.mark.root

VIPS = ("10.77.0.50", "fd77::50")


def changes(
    added: Iterable[str] = (), removed: Iterable[str] = (), probe: Iterable[str] = ()
) -> L2Changes:
    return L2Changes(
        added=frozenset(map(ip_address, added)),
        removed=frozenset(map(ip_address, removed)),
        probe=frozenset(map(ip_address, probe)),
    )


def desired(*owned: str) -> L2Desired:
    return L2Desired(owned=frozenset(map(ip_address, owned)))


@pytest.fixture
def driver(a: Host) -> Iterator[L2Driver]:
    made = L2Driver(probe=ProbeTiming(times=3, interval=0.03, wait=0.1))
    yield made
    a.call(made.withdraw)


def test_an_address_is_on_the_interface_whose_subnet_holds_it(
    net: Net, a: Host, driver: L2Driver
) -> None:
    net.join(a, "br1", "eth1", "10.78.0.1/24", "fd78::1/64")
    net.join(a, "br2", "eth2", "10.0.0.1/8")
    wanted = ("10.77.0.50", "fd77::50", "10.78.0.50", "fd78::50", "10.99.0.1")
    a.call(driver.apply, changes(wanted))
    assert a.addresses("eth0") == {
        "10.77.0.1/24",
        "fd77::1/64",
        "10.77.0.50/32",
        "fd77::50/128",
    }
    assert a.addresses("eth1") == {"10.78.0.1/24", "fd78::1/64", "10.78.0.50/32", "fd78::50/128"}
    assert a.addresses("eth2") == {"10.0.0.1/8", "10.99.0.1/32"}
    assert a.call(driver.observe) == desired(*wanted)
    assert set(driver.placements().values()) == {"eth0", "eth1", "eth2"}


def test_an_address_is_on_the_interface_that_is_asked_for(
    net: Net, a: Host, driver: L2Driver
) -> None:
    net.join(a, "br1", "eth1", "10.78.0.1/24", "fd78::1/64")
    there = {ip_address(vip): "eth1" for vip in VIPS}
    a.call(driver.apply, L2Changes(frozenset(there), frozenset(), places=there))
    assert {"10.77.0.50/32", "fd77::50/128"} <= a.addresses("eth1")
    assert not {"10.77.0.50/32", "fd77::50/128"} & a.addresses("eth0")
    assert a.call(driver.observe) == L2Desired(frozenset(there), places=there)
    a.call(driver.apply, changes(VIPS))  # any will do
    assert {"10.77.0.50/32", "fd77::50/128"} <= a.addresses("eth0")
    assert not {"10.77.0.50/32", "fd77::50/128"} & a.addresses("eth1")
    assert a.call(driver.observe) == desired(*VIPS)


def test_a_routed_address_is_on_lo_and_reported(a: Host, driver: L2Driver) -> None:
    a.call(driver.apply, changes(("203.0.113.1", "2001:db8::1")))
    assert {"203.0.113.1/32", "2001:db8::1/128"} <= a.addresses("lo")
    assert set(driver.placements().values()) == {"lo"}
    assert a.call(driver.observe) == desired("203.0.113.1", "2001:db8::1")
    assert "203.0.113.1/32 metric 64030 scope host deprecated" in a.ip("addr show dev lo")


def test_bridges_and_macvlans_are_ordinary_and_point_to_point_is_skipped(
    a: Host, driver: L2Driver
) -> None:
    a.ip("link add br7 type bridge")
    a.ip("link set br7 up")
    a.ip("addr add 10.79.0.1/24 dev br7")
    a.ip("link add mv0 link eth0 type macvlan mode bridge")
    a.ip("link set mv0 up")
    a.ip("addr add 10.80.0.1/24 dev mv0")
    a.ip("tuntap add tun0 mode tun")
    a.ip("link set tun0 up")
    a.ip("addr add 10.81.0.1/24 dev tun0")
    a.call(driver.apply, changes(("10.79.0.50", "10.80.0.50", "10.81.0.50")))
    placed = {str(address): name for address, name in driver.placements().items()}
    assert placed == {"10.79.0.50": "br7", "10.80.0.50": "mv0", "10.81.0.50": "lo"}


def test_only_listed_interfaces_carry_vips(net: Net, a: Host) -> None:
    net.join(a, "br1", "eth1", "10.78.0.1/24")
    driver = L2Driver(interfaces=("eth1",))
    a.call(driver.apply, changes(("10.78.0.50", "10.77.0.50")))
    placed = {str(address): name for address, name in driver.placements().items()}
    assert placed == {"10.78.0.50": "eth1", "10.77.0.50": "lo"}
    a.call(driver.withdraw)


def test_a_listed_interface_that_is_not_there_is_named(a: Host) -> None:
    driver = L2Driver(interfaces=("eth7",))
    with pytest.raises(L2Error, match=r"eth7: the interface is gone.*10\.77\.0\.50"):
        a.call(driver.apply, changes(("10.77.0.50",)))
    assert a.addresses("lo") == {"127.0.0.1/8", "::1/128"}
    a.call(driver.withdraw)


def test_repeating_a_change_changes_nothing(a: Host, driver: L2Driver) -> None:
    a.call(driver.apply, changes(VIPS))
    before = a.ip("addr show")
    a.call(driver.apply, changes(VIPS))
    assert a.ip("addr show") == before
    a.call(driver.apply, changes(removed=VIPS))
    a.call(driver.apply, changes(removed=VIPS))
    assert a.addresses("eth0") == {"10.77.0.1/24", "fd77::1/64"}


def test_what_is_not_ours_stays(a: Host, driver: L2Driver) -> None:
    foreign = ("10.77.0.60/32", "fd77::60/128", "10.77.0.61/24", "fd77::61/64")
    for address in foreign:
        a.ip(f"addr add {address} dev eth0")
    a.ip("addr add 10.77.0.62/32 dev eth0 preferred_lft 0 noprefixroute")
    before = a.addresses("eth0")
    a.call(driver.apply, changes(VIPS))
    assert a.call(driver.observe) == desired(*VIPS)
    a.call(driver.apply, changes(removed=("10.77.0.60", "fd77::60", "10.77.0.1")))
    a.call(driver.prune, desired())
    a.call(driver.withdraw)
    assert a.addresses("eth0") == before


@pytest.mark.parametrize("own", ["10.77.0.1", "fd77::1", "127.0.0.1"])
def test_the_hosts_own_address_is_never_taken_over(a: Host, driver: L2Driver, own: str) -> None:
    before = _settled(a)
    where = "lo" if own == "127.0.0.1" else "eth0"
    with pytest.raises(L2Error, match=f"{where}: the host itself has this address") as raised:
        a.call(driver.apply, changes((own, "10.77.0.50")))
    assert [str(failure.address) for failure in raised.value.failures] == [own]
    assert a.call(driver.observe) == desired("10.77.0.50")
    a.call(driver.apply, changes(removed=("10.77.0.50", own)))
    assert _settled(a) == before


def _settled(a: Host) -> str:
    """The addresses, whether the kernel has found the host's own to be nobody else's yet or not."""
    return a.ip("addr show").replace(" tentative", "")


def test_deletion_by_hand_is_seen_and_repaired(a: Host, driver: L2Driver) -> None:
    a.call(driver.apply, changes(VIPS))
    a.ip("addr del 10.77.0.50/32 dev eth0")
    a.ip("addr del fd77::50/128 dev eth0")
    observed = a.call(driver.observe)
    assert observed == desired()
    missing = desired(*VIPS).owned - observed.owned
    a.call(driver.apply, L2Changes(added=missing, removed=frozenset()))
    assert a.call(driver.observe) == desired(*VIPS)


def test_a_double_on_the_wrong_interface_goes(net: Net, a: Host, driver: L2Driver) -> None:
    """The subnet moved from one interface to another while the address was held."""
    a.call(driver.apply, changes(("10.77.0.50",)))
    a.ip("addr del 10.77.0.1/24 dev eth0")
    net.join(a, "br0", "eth1", "10.77.0.1/24")
    assert a.call(driver.observe) == desired()
    a.call(driver.apply, changes(("10.77.0.50",)))
    assert "10.77.0.50/32" in a.addresses("eth1")
    assert "10.77.0.50/32" not in a.addresses("eth0")
    assert a.call(driver.observe) == desired("10.77.0.50")


def test_prune_lets_go_of_what_nobody_wants(a: Host, driver: L2Driver) -> None:
    a.call(driver.apply, changes((*VIPS, "10.77.0.51", "203.0.113.1")))
    other = L2Driver()  # a process that knows nothing of the one before finds the marks
    a.call(other.prune, desired("10.77.0.51"))
    assert a.call(other.observe) == desired("10.77.0.51")
    a.call(other.withdraw)
    assert a.call(driver.observe) == desired()


def test_withdraw_leaves_nothing(a: Host, driver: L2Driver) -> None:
    before = a.ip("addr show"), a.sysctl("net/ipv4/conf/eth0/arp_announce")
    a.call(driver.apply, changes((*VIPS, "203.0.113.1", "2001:db8::1")))
    assert a.sysctl("net/ipv4/conf/eth0/arp_announce") == "2"
    a.call(driver.withdraw)
    a.call(driver.withdraw)
    assert (a.ip("addr show"), a.sysctl("net/ipv4/conf/eth0/arp_announce")) == before


def test_the_kernel_drops_an_address_that_nobody_renews(a: Host) -> None:
    driver = L2Driver(lifetime=2)
    start = time.monotonic()
    a.call(driver.apply, changes((*VIPS, "10.77.0.51", "fd77::51")))
    while len(a.call(driver.observe).owned) > 2 and time.monotonic() < start + 6:
        a.call(driver.apply, changes(("10.77.0.51", "fd77::51")))
        time.sleep(0.2)
    print(f"2 s of lifetime lapsed after {time.monotonic() - start:.1f} s")
    assert a.call(driver.observe) == desired("10.77.0.51", "fd77::51")
    assert time.monotonic() - start > 1.5
    a.call(driver.withdraw)


def test_a_renewal_without_lifetime_makes_it_last(a: Host, driver: L2Driver) -> None:
    mortal = L2Driver(lifetime=60)
    a.call(mortal.apply, changes(VIPS))
    assert a.ip("addr show dev eth0").count("dynamic") == 2
    a.call(driver.apply, changes(VIPS))
    assert "dynamic" not in a.ip("addr show dev eth0")
    a.call(mortal.withdraw)


def test_an_interface_that_is_down_or_gone_is_named_and_the_others_go_on(
    net: Net, a: Host, driver: L2Driver
) -> None:
    net.join(a, "br1", "eth1", "10.78.0.1/24", "fd78::1/64")
    wanted = ("10.77.0.50", "10.78.0.50", "fd77::50", "fd78::50")
    a.call(driver.apply, changes(wanted))
    a.ip("link set eth1 down")
    assert a.call(driver.observe) == desired("10.77.0.50", "fd77::50")
    with pytest.raises(L2Error, match=r"eth1: the interface is down \(10\.78\.0\.50\)") as raised:
        a.call(driver.apply, changes((*wanted, "10.77.0.51")))
    assert {str(one.address) for one in raised.value.failures} == {"10.78.0.50", "fd78::50"}
    a.ip("link del eth1")
    with pytest.raises(L2Error, match=r"eth1: the interface is gone; it held 10\.78\.0\.0/24"):
        a.call(driver.apply, changes(wanted))
    assert a.call(driver.observe) == desired("10.77.0.50", "10.77.0.51", "fd77::50")
    a.call(driver.apply, changes(removed=("10.78.0.50",)))


def test_a_renumbered_interface_is_not_mourned(a: Host, driver: L2Driver) -> None:
    a.call(driver.observe)
    a.ip("addr del 10.77.0.1/24 dev eth0")
    a.call(driver.apply, changes(("10.77.0.50",)))
    assert set(driver.placements().values()) == {"lo"}


def test_disabled_ipv6_is_named(a: Host, driver: L2Driver) -> None:
    a.call(driver.observe)
    a.sysctl("net/ipv6/conf/lo/disable_ipv6", "1")
    with pytest.raises(L2Error, match="lo: IPv6 is disabled on the interface"):
        a.call(driver.apply, changes(("2001:db8::1", "203.0.113.1")))
    assert a.call(driver.observe) == desired("203.0.113.1")


def test_a_vip_is_never_chosen_as_source(a: Host, driver: L2Driver) -> None:
    a.call(driver.apply, changes((*VIPS, "203.0.113.1", "2001:db8::1")))
    a.ip("route add 198.51.100.0/24 dev eth0")
    a.ip("route add default via 10.77.0.254")
    a.ip("route add default via fd77::fe")
    towards = ("10.77.0.9", "198.51.100.1", "192.0.2.1", "fd77::9", "2001:db8:1::1")
    chosen = {a.source_for(address) for address in towards}
    assert chosen == {"10.77.0.1", "fd77::1"}


@pytest.mark.parametrize("arp_ignore", ["0", "1", "2", "3"])
def test_the_holder_answers_arp(
    a: Host, b: Host, client: Host, driver: L2Driver, arp_ignore: str
) -> None:
    """Strict ARP settings silence routes to ``lo``, but not an explicit address."""
    a.sysctl("net/ipv4/conf/all/arp_ignore", arp_ignore)
    assert client.resolve("10.77.0.50", seconds=0.1) == ""
    a.call(driver.apply, changes(VIPS))
    assert client.resolve("10.77.0.50") == a.mac()
    assert client.resolve("fd77::50") == a.mac()
    assert b.mac() != a.mac()


def test_an_arp_setting_that_silences_vips_is_named(
    a: Host, client: Host, driver: L2Driver
) -> None:
    a.ip("addr add 10.77.0.60/32 dev eth0")
    a.sysctl("net/ipv4/conf/eth0/arp_ignore", "8")
    assert client.resolve("10.77.0.60", seconds=0.3) == "", "8 answers nobody, hence the error"
    with pytest.raises(L2Error, match=r"net\.ipv4\.conf\.eth0\.arp_ignore is 8"):
        a.call(driver.apply, changes(VIPS))
    assert a.call(driver.observe) == desired("fd77::50")


def test_without_the_right_the_error_says_so(a: Host) -> None:
    code = (
        "import os; from ipaddress import ip_address;"
        "from fairlead.drivers.l2 import L2Driver; from fairlead.model.desired import L2Changes;"
        "os.setuid(65534);"
        "L2Driver().apply(L2Changes(frozenset([ip_address('203.0.113.1')]), frozenset()))"
    )
    command = [sys.executable, "-c", code]
    done = a.call(subprocess.run, command, capture_output=True, text=True)
    assert "lo: not permitted: run as root (CAP_NET_ADMIN) (203.0.113.1)" in done.stderr
