"""Flows that already exist: which go on, which end, and that none hangs."""

import re
import socket
import time
from contextlib import ExitStack

import pytest

from fairlead.drivers.base import DriverError
from fairlead.drivers.nft.driver import NftDriver
from fairlead.model.addresses import IPAddress
from fairlead.model.desired import L4Changes, L4Key, L4Listener, Masquerade
from tests.drivers.nft.net import (
    FAMILIES,
    Net,
    Servers,
    User,
    address,
    banner,
    echoes,
    row,
    serve,
)

pytestmark = pytest.mark.root
families = pytest.mark.parametrize("family", FAMILIES)


@families
def test_a_udp_client_with_a_fixed_port_leaves_a_removed_backend(
    driver: NftDriver, user: User, family: int
) -> None:
    vip = address(family, "vip 1")
    key = L4Key(vip, "UDP", 53)
    serve(driver, {key: row(family, "pod1")})
    with user.datagrams(vip, 53) as link:
        assert asked(link) == "pod1"
        serve(driver, {key: row(family, "pod1", "pod2")})
        assert asked(link) == "pod1"  # a live backend keeps its flows
        serve(driver, {key: row(family, "pod2")})
        assert asked(link) == "pod2"


@families
def test_a_udp_flow_older_than_its_listener_is_taken_up(
    driver: NftDriver, user: User, net: Net, family: int
) -> None:
    vip = address(family, "vip 1")
    with user.datagrams(vip, 53) as link:
        net.nft(
            "engine", "table inet mute { chain c { type filter hook input priority 0; drop; }\n}\n"
        )
        link.send(b"?")  # tracked, and answered by nobody: no entry of ours
        net.nft("engine", "delete table inet mute\n")
        serve(driver, {L4Key(vip, "UDP", 53): row(family, "pod1")})
        assert asked(link) == "pod1"


@families
def test_other_udp_flows_of_the_vip_stay(driver: NftDriver, user: User, family: int) -> None:
    vip = address(family, "vip 1")
    one, two = L4Key(vip, "UDP", 53), L4Key(vip, "UDP", 54)
    serve(driver, {one: row(family, "pod1"), two: row(family, "far")})
    with user.datagrams(vip, 54) as link:
        assert asked(link) == "far"
        port = ids(user.net, vip, 54)
        serve(driver, {one: row(family, "pod2")})
        assert asked(link) == "far"
        assert ids(user.net, vip, 54) == port  # the very same entry


@families
def test_many_removed_backends_at_once(driver: NftDriver, user: User, family: int) -> None:
    """More listeners than the kernel is asked to filter for."""
    vip = address(family, "vip 1")
    keys = [L4Key(vip, "UDP", 1000 + number) for number in range(20)]
    serve(driver, {key: row(family, "pod1") for key in keys})
    with user.datagrams(vip, 1013) as link:
        assert asked(link) == "pod1"
        serve(driver, {key: row(family, "pod2") for key in keys})
        assert asked(link) == "pod2"


