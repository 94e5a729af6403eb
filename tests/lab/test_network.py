"""The network of a lab: both families, routing, isolation, and what is run inside."""

import errno
import os
import socket
import subprocess
import time
from pathlib import Path

import pytest

from fairlead.lab import Hosts, Lab, LabError, cluster
from fairlead.lab.probe import Answer, Pong, Reason, Refused, TimedOut, ping, tcp_ask, udp_ask

pytestmark = pytest.mark.root


def test_every_host_reaches_every_other_of_its_segment_in_both_families(lab: Hosts) -> None:
    client = lab["client"]
    for name in ("edge", "engine-1", "engine-2", "node-1"):
        assert isinstance(client.call(ping, lab[name].v4), Pong), name
        assert isinstance(client.call(ping, lab[name].v6), Pong), name


@pytest.mark.parametrize("family", ["v4", "v6"])
def test_a_client_reaches_pods_through_the_engine(lab: Hosts, family: str) -> None:
    client, pod = lab["client"], lab["pod-b"]
    address = getattr(pod, family)
    assert isinstance(client.call(ping, address), Pong)
    for ask, protocol in ((tcp_ask, "tcp"), (udp_ask, "udp")):
        answer = client.call(ask, address, 8080)
        assert isinstance(answer, Answer)
        assert (answer.name, answer.protocol) == ("pod-b", protocol)
        assert str(answer.server.address) == address
        assert answer.client == answer.local


def test_a_node_answers_on_its_node_port(lab: Hosts) -> None:
    answer = lab["client"].call(tcp_ask, lab["node-1"].v4, 30080)
    assert isinstance(answer, Answer)
    assert answer.name == "node-1"


def test_without_the_engine_pods_are_cut_off() -> None:
    with Lab(cluster(pods=1, clients_via="engine-1")) as lab:
        pod = lab["pod-a"].v4
        assert isinstance(lab["client"].call(ping, pod), Pong)
        lab["engine-1"].cut("pods")
        assert isinstance(lab["client"].call(ping, pod, 0.2), TimedOut | Refused)
        lab["engine-1"].mend("pods")
        # The kernel asks once a second for a neighbour that did not answer.
        assert isinstance(lab["client"].call(ping, pod, 4.0), Pong)


@pytest.mark.parametrize("silently", [True, False])
def test_a_cut_is_seen_by_the_host_unless_it_is_silent(*, silently: bool) -> None:
    with Lab(cluster(pods=0, pods_via=None)) as lab:
        engine = lab["engine-1"]
        engine.cut(silently=silently)
        assert isinstance(lab["client"].call(ping, engine.v4, 0.2), TimedOut)
        assert ("NO-CARRIER" in engine.ip("link", "show", "dev", "lan")) is not silently
        engine.mend()
        # The kernel asks once a second for a neighbour that did not answer.
        assert isinstance(lab["client"].call(ping, engine.v4, 4.0), Pong)
        assert isinstance(lab["client"].call(ping, engine.v6), Pong)


@pytest.mark.parametrize("target", ["203.0.113.1", "2001:db8::1"])
@pytest.mark.parametrize("host", ["client", "engine-1", "pod-a", "node-1"])
def test_no_route_leads_out(lab: Hosts, host: str, target: str) -> None:
    refused = lab[host].call(tcp_ask, target, 80)
    assert isinstance(refused, Refused)
    # A pod asks its engine, which knows no way either and says so.
    assert refused.reason is (Reason.NET_UNREACHABLE if host == "pod-a" else Reason.NO_ROUTE)
    assert refused.elapsed < 0.2


def test_a_connect_to_an_outer_address_fails_at_once(lab: Hosts) -> None:
    def connect() -> int:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
            return sock.connect_ex(("203.0.113.1", 80))

    for host in (lab["client"], lab["engine-1"], lab.switch):
        assert host.call(connect) == errno.ENETUNREACH


def test_every_link_of_the_switch_ends_at_a_host_of_the_lab(lab: Hosts) -> None:
    ports = {name for _, name in lab.switch.call(socket.if_nameindex)} - {"lo", "lan", "pods"}
    ends = set()
    for name, host in lab.items():
        own = {interface for _, interface in host.call(socket.if_nameindex)} - {"lo"}
        assert own <= {"lan", "pods"}
        ends |= {f"{interface[0]}-{name}" for interface in own}
    assert ports == ends
    assert {"l-client", "l-engine-1", "p-engine-1", "p-pod-a"} <= ends


