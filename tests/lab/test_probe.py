"""What the probes tell apart, against echo servers and rules of nftables in the way."""

import time

import pytest

from fairlead.lab import Host, Hosts, Lab, cluster
from fairlead.lab.probe import (
    Answer,
    Reason,
    Refused,
    TcpConnection,
    TimedOut,
    arp_ask,
    ndp_ask,
    ping,
    sctp_init,
    tcp_ask,
    tcp_connect,
    udp_ask,
)

pytestmark = pytest.mark.root


def load(host: Host, rules: str) -> None:
    host.run(["nft", "-f", "-"], input=rules, check=True)


def reason(outcome: object) -> Reason:
    assert isinstance(outcome, Refused), outcome
    return outcome.reason


@pytest.mark.parametrize("family", ["v4", "v6"])
def test_a_closed_port_resets_tcp_refuses_udp_and_aborts_sctp(lab: Hosts, family: str) -> None:
    client, address = lab["client"], getattr(lab["pod-a"], family)
    assert reason(client.call(tcp_ask, address, 1)) is Reason.RESET
    assert reason(client.call(sctp_init, address, 1)) is Reason.ABORT
    refused = client.call(udp_ask, address, 1)
    assert reason(refused) is Reason.PORT_UNREACHABLE
    assert isinstance(refused, Refused)
    assert str(refused.by) == address


def test_rules_that_reject_are_told_from_resets_and_silence() -> None:
    with Lab(cluster(pods=1, clients_via="engine-1")) as lab:
        client, pod, engine = lab["client"], lab["pod-a"], lab["engine-1"]
        load(
            engine,
            """table inet t {
              chain forward {
                type filter hook forward priority 0
                tcp dport 1 reject with icmpx port-unreachable
                tcp dport 2 reject with icmpx admin-prohibited
                tcp dport 3 reject with icmpx host-unreachable
                tcp dport 4 reject with tcp reset
                th dport 5 drop
              }
            }""",
        )
        expected = {
            1: Reason.PORT_UNREACHABLE,
            2: Reason.PROHIBITED,
            3: Reason.HOST_UNREACHABLE,
            4: Reason.RESET,
        }
        for address, by in ((pod.v4, engine.v4), (pod.v6, engine.v6)):
            for port, wanted in expected.items():
                refused = client.call(tcp_ask, address, port)
                assert reason(refused) is wanted, (address, port)
                assert isinstance(refused, Refused)
                assert str(refused.by) == (by if wanted is not Reason.RESET else "None")
            for ask in (tcp_ask, udp_ask, sctp_init):
                assert isinstance(client.call(ask, address, 5, 0.15), TimedOut)


def test_no_route_and_no_neighbour_are_refusals(lab: Hosts) -> None:
    assert reason(lab["client"].call(tcp_ask, "203.0.113.1", 80)) is Reason.NO_ROUTE
    assert reason(lab["client"].call(ping, "2001:db8::1")) is Reason.NO_ROUTE
    assert reason(lab["pod-a"].call(udp_ask, "203.0.113.1", 80)) is Reason.NET_UNREACHABLE


def test_a_source_the_host_does_not_have_is_an_error_and_not_an_outcome(lab: Hosts) -> None:
    with pytest.raises(OSError, match="Cannot assign"):
        lab["client"].call(tcp_ask, lab["pod-a"].v4, 8080, source="203.0.113.9")


@pytest.mark.parametrize("family", ["v4", "v6"])
def test_source_address_and_port_are_the_ones_asked_for(lab: Hosts, family: str) -> None:
    client = lab["client"]
    own, address = getattr(client, family), getattr(lab["pod-a"], family)
    for ask, port in ((tcp_ask, 8080), (udp_ask, 8080), (sctp_init, 9000)):
        answer = client.call(ask, address, port, source=own, source_port=33333)
        assert isinstance(answer, Answer)
        assert (str(answer.client.address), answer.client.port) == (own, 33333)


def test_a_connection_stays_open_and_notices_the_end_of_its_server() -> None:
    with Lab(cluster(pods=1, clients_via="engine-1")) as lab:
        connection = lab["client"].call(tcp_connect, lab["pod-a"].v4, 8080)
        assert isinstance(connection, TcpConnection)
        with connection:
            for _ in range(3):
                answer = connection.ask()
                assert isinstance(answer, Answer)
                assert answer.client == connection.greeting.client == connection.local
            lab["pod-a"].kill_processes()
            assert reason(connection.ask()) in (Reason.CLOSED, Reason.RESET)


