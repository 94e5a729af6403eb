"""Real traffic through the real kernel: spreading, changing, refusing, masquerading, hairpins."""

import threading
import time
from ipaddress import ip_address

import pytest

from fairlead.drivers.nft.driver import NftDriver
from fairlead.model.desired import L4Backend, L4Changes, L4Key, L4Listener, Masquerade
from fairlead.model.names import Protocol
from tests.drivers.nft.net import (
    FAMILIES,
    PORT,
    Net,
    Servers,
    User,
    address,
    banner,
    echoes,
    pod,
    row,
    serve,
)

pytestmark = pytest.mark.root
families = pytest.mark.parametrize("family", FAMILIES)
protocols = pytest.mark.parametrize("protocol", ["TCP", "UDP"])


@families
@protocols
def test_every_backend_answers(
    driver: NftDriver, user: User, family: int, protocol: Protocol
) -> None:
    vip = address(family, "vip 1")
    serve(driver, {L4Key(vip, protocol, 80): row(family, "pod1", "pod2", "pod3")})
    assert user.who(protocol, vip, 80) == {"pod1", "pod2", "pod3"}


@families
@protocols
def test_two_listeners_share_a_vip(
    driver: NftDriver, user: User, family: int, protocol: Protocol
) -> None:
    vip = address(family, "vip 1")
    rows = {
        L4Key(vip, protocol, 80): row(family, "pod1"),
        L4Key(vip, protocol, 81): row(family, "pod2"),
    }
    serve(driver, rows)
    assert user.who(protocol, vip, 80, times=6) == {"pod1"}
    assert user.who(protocol, vip, 81, times=6) == {"pod2"}


@families
@protocols
def test_a_listener_without_backends_refuses(
    driver: NftDriver, user: User, family: int, protocol: Protocol
) -> None:
    vip = address(family, "vip 1")
    serve(driver, {L4Key(vip, protocol, 80): L4Listener(backends=())})
    with pytest.raises(ConnectionRefusedError):
        user.ask(protocol, vip, 80)


@families
def test_a_removed_backend_keeps_its_tcp_connections_and_gets_no_new_ones(
    driver: NftDriver, user: User, family: int
) -> None:
    vip = address(family, "vip 1")
    key = L4Key(vip, "TCP", 80)
    serve(driver, {key: row(family, "pod1")})
    with user.connected(vip, 80) as link:
        assert banner(link)[0] == "pod1"
        serve(driver, {key: row(family, "pod2", "pod3")})
        assert user.who("TCP", vip, 80) == {"pod2", "pod3"}
        assert echoes(link)
        serve(driver, {key: row(family, "pod1", "pod2", "pod3")})
        assert echoes(link)
        serve(driver, {key: L4Listener(backends=())})
        assert echoes(link)


@families
def test_no_connection_fails_while_backends_come_and_go(
    driver: NftDriver, user: User, family: int
) -> None:
    vip = address(family, "vip 1")
    key = L4Key(vip, "TCP", 80)
    serve(driver, {key: row(family, "pod1", "pod2")})
    done = threading.Event()
    failures: list[OSError] = []
    tries: list[str] = []

    def connect() -> None:
        while not done.is_set():
            try:
                tries.append(user.tcp(vip, 80)[0])
            except OSError as error:
                failures.append(error)

    thread = threading.Thread(target=connect)
    thread.start()
    try:
        deadline = time.monotonic() + 10
        turn = 0
        while (len(tries) < 300 or turn < 60) and not failures and time.monotonic() < deadline:
            serve(driver, {key: row(family, *("pod1", "pod2", "pod3")[turn % 3 :])})
            turn += 1
            time.sleep(0.002)
    finally:
        done.set()
        thread.join()
    assert failures == []
    assert turn > 20
    assert set(tries) == {"pod1", "pod2", "pod3"}


@families
@pytest.mark.parametrize(
    ("mode", "backend", "seen"),
    [
        ("auto", "pod1", "client"),
        ("auto", "far", "engine"),
        ("never", "pod1", "client"),
        ("always", "pod1", "engine"),
        ("always", "far", "engine"),
    ],
)
@protocols
def test_the_source_a_backend_sees(
    driver: NftDriver,
    user: User,
    family: int,
    mode: Masquerade,
    backend: str,
    seen: str,
    protocol: Protocol,
) -> None:
    vip = address(family, "vip 1")
    serve(driver, {L4Key(vip, protocol, 80): row(family, backend, masquerade=mode)})
    engine = address(family, "far 1" if backend == "far" else "pod 1")
    client = address(family, "lan 1")
    assert user.ask(protocol, vip, 80) == [backend, str(client if seen == "client" else engine)]