def test_only_engines_and_edges_forward(lab: Hosts) -> None:
    def forwards() -> str:
        return Path("/proc/sys/net/ipv4/ip_forward").read_text().strip()

    found = {name: host.call(forwards) for name, host in lab.items()}
    assert {name for name, value in found.items() if value == "1"} == {
        "edge",
        "engine-1",
        "engine-2",
    }


def test_two_labs_at_once_have_the_same_addresses_and_do_not_meet(lab: Hosts) -> None:
    with Lab(cluster(pods=["other"], clients_via="engine-1")) as second:
        assert second["other"].v4 == lab["pod-a"].v4
        names = set()
        for hosts in (lab, second):
            answer = hosts["client"].call(tcp_ask, second["other"].v4, 8080)
            assert isinstance(answer, Answer)
            names.add(answer.name)
        assert names == {"pod-a", "other"}


def test_twelve_hosts_are_up_in_time() -> None:
    started = time.monotonic()
    with Lab(cluster(engines=3, nodes=2, pods=6, edges=1)) as lab:
        elapsed = time.monotonic() - started
        assert len(lab) == 13
    assert elapsed < 1.5


def test_run_gives_output_input_and_exit_code(lab: Hosts) -> None:
    done = lab["client"].run(["cat"], input="hello")
    assert (done.returncode, done.stdout) == (0, "hello")
    assert lab["client"].run(["false"]).returncode == 1
    with pytest.raises(subprocess.CalledProcessError):
        lab["client"].run(["false"], check=True)
    with pytest.raises(FileNotFoundError, match="no-such-program"):
        lab["client"].run(["no-such-program"])
    with pytest.raises(subprocess.TimeoutExpired):
        lab["client"].run(["sleep", "9"], timeout=0.05)


def test_run_is_inside_and_quick(lab: Hosts) -> None:
    assert "192.0.2.254/24" in lab["client"].run(["ip", "-br", "addr"]).stdout
    started = time.monotonic()
    for _ in range(10):
        lab["client"].run(["true"])
    assert (time.monotonic() - started) / 10 < 0.02


def test_call_returns_and_raises_what_the_function_does(lab: Hosts) -> None:
    assert lab["client"].call(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        lab["client"].call(divmod, 7, 0)


def test_entered_covers_processes_and_is_left_again(lab: Hosts) -> None:
    outside = os.readlink("/proc/thread-self/ns/net")
    with lab["pod-a"].entered():
        assert os.readlink("/proc/thread-self/ns/net") != outside
        said = subprocess.run(["ip", "-br", "addr"], capture_output=True, text=True, check=True)
    assert "10.244.0.100/16" in said.stdout
    assert os.readlink("/proc/thread-self/ns/net") == outside


def test_a_host_that_is_not_there_is_named(lab: Hosts) -> None:
    with pytest.raises(KeyError, match="no host 'pod-z'"):
        lab["pod-z"]
    assert "pod-z" not in lab
    assert [host.name for host in lab.with_role("engine")] == ["engine-1", "engine-2"]
    with pytest.raises(LabError, match="ip route add nonsense"):
        lab["client"].ip("route", "add", "nonsense")


def test_a_pod_that_loses_power_refuses_and_an_echo_started_again_answers() -> None:
    with Lab(cluster(pods=1, clients_via="engine-1")) as lab:
        client, pod = lab["client"], lab["pod-a"]
        assert isinstance(client.call(tcp_ask, pod.v4, 8080), Answer)
        pod.kill_processes()
        refused = client.call(tcp_ask, pod.v4, 8080)
        assert isinstance(refused, Refused)
        assert refused.reason is Reason.RESET
        pod.echo(name="again", tcp=[8080])
        answer = client.call(tcp_ask, pod.v4, 8080)
        assert isinstance(answer, Answer)
        assert answer.name == "again"


def test_a_port_that_is_taken_is_reported(lab: Hosts) -> None:
    with pytest.raises(LabError, match="Address already in use"):
        lab["pod-a"].echo(tcp=[8080])