def test_udp_is_answered_from_the_address_it_was_sent_to(lab: Hosts) -> None:
    pod = lab["pod-b"]
    for extra, own in (("10.244.9.9/16", pod.v4), ("fd00:244::9:9/64", pod.v6)):
        pod.ip("addr", "add", extra, "dev", "pods")
        for address in (extra.partition("/")[0], own):
            for ask, port in ((udp_ask, 8080), (sctp_init, 9000)):
                answer = lab["client"].call(ask, address, port)
                assert isinstance(answer, Answer)
                assert str(answer.server.address) == address


@pytest.mark.parametrize(
    ("family", "vip", "pod"),
    [("ip", "192.0.2.10", "10.244.0.100"), ("ip6", "fd00:2::10", "[fd00:244::100]")],
)
def test_translation_shows_for_tcp_udp_and_sctp(family: str, vip: str, pod: str) -> None:
    with Lab(cluster(pods=1, sctp=[8080])) as lab:
        client, engine = lab["client"], lab["engine-1"]
        flags = ["nodad"] if family == "ip6" else []
        plain = vip + ("/128" if family == "ip6" else "/32")
        engine.ip("addr", "add", plain, "dev", "lan", *flags)
        protocols = "{ tcp, udp, sctp }"
        load(
            engine,
            f"""table {family} t {{
              chain in {{
                type nat hook prerouting priority -110
                {family} daddr {vip} meta l4proto {protocols} th dport 80 dnat to {pod}:8080
              }}
              chain out {{
                type nat hook postrouting priority 90
                th dport 8080 oifname pods masquerade
              }}
            }}""",
        )
        inside = engine.spec.pods[0 if family == "ip" else 1].ip
        for ask in (tcp_ask, udp_ask, sctp_init):
            answer = client.call(ask, vip, 80, timeout=10.0)
            assert isinstance(answer, Answer), (ask, answer)
            assert str(answer.server) == f"{pod}:8080"
            assert answer.client.address == inside
            assert (
                str(answer.local.address)
                == client.spec.lan[0 if family == "ip" else 1].ip.__str__()
            )


def test_without_a_route_back_only_masquerading_brings_an_answer() -> None:
    with Lab(cluster(pods=1, pods_via=None, clients_via="engine-1")) as lab:
        ask = lab["client"].call
        assert isinstance(ask(tcp_ask, lab["pod-a"].v4, 8080, 0.15), TimedOut)
        load(
            lab["engine-1"],
            "table ip t { chain out { type nat hook postrouting priority 100; masquerade; }; }",
        )
        assert isinstance(ask(tcp_ask, lab["pod-a"].v4, 8080), Answer)


def test_who_has_an_address_is_answered_by_its_holder_alone(lab: Hosts) -> None:
    client, engine = lab["client"], lab["engine-2"]
    assert client.call(arp_ask, "lan", engine.v4) == [engine.mac()]
    assert client.call(ndp_ask, "lan", engine.v6) == [engine.mac()]
    assert client.call(arp_ask, "lan", "192.0.2.77", 0.05) == []
    assert client.call(ndp_ask, "lan", "fd00:2::77", 0.05) == []
    assert client.call(arp_ask, "lan", engine.v4, source=client.v4) == [engine.mac()]


def test_two_holders_are_both_seen() -> None:
    with Lab(cluster(engines=2, pods=0, pods_via=None)) as lab:
        engines = lab.with_role("engine")
        for engine in engines:
            engine.ip("addr", "add", "192.0.2.10/32", "dev", "lan")
            engine.ip("addr", "add", "fd00:2::10/128", "dev", "lan", "nodad")
        macs = sorted(engine.mac() for engine in engines)
        assert sorted(lab["client"].call(arp_ask, "lan", "192.0.2.10")) == macs
        assert sorted(lab["client"].call(ndp_ask, "lan", "fd00:2::10")) == macs


def test_questions_are_cheap(lab: Hosts) -> None:
    started = time.monotonic()
    for _ in range(50):
        assert isinstance(lab["client"].call(tcp_ask, lab["pod-a"].v4, 8080), Answer)
    assert (time.monotonic() - started) / 50 < 0.02
