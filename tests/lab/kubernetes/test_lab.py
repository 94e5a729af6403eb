"""A cluster in namespaces: Services carry traffic, nodes fail and come back, nothing is left."""

import ipaddress
import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from fairlead.lab import Host, Lab, LabError, cluster
from fairlead.lab.kubernetes import KubernetesLab
from fairlead.lab.netns import call_inside
from fairlead.lab.probe import Answer, Outcome, tcp_ask, udp_ask
from fairlead.lab.state import STATE_DIR
from tests.kube import eventually, make_namespace

from .pods import Namespace, echo, pod, service, shell

pytestmark = pytest.mark.root

Ask = Callable[[str, int], Outcome]
OWNER = """
import sys, time
from fairlead.lab.kubernetes import KubernetesLab
with KubernetesLab(nodes=1, name=sys.argv[1]) as lab:
    lab.kubectl("create", "deployment", "web", "--image=echo")
    lab.kubectl("rollout", "status", "deployment/web", "--timeout=20s")
    print("up", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def here(cluster: KubernetesLab, place: str) -> Namespace:
    return Namespace(cluster, place)


def inside(name: str) -> list[int]:
    """The processes in the namespaces of a lab."""
    found = []
    for path in Path("/run/netns").glob(f"fl-{name}-*"):
        argv = ["ip", "netns", "pids", path.name]
        said = subprocess.run(argv, capture_output=True, text=True, check=False).stdout
        found += [int(pid) for pid in said.split()]
    return found


def answers(host: Host, ask: Ask, address: str) -> bool:
    return isinstance(host.call(ask, address, 8080), Answer)


def test_nodes_are_as_a_user_expects(cluster: KubernetesLab) -> None:
    nodes = json.loads(cluster.kubectl("get", "nodes", "-o", "json").stdout)["items"]
    assert [node["metadata"]["name"] for node in nodes] == ["node-1", "node-2"]
    for node in nodes:
        host = cluster[node["metadata"]["name"]]
        internal = [a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP"]
        assert internal == [host.v4, host.v6]
        assert len(node["spec"]["podCIDRs"]) == 2
        assert "taints" not in node["spec"]
    assert " Ready " in cluster.kubectl("get", "nodes").stdout


def test_a_service_is_reached_from_nodes_pods_and_clients(here: Namespace) -> None:
    lab = here.lab
    here.apply(pod("web", nodeName="node-1"), service("web", type="LoadBalancer"))
    here.apply(pod("peer", shell("sleep 600"), nodeName="node-2", terminationGracePeriodSeconds=0))
    here.ready("web")
    here.ready("peer")
    vips = ["192.0.2.77", "fd00:2::77"]
    status = {"status": {"loadBalancer": {"ingress": [{"ip": vip} for vip in vips]}}}
    patch = ["patch", "service", "web", "--subresource=status", "--type=merge"]
    here.kubectl(*patch, "-p", json.dumps(status))
    spec = here.get("service", "web")["spec"]
    peer = next(Path("/run/netns").glob(f"fl-{lab.name}-node-2.{here.name}.peer"))
    for address in [*spec["clusterIPs"], *vips]:
        for ask in (tcp_ask, udp_ask):
            assert eventually(partial(answers, lab["node-2"], ask, address))
            answer = call_inside(peer, ask, address, 8080)
            assert isinstance(answer, Answer)
            assert answer.name == "web"
    client = lab["client"]
    for vip, node in zip(vips, (lab["node-1"].v4, lab["node-2"].v6), strict=True):
        bits = ipaddress.ip_address(vip).max_prefixlen
        client.ip("route", "add", f"{vip}/{bits}", "via", node)
        assert isinstance(client.call(tcp_ask, vip, 8080), Answer)
    node_port = spec["ports"][0]["nodePort"]
    assert isinstance(client.call(tcp_ask, lab["node-2"].v4, node_port), Answer)


def test_a_pod_reaches_the_lan_as_its_node_and_pods_as_itself(here: Namespace) -> None:
    lab = here.lab
    lab["client"].echo(name="outside", tcp=[7070])
    here.apply(pod("a", shell("sleep 600"), nodeName="node-1", terminationGracePeriodSeconds=0))
    here.apply(pod("b", nodeName="node-2"))
    own = here.ready("a")["status"]["podIP"]
    other = here.ready("b")["status"]["podIP"]

    def seen_as(address: str, port: int) -> str:
        path = Path(f"/run/netns/fl-{lab.name}-node-1.{here.name}.a")
        answer = call_inside(path, tcp_ask, address, port)
        assert isinstance(answer, Answer)
        return str(answer.client.address)

    assert seen_as(lab["client"].v4, 7070) == lab["node-1"].v4
    assert seen_as(other, 8080) == own


def test_a_node_that_fails_is_noticed_and_one_that_comes_back_serves(here: Namespace) -> None:
    here.apply(pod("web", echo(), nodeName="node-2"), service("web"))
    here.ready("web")

    def ready() -> list[bool]:
        return [end["conditions"]["ready"] for end in here.endpoints("web")]

    assert eventually(lambda: ready() == [True])
    node = here.lab.nodes["node-2"]
    node.fail()
    try:
        assert inside(f"{here.lab.name}-node-2.") == []
        assert eventually(lambda: ready() == [False], timeout=30)
        assert "NotReady" in here.lab.kubectl("get", "node", "node-2").stdout
    finally:
        node.recover()
    node.wait_ready()
    assert eventually(lambda: ready() == [True], timeout=30)
    address = here.get("service", "web")["spec"]["clusterIP"]
    assert eventually(lambda: isinstance(here.lab["node-1"].call(tcp_ask, address, 8080), Answer))


def test_a_cable_that_is_cut_makes_node_and_pods_not_ready(here: Namespace) -> None:
    cluster = here.lab
    here.apply(pod("before", nodeName="node-2"))
    here.ready("before")
    cluster["node-2"].cut("lan")
    ready = [
        "get",
        "node",
        "node-2",
        "-o",
        "jsonpath={.status.conditions[?(@.type=='Ready')].status}",
    ]
    try:
        assert eventually(lambda: cluster.kubectl(*ready).stdout == "Unknown", timeout=30)
        here.kubectl("wait", "pod/before", "--for=condition=Ready=False", "--timeout=20s")
    finally:
        cluster["node-2"].mend("lan")
    assert eventually(lambda: cluster.kubectl(*ready).stdout == "True", timeout=30)
    here.apply(pod("after", nodeName="node-2"))
    here.ready("after", within=40)
    assert here.ready("before", within=40)["status"]["containerStatuses"][0]["restartCount"] == 0


def test_agents_have_their_accounts_kubeconfig(cluster: KubernetesLab, place: str) -> None:
    cluster.kubectl("-n", place, "create", "serviceaccount", "agent")
    config = cluster.control.service_account_kubeconfig(place, "agent")
    argv = [str(cluster.control.programs / "kubectl"), "auth", "whoami"]
    env = {**os.environ, **cluster.control.environment, "KUBECONFIG": str(config)}
    assert f"{place}:agent" in cluster["node-1"].run(argv, env=env).stdout


def test_without_ipv6_and_kube_proxy() -> None:
    with KubernetesLab(nodes=1, ipv6=False, kube_proxy=False) as lab:
        assert lab["node-1"].run(["nft", "list", "table", "ip", "kube-proxy"]).returncode != 0
        here = Namespace(lab, make_namespace(lab.control))
        container = {"name": "main", "image": "kubectl", "args": ["auth", "whoami"]}
        here.apply(pod("who", container, restartPolicy="Never"))
        assert here.ended("who")["exitCode"] == 0, here.said("who")
        assert len(here.get("pod", "who")["status"]["podIPs"]) == 1
        assert (
            len(
                json.loads(lab.kubectl("get", "service", "kubernetes", "-o", "json").stdout)[
                    "spec"
                ]["clusterIPs"]
            )
            == 1
        )


def test_nothing_is_left_after_kill_minus_nine() -> None:
    name = f"kk{os.getpid() % 10**6}"
    argv = [sys.executable, "-c", OWNER, name]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "up\n"
        assert eventually(lambda: len(inside(name)) == 8)
        owner.kill()
    assert eventually(lambda: inside(name) == [])
    with Lab(cluster(pods=0, pods_via=None)):  # any later start removes the rest
        assert list(Path("/run/netns").glob(f"fl-{name}-*")) == []
        assert not (STATE_DIR / name).exists()


def test_a_lab_that_does_not_come_up_leaves_nothing() -> None:
    flags = {"kube-apiserver": ["--no-such-flag"]}
    lab = KubernetesLab(nodes=1, flags=flags)
    with pytest.raises(LabError, match="no-such-flag"):
        lab.__enter__()
    assert list(Path("/run/netns").glob(f"fl-{lab.name}-*")) == []
    assert not (STATE_DIR / lab.name).exists()
