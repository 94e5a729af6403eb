"""A table that somebody edited is noticed, reported as what it is, and repaired by the loop."""

import os
import signal
import threading
import time

import pytest

from fairlead.drivers.base import DriverError
from fairlead.drivers.nft.client import NftClient
from fairlead.drivers.nft.driver import NftDriver
from fairlead.model.addresses import parse_network
from fairlead.model.desired import L4Desired, L4Key, L4Listener
from tests.drivers.nft.net import Net, User, address, difference, row, serve, to_pods

pytestmark = pytest.mark.root

VIP = address(4, "vip 1")
VIP6 = address(6, "vip 1")
WEB, DNS, WEB6 = L4Key(VIP, "TCP", 80), L4Key(VIP, "UDP", 53), L4Key(VIP6, "TCP", 80)
WANTED = L4Desired(
    listeners={
        WEB: row(4, "pod1", "pod2"),
        DNS: L4Listener(
            to_pods(4, "pod1", "pod2"),
            affinity_seconds=30,
            source_ranges=(parse_network("10.99.0.0/16"),),
            masquerade="never",
        ),
        WEB6: row(6, "pod1", "pod2", "pod3", masquerade="always"),
    },
    vips=frozenset({VIP, VIP6}),
)
STRUCTURE = {
    "table deleted": "delete table inet fairlead",
    "everything flushed": "flush ruleset",
    "rules flushed": "flush table inet fairlead",
    "rule added": "add rule inet fairlead prerouting counter",
    "rule inserted": "insert rule inet fairlead vip4 accept",
    "chain flushed": "flush chain inet fairlead pick-2",
    "foreign chain": "add chain inet fairlead mine { type filter hook input priority 0; }",
    "foreign set": "add set inet fairlead mine { type ipv4_addr; }",
    "dormant": "add table inet fairlead { flags dormant; }",
}
ELEMENTS = {
    "backend deleted": "delete element inet fairlead backends4 { 10.99.9.1 . tcp . 80 . 0x1 }",
    "backend added": (
        "add element inet fairlead backends4 { 10.99.9.1 . tcp . 80 . 0x2 : 1.2.3.4 . 5 }"
    ),
    "backend changed": (
        "delete element inet fairlead backends4 { 10.99.9.1 . tcp . 80 . 0x1 }\n"
        "add element inet fairlead backends4 { 10.99.9.1 . tcp . 80 . 0x1 : 1.2.3.4 . 5 }"
    ),
    "listener deleted": "delete element inet fairlead listeners4 { 10.99.9.1 . udp . 53 }",
    "listener added": "add element inet fairlead listeners4 { 10.99.9.1 . tcp . 81 : goto pick-2 }",
    "vip deleted": "delete element inet fairlead vips4 { 10.99.9.1 }",
    "vip added": "add element inet fairlead vips6 { fd99:9::7 }",
    "range deleted": (
        "delete element inet fairlead sources44 { 10.99.9.1 . udp . 53 . 10.99.0.0/16 }"
    ),
    "range added": "add element inet fairlead sources44 { 10.99.9.1 . udp . 53 . 10.98.1.0/24 }",
    "mode deleted": "delete element inet fairlead modes6 { fd99:9::1 . tcp . 80 }",
    "map emptied": "flush map inet fairlead slots4",
    "direct added": "add element inet fairlead direct4 { 10.99.9.1 . tcp . 80 . 1.2.3.4 . 5 }",
    "with a comment": 'add element inet fairlead vips4 { 10.99.9.9 comment "mine" }',
}


@pytest.fixture
def running(driver: NftDriver) -> NftDriver:
    """A driver with everything applied."""
    driver.apply(difference(WANTED, driver.observe()))
    assert driver.intact()
    assert not driver.disturbed()
    return driver


def repair(driver: NftDriver) -> None:
    """One full round of the loop."""
    driver.apply(difference(WANTED, driver.observe()))
    driver.prune(WANTED)


@pytest.mark.parametrize("edit", STRUCTURE.values(), ids=STRUCTURE)
def test_a_damaged_structure_is_noticed_and_rebuilt(
    running: NftDriver, net: Net, user: User, edit: str
) -> None:
    net.nft("engine", edit + "\n")
    assert running.disturbed()
    assert not running.intact()
    assert running.observe() == L4Desired(listeners={}, vips=frozenset())
    repair(running)
    assert works(running, user)


@pytest.mark.parametrize("edit", ELEMENTS.values(), ids=ELEMENTS)
def test_an_edited_element_is_observed_and_repaired(
    running: NftDriver, net: Net, user: User, edit: str
) -> None:
    net.nft("engine", edit + "\n")
    seen = running.observe()
    assert seen != WANTED
    assert seen.listeners.keys() >= {WEB6}
    repair(running)
    assert works(running, user)


def test_an_edit_of_a_dumped_and_reloaded_rule_is_noticed(running: NftDriver, net: Net) -> None:
    listed = net.inside("engine", "nft", "-a", "list", "chain", "inet", "fairlead", "leave4")
    handle = next(line for line in listed.splitlines() if "priority set" in line).split()[-1]
    net.nft("engine", f"replace rule inet fairlead leave4 handle {handle} accept\n")
    assert running.disturbed()
    repair(running)
    assert running.intact()