def test_flows_that_could_not_be_ended_are_ended_by_the_next_change(
    driver: NftDriver, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    vip = address(4, "vip 1")
    key = L4Key(vip, "UDP", 53)
    serve(driver, {key: row(4, "pod1")})
    with user.datagrams(vip, 53) as link:
        assert asked(link) == "pod1"
        with monkeypatch.context() as broken:
            broken.setattr("fairlead.drivers.nft.driver.end_flows", refuse)
            with pytest.raises(DriverError, match="busy"):
                serve(driver, {key: row(4, "pod2")})
        assert asked(link) == "pod1"
        serve(driver, {key: row(4, "pod2")})
        assert asked(link) == "pod2"


def refuse(link: object, stale: object) -> int:
    """A kernel that does not answer."""
    raise DriverError("busy")


@families
def test_a_released_vip_leaves_no_entries(
    driver: NftDriver, net: Net, user: User, family: int
) -> None:
    vip, stays = address(family, "vip 1"), address(family, "vip 2")
    rows = {
        L4Key(vip, "TCP", 80): row(family, "pod1"),
        L4Key(vip, "UDP", 80): row(family, "far"),
        L4Key(stays, "UDP", 80): row(family, "pod1"),
    }
    serve(driver, dict(rows))
    with user.connected(vip, 80) as link, user.datagrams(vip, 80) as questions:
        banner(link)
        asked(questions)
        user.udp(stays, 80)
        assert len(entries(net, vip)) == 2
        gone: dict[L4Key, L4Listener | None] = {k: None for k in rows if k.address == vip}
        driver.apply(L4Changes(listeners=gone, vips_removed=frozenset({vip})))
        assert entries(net, vip) == []
        assert len(entries(net, stays)) == 1
        with pytest.raises(ConnectionResetError):
            echoes(link)


@families
def test_withdrawal_leaves_no_entries_of_the_vips(
    driver: NftDriver, net: Net, user: User, family: int
) -> None:
    vip = address(family, "vip 1")
    serve(driver, {L4Key(vip, "TCP", 80): row(family, "pod1")})
    with user.connected(vip, 80) as link:
        banner(link)
        driver.withdraw()
        assert entries(net, vip) == []
        with pytest.raises(ConnectionResetError):
            echoes(link)


@families
def test_connections_of_a_removed_listener_are_reset(
    driver: NftDriver, user: User, family: int
) -> None:
    vip = address(family, "vip 1")
    key = L4Key(vip, "TCP", 80)
    serve(driver, {key: row(family, "pod1")})
    with user.connected(vip, 80) as link:
        banner(link)
        driver.apply(L4Changes(listeners={key: None}))
        with pytest.raises(ConnectionResetError):
            echoes(link)


@families
@pytest.mark.parametrize("mode", ["always", "never", "auto"])
def test_a_connection_that_moves_to_another_engine_is_reset(
    driver: NftDriver,
    other: NftDriver,
    net: Net,
    user: User,
    family: int,
    mode: Masquerade,
) -> None:
    """Without conntrack's entry it cannot go on, whatever the policy; hanging would be worse."""
    vip = address(family, "vip 1")
    for engine in (driver, other):
        serve(engine, {L4Key(vip, "TCP", 80): row(family, "pod1", masquerade=mode)})
    with user.connected(vip, 80) as link:
        banner(link)
        start = time.monotonic()
        length = vip.max_prefixlen
        net.ip("client", f"-{family} route add {vip}/{length} via {address(family, 'lan 3')}")
        try:
            with pytest.raises(ConnectionResetError):
                echoes(link)
        finally:
            net.ip("client", f"-{family} route del {vip}/{length}")
        assert time.monotonic() - start < 1.0


@families
def test_no_connection_hangs_when_ecmp_gets_a_second_engine(
    driver: NftDriver, other: NftDriver, net: Net, user: User, family: int
) -> None:
    """Linux moves about half of the flows from one next hop to two; each of them hears of it."""
    vip = address(family, "vip 1")
    for engine in (driver, other):
        serve(engine, {L4Key(vip, "TCP", 80): row(family, "pod1", "pod2", "pod3")})
    net.set("client", f"ipv{family}.fib_multipath_hash_policy", "1")
    route = f"-{family} route add {vip}/{vip.max_prefixlen} "
    hops = [f"nexthop via {address(family, host)}" for host in ("lan 2", "lan 3")]
    with ExitStack() as stack:
        links = [stack.enter_context(user.connected(vip, 80)) for _ in range(24)]
        for link in links:
            banner(link)
        net.ip("client", route + " ".join(hops))
        stack.callback(net.ip, "client", f"-{family} route del {vip}/{vip.max_prefixlen}")
        went_on = [goes_on(link) for link in links]
    assert any(went_on)
    assert not all(went_on)


@families
def test_every_engine_and_every_reload_hash_alike(
    driver: NftDriver, other: NftDriver, net: Net, servers: Servers, user: User, family: int
) -> None:
    vip, edge = address(family, "vip 1"), address(family, "edge 1")
    pods = ("pod1", "pod2", "pod3")
    key = L4Key(vip, "UDP", 80)
    serve(driver, {key: row(family, *pods)})
    before = by_port(user, family, "vip 1")
    driver.withdraw()
    serve(driver, {key: row(family, *pods)})
    assert by_port(user, family, "vip 1") == before
    serve(other, {L4Key(edge, "UDP", 80): row(family, *pods, masquerade="always")})
    assert by_port(user, family, "edge 1") == before
    assert set(before) == set(pods)


def by_port(user: User, family: int, vip: str) -> list[str]:
    """Who answers each of 24 source ports."""
    return [user.udp(address(family, vip), 80, source_port=40_000 + n)[0] for n in range(24)]


def asked(link: socket.socket) -> str:
    """Who answers on a UDP socket."""
    link.send(b"?")
    return link.recv(64).decode().split()[0]


def goes_on(link: socket.socket) -> bool:
    """Whether a connection goes on; False when it was reset. A time-out fails the test."""
    try:
        return echoes(link)
    except ConnectionResetError:
        return False


def entries(net: Net, vip: IPAddress) -> list[str]:
    """The engine's conntrack entries of a VIP."""
    words = f"conntrack -L -f ipv{vip.version} -d {vip}".split()
    return net.inside("engine", *words).splitlines()


def ids(net: Net, vip: IPAddress, port: int) -> list[str]:
    """The ids of a listener's entries: a new entry has a new one."""
    words = f"conntrack -L -o id -f ipv{vip.version} -d {vip} -p udp --dport {port}".split()
    return re.findall(r"\bid=(\d+)", net.inside("engine", *words))
