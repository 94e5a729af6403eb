"""What is no listener is refused in prerouting, before others' DNAT; ICMP that belongs passes."""

import socket

import pytest

from fairlead.drivers.nft.driver import NftDriver
from fairlead.model.addresses import IPAddress, parse_network
from fairlead.model.desired import L4Key, L4Listener
from fairlead.model.names import Protocol
from tests.drivers.nft.net import (
    FAMILIES,
    SOON,
    Net,
    Servers,
    User,
    address,
    banner,
    pod,
    row,
    serve,
    to_pods,
)
from tests.drivers.nft.wire import icmp_protocol, payload, tcp_packet, too_big

pytestmark = pytest.mark.root
families = pytest.mark.parametrize("family", FAMILIES)
protocols = pytest.mark.parametrize("protocol", ["TCP", "UDP"])

_NODE_PORT = "".join(
    f"fib daddr type local meta nfproto {family} {protocol} dport 30080 dnat {to}\n"
    for family, to in (("ipv4", "ip to 10.99.2.13:8080"), ("ipv6", "ip6 to [fd99:2::13]:8080"))
    for protocol in ("tcp", "udp")
)
KUBE_PROXY = f"""
table inet kube-stand-in {{
    chain prerouting {{
        type nat hook prerouting priority -100; policy accept;
        {_NODE_PORT}
    }}
    chain output {{
        type nat hook output priority -100; policy accept;
        {_NODE_PORT}
    }}
}}
"""


@pytest.fixture(scope="module", autouse=True)
def daemon(servers: Servers) -> None:
    """A daemon of the engine that listens on every address."""
    servers.add("engine", 9100, "daemon")


@families
@protocols
def test_the_engines_daemons_are_not_reached_through_a_vip(
    driver: NftDriver, user: User, family: int, protocol: Protocol
) -> None:
    vip = address(family, "vip 1")
    assert user.tcp(vip, 9100)[0] == "daemon"  # without us the VIP exposes it
    serve(driver, {L4Key(vip, protocol, 80): row(family, "pod1")})
    assert user.ask(protocol, address(family, "lan 2"), 9100)[0] == "daemon"
    with pytest.raises(ConnectionRefusedError):
        user.ask(protocol, vip, 9100)


@families
@protocols
def test_node_ports_are_not_reached_through_a_vip(
    driver: NftDriver, net: Net, user: User, family: int, protocol: Protocol
) -> None:
    vip = address(family, "vip 1")
    net.nft("engine", KUBE_PROXY)
    assert user.tcp(vip, 30080)[0] == "pod3"  # without us it does
    serve(driver, {L4Key(vip, protocol, 80): row(family, "pod1")})
    assert user.ask(protocol, address(family, "lan 2"), 30080)[0] == "pod3"
    with pytest.raises(ConnectionRefusedError):
        user.ask(protocol, vip, 30080)


@families
@protocols
def test_our_listener_comes_before_a_node_port_of_the_same_number(
    driver: NftDriver, net: Net, user: User, family: int, protocol: Protocol
) -> None:
    vip = address(family, "vip 1")
    net.nft("engine", KUBE_PROXY)
    serve(driver, {L4Key(vip, protocol, 30080): row(family, "pod1")})
    assert user.who(protocol, vip, 30080, times=5) == {"pod1"}


@families
def test_a_node_port_of_the_engine_itself_is_no_backend(
    driver: NftDriver, net: Net, user: User, family: int
) -> None:
    """NAT is decided once per hook: kube-proxy's rule never sees it. So the compiler must name
    the pods instead; if this test ever fails, it need not any more."""
    vip, engine = address(family, "vip 1"), address(family, "pod 1")
    net.nft("engine", KUBE_PROXY)
    backend = to_pods(family, "pod1", port=30080)[0]._replace(address=engine)
    serve(driver, {L4Key(vip, "TCP", 80): L4Listener(backends=(backend,))})
    with pytest.raises(ConnectionRefusedError):
        user.tcp(vip, 80)


@families
@pytest.mark.parametrize("affinity", [0, 60])
def test_a_lost_element_does_not_expose_the_engine(
    driver: NftDriver, net: Net, user: User, family: int, affinity: int
) -> None:
    vip = address(family, "vip 1")
    serve(driver, {L4Key(vip, "TCP", 9100): row(family, "pod1", affinity=affinity)})
    assert user.tcp(vip, 9100)[0] == "pod1"
    net.nft("engine", f"flush map inet fairlead backends{family}\n")
    with pytest.raises(ConnectionRefusedError):
        user.tcp(vip, 9100)


@families
@pytest.mark.parametrize("affinity", [0, 60])
def test_a_flow_whose_slot_is_gone_takes_the_first(
    driver: NftDriver, net: Net, user: User, family: int, affinity: int
) -> None:
    """As between two lookups of one packet, when a commit falls in the middle."""
    vip = address(family, "vip 1")
    serve(driver, {L4Key(vip, "UDP", 80): row(family, "pod1", "pod2", affinity=affinity)})
    gone = "slots" if affinity else "backends"
    net.nft("engine", f"delete element inet fairlead {gone}{family} {{ {vip} . udp . 80 . 0x1 }}\n")
    answers = set()
    for _ in range(12):
        answers.add(user.udp(vip, 80)[0])
        net.nft("engine", f"flush map inet fairlead affinity{family}\n")
    assert answers == {"pod1"}