def test_the_tables_of_others_disturb_nobody(running: NftDriver, net: Net) -> None:
    net.nft("engine", "table inet foreign { chain mine { accept; }\n}\n")
    assert not running.disturbed()
    assert running.intact()


def test_a_stray_element_is_pruned(running: NftDriver, net: Net) -> None:
    stray = "add element inet fairlead sources44 { 10.99.9.1 . gre . 0 . 1.2.3.4 }\n"
    net.nft("engine", stray)
    assert running.observe() == WANTED
    running.prune(WANTED)
    listed = net.inside("engine", "nft", "list", "set", "inet", "fairlead", "sources44")
    assert "gre" not in listed


def test_unused_chains_are_pruned(running: NftDriver, net: Net) -> None:
    rows: dict[L4Key, L4Listener | None] = {WEB: row(4, "pod1"), DNS: None}
    serve(running, rows)
    running.prune(L4Desired({WEB: row(4, "pod1"), WEB6: WANTED.listeners[WEB6]}, WANTED.vips))
    chains = net.inside("engine", "nft", "list", "chains")
    assert "chain pick-1 " in chains
    assert "chain pick-3 " in chains
    assert "chain pick-2" not in chains
    assert "guard" not in chains
    assert running.intact()


def test_pruning_a_damaged_table_down_to_nothing_removes_it(running: NftDriver, net: Net) -> None:
    net.nft("engine", "flush table inet fairlead\n")
    running.prune(L4Desired(listeners={}, vips=frozenset()))
    assert net.inside("engine", "nft", "list", "tables") == ""


def test_a_rebuild_is_no_gap(running: NftDriver, net: Net, user: User) -> None:
    done = threading.Event()
    failures: list[OSError] = []
    tries: list[str] = []

    def connect() -> None:
        while not done.is_set():
            try:
                tries.append(user.tcp(VIP, 80)[0])
            except OSError as error:
                failures.append(error)

    thread = threading.Thread(target=connect)
    thread.start()
    try:
        for _ in range(10):  # damage that does not hurt the traffic itself
            net.nft("engine", "add rule inet fairlead prerouting counter\n")
            repair(running)
            time.sleep(0.01)
    finally:
        done.set()
        thread.join()
    assert failures == []
    assert len(tries) > 5


def test_a_new_driver_takes_over_what_is_there(running: NftDriver, net: Net, user: User) -> None:
    handles = net.inside("engine", "nft", "-a", "list", "tables")
    successor = NftDriver(netns=net.ns("engine"))
    try:
        assert successor.observe() == WANTED
        repair(successor)
        assert works(successor, user)
    finally:
        successor.close()
    assert net.inside("engine", "nft", "-a", "list", "tables") == handles


def test_an_error_is_raised_and_the_next_round_heals(running: NftDriver, net: Net) -> None:
    net.nft("engine", ELEMENTS["backend deleted"] + "\n")
    with pytest.raises(DriverError, match="nft refused"):
        serve(running, {WEB: L4Listener(backends=())})
    serve(running, {WEB: L4Listener(backends=())})
    assert running.observe().listeners[WEB] == L4Listener(backends=())


def test_a_killed_helper_is_replaced(running: NftDriver) -> None:
    process = running._client._process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    serve(running, {WEB: row(4, "pod3")})
    assert running.observe().listeners[WEB] == row(4, "pod3")


def test_a_helper_that_does_not_answer_is_given_up(net: Net) -> None:
    client = NftClient(netns=net.ns("engine"), timeout=0.0)
    with pytest.raises(DriverError, match="no answer in time"):
        client.run("list tables\n")
    client.close()


def test_an_unknown_namespace_is_named() -> None:
    with pytest.raises(DriverError, match="flnft-nowhere"):
        NftDriver(netns="flnft-nowhere")


def test_forwarding_is_switched_on_where_it_is_needed(driver: NftDriver, net: Net) -> None:
    net.set("engine", "ipv6.conf.all.forwarding", "0")
    net.set("engine", "ipv4.ip_forward", "0")
    net.set("engine", "ipv6.conf.lan0.accept_ra", "1")
    serve(driver, {WEB: row(4, "pod1")})
    assert net.get("engine", "ipv4.ip_forward") == "1"
    assert net.get("engine", "ipv6.conf.all.forwarding") == "0"
    serve(driver, {WEB6: row(6, "pod1")})
    assert net.get("engine", "ipv6.conf.all.forwarding") == "1"
    assert net.get("engine", "ipv6.conf.lan0.accept_ra") == "2"


def works(driver: NftDriver, user: User) -> bool:
    """Whether the table is as wanted and serves."""
    assert driver.observe() == WANTED
    assert driver.intact()
    assert not driver.disturbed()
    assert user.who("TCP", VIP, 80, times=20) == {"pod1", "pod2"}
    assert len(user.who("UDP", VIP, 53, times=6)) == 1
    assert user.who("TCP", VIP6, 80, times=30) == {"pod1", "pod2", "pod3"}
    return True
