"""Where an address belongs, and how failures and results read: no kernel needed."""

from ipaddress import ip_address, ip_interface

import pytest

from fairlead.drivers.l2 import Failure, FakeL2Driver, L2Error
from fairlead.drivers.l2.host import AddressRow, Link, Snapshot
from fairlead.drivers.l2.interfaces import Missing, choose, lans, remember
from fairlead.drivers.l2.render import dump
from fairlead.model.desired import L2Changes, L2Desired

LO = Link(1, "lo", bytes(6), up=True, lan=False, loopback=True)
ETH0 = Link(2, "eth0", bytes(6), up=True, lan=True, loopback=False)
ETH1 = ETH0._replace(ifindex=3, name="eth1")
TUN0 = ETH0._replace(ifindex=4, name="tun0", lan=False)


def row(link: Link, text: str, *, ours: bool = False) -> AddressRow:
    interface = ip_interface(text)
    return AddressRow(link.ifindex, interface.ip, interface.network, ours)


def chosen(address: str, links: tuple[Link, ...], *rows: AddressRow) -> str:
    snapshot = Snapshot({link.ifindex: link for link in links}, rows)
    current = lans(snapshot, None)
    found = choose(ip_address(address), current, memory={}, links=snapshot.links, allowed=None)
    return found.name if isinstance(found, Link) else f"{found.interface}: {found.problem}"


ALL = (LO, ETH0, ETH1, TUN0)
ROWS = (
    row(LO, "127.0.0.1/8"),
    row(ETH0, "10.0.0.1/8"),
    row(ETH1, "10.1.0.1/16"),
    row(TUN0, "10.1.1.1/24"),
    row(ETH0, "2001:db8::1/32"),
    row(ETH1, "2001:db8:1::1/64"),
    row(ETH0, "fe80::1/64"),
    row(ETH1, "203.0.113.7/32", ours=True),
)


@pytest.mark.parametrize(
    ("address", "where"),
    [
        ("10.2.0.1", "eth0"),
        ("10.1.0.9", "eth1"),
        ("10.1.1.9", "eth1"),
        ("2001:db8:2::1", "eth0"),
        ("2001:db8:1::9", "eth1"),
        ("fe80::9", "lo"),
        ("192.0.2.1", "lo"),
        ("127.0.0.9", "lo"),
        ("203.0.113.7", "lo"),
    ],
)
def test_the_longest_prefix_of_a_lan_wins(address: str, where: str) -> None:
    assert chosen(address, ALL, *ROWS) == where
    assert chosen(address, ALL, *reversed(ROWS)) == where, "whatever the order"


def test_of_two_interfaces_in_a_subnet_the_one_that_is_up_wins() -> None:
    rows = (row(ETH0, "10.0.0.1/24"), row(ETH1, "10.0.0.2/24"))
    assert chosen("10.0.0.9", ALL, *rows) == "eth0"
    down = ETH0._replace(up=False)
    assert chosen("10.0.0.9", (LO, down, ETH1), *rows) == "eth1"
    assert chosen("10.0.0.9", (LO, down), *rows) == "eth0: the interface is down"


def test_no_loopback_is_a_failure() -> None:
    assert chosen("192.0.2.1", (ETH0,)) == "lo: there is no loopback interface for a routed VIP"
    assert chosen("192.0.2.1", (LO._replace(up=False),)).startswith("lo: the interface is down")


def test_memory_names_what_is_missing_and_forgets_what_was_renumbered() -> None:
    links = {link.ifindex: link for link in (LO, ETH0)}
    before = lans(Snapshot(links, (row(ETH0, "10.0.0.1/24"),)), None)
    memory = remember({}, before, links)
    address = ip_address("10.0.0.9")

    gone = {1: LO}
    memory_gone = remember(memory, (), gone)
    found = choose(address, (), memory=memory_gone, links=gone, allowed=None)
    assert found == Missing("eth0", "the interface is gone; it held 10.0.0.0/24")

    down = {1: LO, 2: ETH0._replace(up=False)}
    found = choose(address, (), memory=remember(memory, (), down), links=down, allowed=None)
    assert found == Missing("eth0", "the interface is down; it held 10.0.0.0/24")

    renumbered = remember(memory, (), links)
    assert choose(address, (), memory=renumbered, links=links, allowed=None) == LO


def test_an_error_names_interface_problem_and_the_first_addresses() -> None:
    failures = [Failure(ip_address(f"10.0.0.{n}"), "eth0", "it is down") for n in range(1, 6)]
    failures.append(Failure(ip_address("fd00::1"), "eth1", "it is gone"))
    assert str(L2Error(failures)) == (
        "eth0: it is down (10.0.0.1, 10.0.0.2, 10.0.0.3 and 2 more); eth1: it is gone (fd00::1)"
    )
    assert L2Error(failures).failures == tuple(failures)


def test_the_text_of_a_desired_state() -> None:
    owned = frozenset(map(ip_address, ("fd00::2", "10.0.0.10", "10.0.0.9", "fd00::10")))
    fresh = frozenset(map(ip_address, ("10.0.0.9",)))
    assert dump(L2Desired(owned, fresh)) == "10.0.0.9 probe\n10.0.0.10\nfd00::2\nfd00::10\n"
    assert dump(L2Desired(frozenset())) == ""


def test_the_fake_shows_addresses_and_conflicts() -> None:
    fake = FakeL2Driver({"eth0": ("10.0.0.1/24", "fd00::1/64")})
    fake.hold(ip_address("10.0.0.8"), "02:00:00:00:00:08")
    wanted = frozenset(map(ip_address, ("10.0.0.7", "10.0.0.8", "fd00::7", "192.0.2.1")))
    fake.apply(L2Changes(added=wanted, removed=frozenset(), probe=wanted))
    assert fake.dump() == (
        "eth0 10.0.0.7\neth0 fd00::7\nlo 192.0.2.1\neth0 10.0.0.8 held by 02:00:00:00:00:08\n"
    )
    assert [str(one.address) for one in fake.host.announced] == ["10.0.0.7", "fd00::7"]
    fake.apply(L2Changes(added=frozenset(), removed=wanted))
    assert fake.dump() == ""
    assert fake.host.forgotten == sorted(wanted, key=lambda one: (one.version, int(one)))