@families
def test_a_vip_answers_echo(driver: NftDriver, net: Net, user: User, family: int) -> None:
    vip = address(family, "vip 1")
    serve(driver, {L4Key(vip, "TCP", 80): row(family, "pod1")})
    assert echoed(net, vip)


@families
def test_another_protocol_is_refused_with_icmp(
    driver: NftDriver, net: Net, user: User, family: int
) -> None:
    vip = address(family, "vip 1")
    serve(driver, {}, vip)
    with (
        net.socket("client", family, socket.SOCK_RAW, icmp_protocol(family)) as ears,
        net.socket("client", family, socket.SOCK_RAW, socket.IPPROTO_GRE) as raw,
    ):
        ears.settimeout(SOON)
        raw.sendto(bytes(16), (str(vip), 0))
        unreachable = b"\3\3" if family == 4 else b"\1\4"
        while not payload(ears.recv(2048), family).startswith(unreachable):
            continue  # neighbour discovery


@families
def test_path_mtu_messages_for_a_vip_reach_the_pod(
    driver: NftDriver, net: Net, user: User, family: int
) -> None:
    vip, client = address(family, "vip 1"), address(family, "lan 1")
    serve(driver, {L4Key(vip, "TCP", 80): row(family, "pod1")})
    with (
        user.connected(vip, 80) as link,
        net.socket("pod1", family, socket.SOCK_RAW, icmp_protocol(family)) as ears,
        net.socket("client", family, socket.SOCK_RAW, icmp_protocol(family)) as raw,
    ):
        banner(link)
        ears.settimeout(SOON)
        port = link.getsockname()[1]
        quoted = tcp_packet(vip, client, (80, port))
        raw.sendto(too_big(quoted, family), (str(vip), 0))
        kind = 3 if family == 4 else 2
        while (got := payload(ears.recv(2048), family))[0] != kind:
            continue  # neighbour discovery
    # Translated back: the pod reads about a packet of its own.
    assert pod(family, "pod1").packed in got
    assert vip.packed not in got


@families
@protocols
def test_source_ranges_are_kept_and_others_get_silence(
    driver: NftDriver, net: Net, user: User, family: int, protocol: Protocol
) -> None:
    vip = address(family, "vip 1")
    inside, outside = address(family, "lan 1"), address(family, "lan 77")
    net.also_client(outside)
    listener = L4Listener(
        backends=to_pods(family, "pod1"),
        source_ranges=(parse_network(f"{inside}"), parse_network("10.0.0.0/30")),
    )
    open_one = L4Key(vip, protocol, 81)
    serve(driver, {L4Key(vip, protocol, 80): listener, open_one: row(family, "pod2")})
    assert user.ask(protocol, vip, 80, source=str(inside))[0] == "pod1"
    assert user.ask(protocol, vip, 81, source=str(outside))[0] == "pod2"
    with pytest.raises(TimeoutError):
        user.ask(protocol, vip, 80, source=str(outside))


@families
def test_ranges_of_the_other_family_alone_allow_nobody(
    driver: NftDriver, user: User, family: int
) -> None:
    vip = address(family, "vip 1")
    foreign = parse_network("fd99:1::/64" if family == 4 else "10.99.1.0/24")
    listener = L4Listener(backends=to_pods(family, "pod1"), source_ranges=(foreign,))
    serve(driver, {L4Key(vip, "UDP", 80): listener})
    with pytest.raises(TimeoutError):
        user.udp(vip, 80)


@families
def test_changed_ranges_hold_for_udp_flows_that_go_on(
    driver: NftDriver, user: User, family: int
) -> None:
    vip = address(family, "vip 1")
    key = L4Key(vip, "UDP", 80)
    serve(driver, {key: row(family, "pod1")})
    with user.datagrams(vip, 80) as link:
        link.send(b"?")
        assert link.recv(64).startswith(b"pod1")
        elsewhere = parse_network("10.0.0.0/30" if family == 4 else "fd77::/64")
        serve(driver, {key: L4Listener(to_pods(family, "pod1"), source_ranges=(elsewhere,))})
        link.send(b"?")
        with pytest.raises(TimeoutError):
            link.recv(64)


@families
def test_the_engines_own_processes_are_not_held_back_by_ranges(
    driver: NftDriver, net: Net, servers: Servers, family: int
) -> None:
    vip = address(family, "vip 1")
    elsewhere = parse_network("10.0.0.0/30" if family == 4 else "fd77::/64")
    listener = L4Listener(to_pods(family, "pod1"), source_ranges=(elsewhere,))
    serve(driver, {L4Key(vip, "TCP", 80): listener})
    assert User(net, "engine").tcp(vip, 80)[0] == "pod1"


def echoed(net: Net, to: IPAddress) -> bool:
    """Whether the client's echo request is answered (``ping`` is not installed everywhere)."""
    family = to.version
    kind = 8 if family == 4 else 128
    net.set("client", "ipv4.ping_group_range", "0 2147483647")
    with net.socket("client", family, socket.SOCK_DGRAM, icmp_protocol(family)) as link:
        link.settimeout(SOON)
        link.sendto(bytes([kind, 0, 0, 0, 0, 0, 0, 1]), (str(to), 0))
        answer, _ = link.recvfrom(64)
    return answer[0] == (0 if family == 4 else 129)