@families
def test_a_far_backend_without_masquerade_cannot_answer(
    driver: NftDriver, user: User, family: int
) -> None:
    vip = address(family, "vip 1")
    serve(driver, {L4Key(vip, "UDP", 80): row(family, "far", masquerade="never")})
    with pytest.raises(TimeoutError):
        user.udp(vip, 80)


@families
def test_other_traffic_through_the_engine_is_not_masqueraded(
    driver: NftDriver, user: User, family: int
) -> None:
    serve(driver, {L4Key(address(family, "vip 1"), "TCP", 80): row(family, "pod1")})
    assert user.tcp(pod(family, "pod1"), PORT) == ["pod1", str(address(family, "lan 1"))]


@families
@protocols
@pytest.mark.parametrize("mode", ["auto", "never"])
@pytest.mark.parametrize("behind", ["pod1", "pod2"])
def test_a_backend_reaches_itself_and_its_sibling_through_the_vip(
    driver: NftDriver,
    net: Net,
    servers: Servers,
    family: int,
    protocol: Protocol,
    mode: Masquerade,
    behind: str,
) -> None:
    """``pod1`` is the client. A sibling on the same wire would answer it past the engine."""
    vip = address(family, "vip 1")
    serve(driver, {L4Key(vip, protocol, 80): row(family, "pod1", "pod2", masquerade=mode)})
    answers = [User(net, "pod1").ask(protocol, vip, 80) for _ in range(20)]
    assert [behind, str(address(family, "pod 1"))] in answers
    assert all(seen == str(address(family, "pod 1")) for _, seen in answers)


@families
@protocols
@pytest.mark.parametrize("backend", ["pod1", "far"])
def test_a_process_of_the_engine_reaches_the_vip(
    driver: NftDriver,
    net: Net,
    servers: Servers,
    family: int,
    protocol: Protocol,
    backend: str,
) -> None:
    vip = address(family, "vip 1")
    serve(driver, {L4Key(vip, protocol, 80): row(family, backend)})
    engine = address(family, "far 1" if backend == "far" else "pod 1")
    assert User(net, "engine").ask(protocol, vip, 80) == [backend, str(engine)]
    with pytest.raises((ConnectionRefusedError, PermissionError)):  # UDP: sendmsg fails itself
        User(net, "engine").ask(protocol, vip, 82)


@families
@protocols
def test_two_hops_from_the_edge(
    driver: NftDriver, other: NftDriver, net: Net, user: User, family: int, protocol: Protocol
) -> None:
    """VCD: the edge translates an external address to an internal VIP; its engine has the pods."""
    external, internal = address(family, "edge 1"), address(family, "vip 1")
    serve(driver, {L4Key(internal, protocol, 80): row(family, "pod1", "pod2")})
    # The edge is no engine of the internal VIP: it routes it to the one that is.
    prefix = f"{address(family, 'vip 0')}/{24 if family == 4 else 64}"
    net.ip("other", f"-{family} route del local {prefix} dev lo")
    net.ip("other", f"-{family} route add {prefix} via {address(family, 'lan 2')}")
    try:
        hop = L4Listener(backends=(L4Backend(internal, 80),))
        serve(other, {L4Key(external, protocol, 80): hop})
        assert user.who(protocol, external, 80) == {"pod1", "pod2"}
    finally:
        net.ip("other", f"-{family} route del {prefix} via {address(family, 'lan 2')}")
        net.ip("other", f"-{family} route add local {prefix} dev lo")


@families
def test_weights_are_repeated_backends(driver: NftDriver, user: User, family: int) -> None:
    vip = address(family, "vip 1")
    serve(driver, {L4Key(vip, "UDP", 80): row(family, "pod1", "pod1", "pod1", "pod2")})
    answers = [user.udp(vip, 80)[0] for _ in range(200)]
    assert 110 < answers.count("pod1") < 185


def test_listeners_of_another_vip_are_left_alone(driver: NftDriver, user: User) -> None:
    one, two = address(4, "vip 1"), address(4, "vip 2")
    serve(driver, {L4Key(one, "TCP", 80): row(4, "pod1"), L4Key(two, "TCP", 80): row(4, "pod2")})
    driver.apply(L4Changes(listeners={L4Key(one, "TCP", 80): None}, vips_removed=frozenset({one})))
    assert user.tcp(two, 80)[0] == "pod2"
    assert driver.observe().vips == {two}


def test_withdrawal_leaves_the_tables_of_others(driver: NftDriver, net: Net) -> None:
    net.nft("engine", "table inet foreign { chain mine { accept; }\n}\n")
    serve(driver, {L4Key(ip_address("10.99.9.1"), "TCP", 80): row(4, "pod1")})
    driver.withdraw()
    assert net.inside("engine", "nft", "list", "tables") == "table inet foreign\n"
