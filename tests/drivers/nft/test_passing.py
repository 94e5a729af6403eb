"""Listeners that the cluster's own proxy carries: they pass, and everything else is refused."""

import pytest

from fairlead.drivers.nft.driver import NftDriver
from fairlead.drivers.nft.render import dump
from fairlead.model.addresses import IPAddress
from fairlead.model.desired import PASSED, L4Changes, L4Desired, L4Key
from fairlead.model.names import Protocol
from tests.drivers.nft.net import (
    FAMILIES,
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


def proxy(family: int) -> str:
    """What a proxy of the cluster has: a Service on port 80 of the VIP, and a NodePort."""
    ip, vip, to = ("ip" if family == 4 else "ip6"), address(family, "vip 1"), pod(family, "pod3")
    target = f"{to}:8080" if family == 4 else f"[{to}]:8080"
    rules = "".join(
        f"{ip} daddr {vip} {protocol} dport 80 dnat {ip} to {target}\n"
        f"fib daddr type local meta nfproto ipv{family} {protocol} dport 30080"
        f" dnat {ip} to {target}\n"
        for protocol in ("tcp", "udp")
    )
    return (
        "table inet proxy {\n"
        f"chain pre {{ type nat hook prerouting priority -100; policy accept;\n{rules} }}\n"
        f"chain out {{ type nat hook output priority -100; policy accept;\n{rules} }}\n"
        "}\n"
    )


@pytest.fixture(scope="module", autouse=True)
def daemon(servers: Servers) -> None:
    """A daemon of the engine that listens on every address."""
    servers.add("engine", 9101, "daemon")


@families
@protocols
def test_the_proxy_carries_it_and_sees_the_client(
    driver: NftDriver, net: Net, user: User, family: int, protocol: Protocol
) -> None:
    vip = address(family, "vip 1")
    net.nft("engine", proxy(family))
    serve(driver, {L4Key(vip, protocol, 80): PASSED})
    client = str(address(family, "lan 1"))
    assert user.ask(protocol, vip, 80) == ["pod3", client]
    assert User(net, "engine").ask(protocol, vip, 80)[0] == "pod3"


@families
@protocols
def test_nothing_else_passes(
    driver: NftDriver, net: Net, user: User, family: int, protocol: Protocol
) -> None:
    vip = address(family, "vip 1")
    net.nft("engine", proxy(family))
    assert user.tcp(vip, 30080)[0] == "pod3"  # without us it does
    serve(driver, {L4Key(vip, "TCP", 80): PASSED, L4Key(vip, "UDP", 80): PASSED})
    for port in (30080, 9101, 81):
        with pytest.raises(ConnectionRefusedError):
            user.ask(protocol, vip, port)
    assert user.ask(protocol, address(family, "lan 2"), 9101)[0] == "daemon"


@families
@protocols
def test_a_daemon_is_not_reached_while_the_proxy_does_not_know_the_listener(
    driver: NftDriver, net: Net, user: User, family: int, protocol: Protocol
) -> None:
    vip = address(family, "vip 1")
    serve(driver, {L4Key(vip, protocol, 9101): PASSED})
    for who in (user, User(net, "engine")):
        with pytest.raises(ConnectionRefusedError):
            who.ask(protocol, vip, 9101)


@families
def test_flows_of_the_proxy_do_not_notice_us(net: Net, user: User, family: int) -> None:
    vip = address(family, "vip 1")
    net.nft("engine", proxy(family))
    driver = NftDriver(netns=net.ns("engine"), ends_flows=False)
    try:
        with user.connected(vip, 80) as link, user.datagrams(vip, 80) as datagrams:
            assert banner(link)[0] == "pod3"
            datagrams.send(b"?")
            assert datagrams.recv(64).split()[0] == b"pod3"
            before = _ids(net, vip)
            assert len(before) == 2
            serve(driver, {L4Key(vip, "TCP", 80): PASSED, L4Key(vip, "UDP", 80): PASSED})
            for leaves in (False, True):
                if leaves:
                    driver.withdraw()
                assert echoes(link)
                datagrams.send(b"?")
                assert datagrams.recv(64).split()[0] == b"pod3"
                assert _ids(net, vip) == before
    finally:
        driver.withdraw()
        driver.close()
        net.nft("engine", "flush ruleset\n")
        net.inside("engine", "conntrack", "-F")


def _ids(net: Net, vip: IPAddress) -> set[str]:
    """The ids of the conntrack entries of a VIP: one that was made anew has another."""
    listing = net.inside("engine", "conntrack", "-L", "-o", "id", "--orig-dst", str(vip))
    return {word for word in listing.split() if word.startswith("id=")}


@families
def test_it_becomes_ours_and_the_proxys_again(
    driver: NftDriver, net: Net, user: User, family: int
) -> None:
    vip = address(family, "vip 1")
    net.nft("engine", proxy(family))
    key = L4Key(vip, "TCP", 80)
    for wanted, answering in ((row(family, "pod1"), "pod1"), (PASSED, "pod3")):
        serve(driver, {key: wanted})
        assert driver.observe() == L4Desired({key: wanted}, frozenset({vip}))
        assert user.tcp(vip, 80)[0] == answering
    driver.apply(L4Changes({key: None}, vips_removed=frozenset({vip})))
    assert driver.observe() == L4Desired({}, frozenset())


def test_the_dump_says_so() -> None:
    vip = address(4, "vip 1")
    state = L4Desired({L4Key(vip, "TCP", 80): PASSED}, frozenset({vip}))
    assert dump(state) == f"vip {vip}\n  TCP 80 passes\n"
