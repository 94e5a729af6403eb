"""Agents on a real cluster: with the real kube-proxy and without, and when things break."""

import time
from functools import partial

import pytest

from fairlead.lab.kubernetes import KubernetesLab

from ..asking import RESET, UNREACHABLE, Steady, User
from ..serving import becomes, until
from .agents import Agent, Site, holders, moves_to

pytestmark = pytest.mark.root
planes = pytest.mark.parametrize("dataplane", ["cluster", "nft"])
Pair = tuple[str, str]
Agents = dict[str, Agent]


def start(agents: Agents, dataplane: str) -> None:
    for one in agents.values():
        one.start(dataplane)


def reachable(user: User, *vips: str) -> None:
    for vip in vips:
        for ask in (user.tcp, user.udp):
            until(f"an answer of {vip}", partial(ask, vip), lambda who: who.startswith("web-"))


@planes
def test_traffic_of_both_families_and_protocols(
    agents: Agents, site: Site, user: User, vips: Pair, dataplane: str
) -> None:
    site.web(2)
    start(agents, dataplane)
    site.serve(*vips, home="node-1")
    reachable(user, *vips)
    for vip in vips:
        assert user.crowd(vip) == set(site.pods())
        assert holders(agents, vip) == {"node-1"}
        assert user.pings(vip)
    inside = User(site.lab["node-2"])
    becomes(True, lambda: inside.tcp(vips[0]).startswith("web-"))
    assert [one.stop() for one in agents.values()] == [0, 0]
    assert not any(holders(agents, vip) for vip in vips)


@planes
def test_a_vip_exposes_nothing_else_of_the_node(
    agents: Agents, site: Site, user: User, vips: Pair, dataplane: str
) -> None:
    node = site.lab["node-1"]
    daemon = node.echo(name="daemon", tcp=(9101,), udp=(9101,))
    try:
        site.web(1)
        start(agents, dataplane)
        site.serve(*vips, home="node-1")
        reachable(user, *vips)
        port = site.node_port()
        assert user.tcp(node.v4, 9101) == user.udp(node.v4, 9101) == "daemon"
        until("the NodePort", lambda: user.tcp(node.v4, port), lambda who: who.startswith("web-"))
        for vip in vips:
            assert [user.tcp(vip, 9101), user.udp(vip, 9101)] == [RESET, UNREACHABLE]
            assert user.tcp(vip, port) == RESET
    finally:
        daemon.kill()
        daemon.wait()


@planes
def test_policy_local_keeps_the_client_and_follows_the_pods(
    agents: Agents, site: Site, user: User, vips: Pair, dataplane: str
) -> None:
    on = {"kubernetes.io/hostname": "node-2"}
    site.web(1, nodes=on, externalTrafficPolicy="Local")
    start(agents, dataplane)
    site.serve(*vips, home="node-1", local=True)
    for vip in vips:
        moves_to(agents, vip, "node-2")
    reachable(user, *vips)
    client = site.lab["client"]
    assert [user.seen_as(vip) for vip in vips] == [client.v4, client.v6]
    there = '{"spec":{"template":{"spec":{"nodeSelector":{"kubernetes.io/hostname":"node-1"}}}}}'
    site.kubectl("patch", "deployment", "web", "-p", there)
    for vip in vips:
        moves_to(agents, vip, "node-1", 30)
    reachable(user, *vips)
    assert [user.seen_as(vip) for vip in vips] == [client.v4, client.v6]


@planes
def test_a_pod_that_terminates_serves_until_it_is_gone(
    agents: Agents, site: Site, user: User, vips: Pair, dataplane: str
) -> None:
    site.web(1)
    start(agents, dataplane)
    site.serve(vips[0], home="node-1")
    reachable(user, vips[0])
    (pod,) = site.pods()
    site.kubectl("scale", "deployment", "web", "--replicas=0")  # it goes on for three seconds
    until("its end to begin", site.pods, lambda pods: not pods)
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        assert user.tcp(vips[0]) == pod
    until("its end", lambda: user.tcp(vips[0]), lambda who: who != pod)


def test_a_node_that_fails_is_replaced_and_gets_back_what_it_had(
    agents: Agents, site: Site, user: User, vips: Pair, cluster: KubernetesLab
) -> None:
    site.web(2)
    start(agents, "cluster")
    site.serve(*vips, home="node-1")
    reachable(user, *vips)
    failed = cluster.nodes["node-1"]
    failed.fail()
    try:
        until("the take-over", agents["node-2"].held, lambda held: held == set(vips), 30)
        until("an answer", lambda: user.tcp(vips[0]), lambda who: who.startswith("web-"))
        for vip in vips:  # a machine that lost its power has nothing when it comes back
            failed.host.ip("address", "delete", vip, "dev", "lan")
    finally:
        failed.recover()
        failed.wait_ready()
    agents["node-1"].start("cluster")
    for vip in vips:
        moves_to(agents, vip, "node-1", 30)
    reachable(user, *vips)


def test_metrics_and_health(agents: Agents, site: Site, user: User, vips: Pair) -> None:
    site.web(1)
    start(agents, "cluster")
    site.serve(vips[0], home="node-1")
    reachable(user, vips[0])
    holder = agents["node-1"]
    assert holder.answers("/healthz").startswith("ok")
    metrics = holder.answers("/metrics")
    assert 'fairlead_addresses{state="in_place"} 1.0' in metrics
    assert "fairlead_time_to_announce_seconds_count 1.0" in metrics
    assert 'fairlead_watch_objects{kind="VirtualIP"}' in metrics


# last: the other parts of the cluster take their time to come back from this


@planes
def test_the_api_server_is_killed_and_an_agent_too(
    agents: Agents, site: Site, user: User, vips: Pair, cluster: KubernetesLab, dataplane: str
) -> None:
    site.web(2)
    start(agents, dataplane)
    site.serve(*vips, home="node-1")
    reachable(user, *vips)
    holder = agents["node-1"]
    until("the cache", lambda: (holder.state / "agent.json").exists(), bool)
    until("both VIPs in it", lambda: _cached(holder), lambda text: vips[1] in text)
    with Steady(user, *((vip, 80) for vip in vips)):
        cluster.control.kill("kube-apiserver")
        try:
            time.sleep(0.5)
            holder.kill()
            time.sleep(0.3)
            before = len(holder.said())
            holder.start(dataplane)
            until("it serves from its cache", lambda: _ready(holder), lambda it: "the cache" in it)
            time.sleep(1.0)
            assert holder.held() == set(vips)
        finally:
            cluster.control.start("kube-apiserver")
            cluster.control.wait_ready()
            for name in ("kube-controller-manager", "kube-scheduler"):
                cluster.control.kill(name)  # after each outage they wait longer before they ask
                cluster.control.start(name)
        until(
            "it reads again",
            lambda: _ready(holder),
            lambda it: it.startswith("ok") and "the cache" not in it,
        )
        time.sleep(0.5)
        assert holder.held() == set(vips)
    assert not [line for line in holder.said()[before:] if line["event"] == "gone"]
    assert not any(vips[0] in agents["node-2"].held() for _ in range(3))


def _cached(agent: Agent) -> str:
    return (agent.state / "agent.json").read_text()


def _ready(agent: Agent) -> str:
    return agent.answers("/readyz")
