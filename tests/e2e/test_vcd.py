"""VCD's three outcomes on two hosts: the edge translates, the engine leads to the nodes.

Both run their own `fairlead up` on one folder, with a state each; what they agree on follows from
the manifests alone.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from fairlead.lab import Hosts, Subnet, Topology, cluster

from .asking import RESET, Steady, User
from .manifests import Manifest, node, service
from .serving import Up, becomes, until

pytestmark = pytest.mark.root

EXTERNAL = "80.81.82.81"
SECOND = "80.81.82.82"
IN1, IN2, IN3 = (f"192.168.8.{number}" for number in range(2, 5))
NODES = {"node-1", "node-2"}
SHARED = "enableVirtualServiceSharedIP: true"
PER_PORT = "enableVirtualServiceSharedIP: false"
ONE_ARM = "oneArm: {startIP: 192.168.8.2, endIP: 192.168.8.100}"


@pytest.fixture(scope="module")
def topology() -> Topology:
    """The addresses of the examples: the client reaches the external network only."""
    return cluster(
        lan=[
            Subnet.of("80.81.82.80/28", "client", "edge", "engine"),
            Subnet.of("192.168.8.0/24", "edge", "engine", "node"),
        ],
        edges=1,
        nodes=2,
        pods=0,
        pods_via=None,
        node_ports=(30080, 30443, 30090),
    )


def config(*settings: str) -> Manifest:
    """The provider's ConfigMap."""
    lines = "".join(f"  {one}\n" for one in ("vipSubnet: 80.81.82.80/28", *settings))
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "vcloud-ccm-configmap", "namespace": "kube-system"},
        "data": {"vcloud-ccm-config.yaml": f"loadbalancer:\n{lines}"},
    }


def port(number: int, name: str, target: int) -> Manifest:
    return {"name": name, "port": number, "nodePort": target}


HTTP, HTTPS = port(80, "http", 30080), port(443, "https", 30443)


def machines(lab: Hosts) -> list[Manifest]:
    """The workers, and the two that serve."""
    control = {"node-role.kubernetes.io/control-plane": ""}
    serving = {"matchExpressions": [{"key": "fairlead.dev/role", "operator": "Exists"}]}
    return [
        node("node-1", lab["node-1"].v4),
        node("node-2", lab["node-2"].v4),
        node("engine-1", labels={**control, "fairlead.dev/role": "engine"}),
        node("edge", labels={**control, "fairlead.dev/role": "edge"}),
        {
            "apiVersion": "fairlead.dev/v1alpha1",
            "kind": "EngineGroup",
            "metadata": {"name": "default"},
            "spec": {"nodeSelector": serving},
        },
    ]


@pytest.fixture
def edge(lab: Hosts, up: Up, tmp_path: Path) -> Iterator[Up]:
    """`fairlead up` on the edge, on the folder of the engine's."""
    made = Up(lab["edge"], tmp_path, up.folder)
    yield made
    print(made.said())
    made.end()


@pytest.fixture
def start(lab: Hosts, up: Up, edge: Up) -> Callable[..., None]:
    """Write configuration and Services, and start both."""

    def begin(settings: Manifest, *services: Manifest) -> None:
        up.folder.put("machines", *machines(lab))
        up.folder.put("config", settings)
        up.folder.put("services", *services)
        up.start()
        edge.start()

    return begin


def rows(*keys: str) -> set[str]:
    return {f"tcp {key}" for key in keys}


def test_flags_change_under_one_external_address(
    start: Callable[..., None], up: Up, edge: Up, user: User
) -> None:
    one_tier = (config(SHARED), rows(f"{EXTERNAL}:80", f"{EXTERNAL}:443"), set[str](), [EXTERNAL])
    outside = rows(f"{EXTERNAL}:80", f"{EXTERNAL}:443")
    inside = config(SHARED, ONE_ARM), rows(f"{IN1}:80", f"{IN1}:443"), outside, [IN1]
    outcomes = [
        one_tier,
        inside,
        (config(PER_PORT, ONE_ARM), rows(f"{IN2}:80", f"{IN3}:443"), outside, [IN2, IN3]),
        one_tier,
    ]
    start(outcomes[0][0], service("web", HTTP, HTTPS, namespace="shop"))
    for settings, on_engine, on_edge, held in outcomes:
        up.folder.put("config", settings)
        becomes(on_engine, up.listeners)
        becomes(on_edge, edge.listeners)
        for number in (80, 443):
            becomes(NODES, user.crowd, EXTERNAL, number)
        becomes(held, up.held)
        becomes([EXTERNAL] if on_edge else [], edge.held)
        becomes([EXTERNAL], up.addresses, "web", "shop")
        assert user.macs(EXTERNAL) == [(edge if on_edge else up).host.mac()]


