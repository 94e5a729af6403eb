"""Where an address belongs, and how failures and results read: no kernel needed."""

from ipaddress import ip_address, ip_interface

import pytest

from fairlead.drivers.l2 import Failure, FakeL2Driver, L2Error
from fairlead.drivers.l2.host import AddressRow, Link, Snapshot
from fairlead.drivers.l2.interfaces import Missing, choose, lans, named, remember
from fairlead.drivers.l2.render import dump
from fairlead.model.desired import L2Changes, L2Desired
from fairlead.planner import diff_l2

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


# -- an interface that is asked for ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "allowed", "where"),
    [
        ("eth1", None, "eth1"),
        ("tun0", None, "tun0"),
        ("eth9", None, "eth9: it is asked for, and there is no such interface"),
        ("eth1", {"eth1"}, "eth1"),
        (
            "eth1",
            {"eth0"},
            "eth1: it is asked for, and not among the interfaces that may carry VIPs",
        ),
    ],
)
def test_an_interface_by_name(name: str, allowed: set[str] | None, where: str) -> None:
    links = {link.ifindex: link for link in ALL}
    found = named(name, links=links, allowed=allowed)
    assert (
        found.name if isinstance(found, Link) else f"{found.interface}: {found.problem}"
    ) == where


def test_one_that_is_down_is_no_place() -> None:
    links = {2: ETH0._replace(up=False)}
    found = named("eth0", links=links, allowed=None)
    assert found == Missing("eth0", "the interface is down")


TWO = {"eth0": ["192.0.2.1/24"], "eth1": ["198.51.100.1/24"]}
VIP, OTHER = ip_address("192.0.2.9"), ip_address("192.0.2.10")


def test_a_vip_is_put_where_it_is_asked_for_and_moved_when_that_changes() -> None:
    driver = FakeL2Driver(TWO)
    both = frozenset({VIP, OTHER})
    driver.apply(L2Changes(both, frozenset(), places={VIP: "eth1"}))
    assert driver.placements() == {VIP: "eth1", OTHER: "eth0"}
    assert driver.observe() == L2Desired(both, places={VIP: "eth1"})
    assert driver.host.announced[-1].link.name in ("eth0", "eth1")
    driver.apply(diff_l2(L2Desired(both), driver.observe()))
    assert driver.observe() == L2Desired(both)
    assert driver.placements() == {VIP: "eth0", OTHER: "eth0"}
    driver.apply(diff_l2(L2Desired(both, places={OTHER: "eth1"}), driver.observe()))
    assert driver.placements() == {VIP: "eth0", OTHER: "eth1"}
    assert len(driver.host.rows) == len(TWO) + 2, "nothing is left where it was"
    driver.apply(L2Changes(frozenset(), frozenset({OTHER})))
    driver.apply(L2Changes(frozenset({OTHER}), frozenset()))
    assert driver.placements() == {VIP: "eth0", OTHER: "eth0"}, "the wish went with it"


def test_a_driver_that_starts_anew_finds_what_it_put_there() -> None:
    first = FakeL2Driver(TWO)
    desired = L2Desired(frozenset({VIP}), places={VIP: "eth1"})
    first.apply(diff_l2(desired, first.observe()))
    driver = FakeL2Driver(TWO)
    driver.host = driver._host = first.host
    assert driver.observe() == L2Desired(frozenset())
    driver.apply(diff_l2(desired, driver.observe()))
    driver.prune(desired)
    assert driver.observe() == desired
    assert [row.ifindex for row in driver.host.rows if row.ours] == [3]
    driver.withdraw()
    assert not [row for row in driver.host.rows if row.ours]


def test_what_cannot_be_put_there_is_told_and_nothing_else() -> None:
    driver = FakeL2Driver(TWO)
    wanted = L2Changes(frozenset({VIP, OTHER}), frozenset(), places={VIP: "eth9"})
    with pytest.raises(L2Error, match="there is no such interface") as raised:
        driver.apply(wanted)
    assert raised.value.failures == (
        Failure(VIP, "eth9", "it is asked for, and there is no such interface"),
    )
    assert driver.observe().owned == {OTHER}


def test_what_cannot_be_put_there_does_not_stay_where_it_was() -> None:
    driver = FakeL2Driver(TWO)
    driver.apply(L2Changes(frozenset({VIP, OTHER}), frozenset()))
    with pytest.raises(L2Error, match="there is no such interface"):
        driver.apply(L2Changes(frozenset({VIP}), frozenset(), places={VIP: "eth9"}))
    assert [row.address for row in driver.host.rows if row.ours] == [OTHER]
    driver.apply(L2Changes(frozenset({VIP}), frozenset(), places={VIP: "eth1"}))
    assert driver.placements() == {VIP: "eth1", OTHER: "eth0"}