def test_ports_and_namespaces_are_kept_apart_and_cleaned(
    start: Callable[..., None], up: Up, edge: Up, user: User
) -> None:
    blog = service("web", port(80, "http", 30090), namespace="blog")
    start(config(PER_PORT, ONE_ARM), blog, service("web", HTTP, HTTPS, namespace="shop"))
    becomes([EXTERNAL], up.addresses, "web", "blog")
    becomes([SECOND], up.addresses, "web", "shop")
    becomes([SECOND], edge.addresses, "web", "shop")
    for vip, number in ((EXTERNAL, 80), (SECOND, 80), (SECOND, 443)):
        becomes(NODES, user.crowd, vip, number)
    held = [IN1, IN2, IN3]
    assert up.held() == held
    edits = [
        (HTTP, port(443, "tls", 30443)),  # renamed
        (HTTP, port(8443, "tls", 30443)),  # moved
        (HTTP,),
    ]
    with Steady(user, (SECOND, 80), (EXTERNAL, 80)):
        for ports in edits:
            up.folder.put("services", blog, service("web", *ports, namespace="shop"))
            outside = {f"{EXTERNAL}:80", *(f"{SECOND}:{one['port']}" for one in ports)}
            becomes(rows(*outside), edge.listeners)
            for one in ports:
                becomes(NODES, user.crowd, SECOND, one["port"])
            becomes(len(ports) + 1, lambda: len(up.held()))
            becomes({*up.held()}, lambda: {row.split()[1].split(":")[0] for row in up.listeners()})
            ended = {443, 8443} - {one["port"] for one in ports}
            assert {user.tcp(SECOND, number) for number in ended} <= {RESET}
    with Steady(user, (SECOND, 80)):
        up.folder.put("services", service("web", HTTP, namespace="shop"))
        becomes([SECOND], edge.held)
        becomes(rows(f"{SECOND}:80"), edge.listeners)
        becomes(1, lambda: len(up.held()))
        becomes(1, lambda: len(up.listeners()))


BROKEN = [
    config(SHARED, ONE_ARM, "oneArms: {}"),
    config(SHARED, "oneArm: {startIP: ["),
    config(SHARED, "oneArm: {startIP: 192.168.8.999}"),
    {**config(), "data": {}},
]
"""A key that does not exist, no YAML, no address, nothing."""


def test_a_config_map_that_cannot_be_read_keeps_everything(
    start: Callable[..., None], up: Up, edge: Up, user: User
) -> None:
    good, web = config(SHARED, ONE_ARM), service("web", HTTP, HTTPS, namespace="shop")
    start(good, web)
    becomes(NODES, user.crowd, EXTERNAL)
    with Steady(user, (EXTERNAL, 80), (EXTERNAL, 443)):
        for number, broken in enumerate(BROKEN, start=1):
            up.folder.put("config", broken)
            for one in (up, edge):
                becomes(number, rejections, one)
            name = f"late{number}"
            up.folder.put(name, service(name, HTTP, namespace="shop"))
            for one in (up, edge):
                known = partial(one.verdict, name, "shop")
                until("a verdict", known, lambda said: said != "unknown")
                assert one.verdict("web", "shop") == "Served", broken
            assert IN1 in up.held()
            assert EXTERNAL in edge.held()
            up.folder.put("config", good)
            for one in (up, edge):
                becomes("Served", one.verdict, name, "shop")
                assert one.addresses("web", "shop") == [EXTERNAL], broken


def rejections(up: Up) -> int:
    """How often the ConfigMap was rejected so far."""
    return up.said().count("Rejected ConfigMap/kube-system/vcloud-ccm-configmap")
