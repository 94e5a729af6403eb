"""A change reaches the Services it concerns, and only those: one case for each way it can go."""

from typing import Any

import pytest

from fairlead.dialects.translate import translate
from fairlead.dialects.translated import Translated
from fairlead.model.config import Config
from fairlead.model.kube import KubeObject
from fairlead.model.names import Ref
from fairlead.model.world import Change
from tests.dialects.make import decoded, service, service_ref, world_of

SETTING = "aviinfrasetting.ako.vmware.com/name"
READY = [{"type": "Ready", "status": "True"}]


def made(kind: str, name: str, /, **fields: Any) -> KubeObject:
    metadata = {"name": name, **fields.pop("metadata", {})}
    return decoded({"kind": kind, "metadata": metadata, **fields})


def piece(owner: str, address: str = "10.244.0.1") -> KubeObject:
    return made(
        "EndpointSlice",
        "piece",
        metadata={"labels": {"kubernetes.io/service-name": owner}},
        endpoints=[{"addresses": [address]}],
        ports=[{"port": 8080}],
    )


def pod(app: str, **notes: str) -> KubeObject:
    return made(
        "Pod",
        "pod",
        metadata={"labels": {"app": app}, "annotations": notes},
        spec={"nodeName": "n1"},
        status={"podIP": "10.244.0.9", "conditions": READY},
    )


def node(name: str = "n1", ready: str = "True", **labels: str) -> KubeObject:
    status = {
        "addresses": [{"type": "InternalIP", "address": "10.9.0.1"}],
        "conditions": [{"type": "Ready", "status": ready}],
    }
    return made("Node", name, metadata={"labels": labels}, status=status)


def space(**notes: str) -> KubeObject:
    return made("Namespace", "default", metadata={"annotations": notes, "labels": notes})


def infra(network: str) -> KubeObject:
    return made("AviInfraSetting", "gold", spec={"network": {"names": [network]}})


def pool(entry: str, **spec: Any) -> KubeObject:
    return made("AddressPool", "blue", spec={"addresses": [entry], **spec})


def ccm(text: str) -> KubeObject:
    return made("ConfigMap", "vcloud-ccm-configmap", data={"vcloud-ccm-config.yaml": text})


def group(alias: str) -> KubeObject:
    return made("EngineGroup", "fast", spec={"seGroups": [alias]})


ONE = service("one", selector={"app": "one"}, ports=[{"port": 80, "nodePort": 30080}])
TWO = service("two", selector={"app": "two"}, ports=[{"port": 80, "nodePort": 30080}])
LOCAL = service(
    "one",
    selector={"app": "one"},
    ports=[{"port": 80, "nodePort": 30080}],
    externalTrafficPolicy="Local",
)
GOLD = service("one", {SETTING: "gold"})
FAST = service("one", {"fairlead.dev/engine-group": "se-1"})
STATIC = service("one", loadBalancerIP="10.0.0.5")
PLAIN = Config()
AKO = Config(default_dialect="ako")
NODE_PORT = Config(default_dialect="ako", service_type="NodePort")
NPL = Config(default_dialect="ako", service_type="NodePortLocal")
NPL_NOTE = '[{"podPort":80,"nodeIP":"10.9.0.1","nodePort":%d}]'
ANTREA = "nodeportlocal.antrea.io"

CASES: dict[str, tuple[Config, list[KubeObject], KubeObject | Ref, set[str]]] = {
    "service comes": (PLAIN, [ONE], TWO, {"two"}),
    "service goes": (PLAIN, [ONE, TWO], TWO.ref, {"two"}),
    "slice comes": (PLAIN, [ONE, TWO], piece("one"), {"one"}),
    "slice changes": (PLAIN, [ONE, TWO, piece("one")], piece("one", "10.244.0.2"), {"one"}),
    "slice changes hands": (PLAIN, [ONE, TWO, piece("one")], piece("two"), {"one", "two"}),
    "slice goes": (PLAIN, [ONE, TWO, piece("one")], piece("one").ref, {"one"}),
    "slice goes, pods are left": (
        PLAIN,
        [ONE, pod("one"), piece("one")],
        piece("one").ref,
        {"one"},
    ),
    "pod comes": (PLAIN, [ONE, TWO], pod("one"), {"one"}),
    "pod changes hands": (PLAIN, [ONE, TWO, pod("one")], pod("two"), {"one", "two"}),
    "pod goes": (PLAIN, [ONE, TWO, pod("one")], pod("one").ref, {"one"}),
    "pod behind a slice": (PLAIN, [ONE, piece("one")], pod("one"), set()),
    "pod opens a port": (
        NPL,
        [ONE, TWO, piece("one"), pod("one", **{ANTREA: NPL_NOTE % 61000})],
        pod("one", **{ANTREA: NPL_NOTE % 61001}),
        {"one"},
    ),
    "node comes": (NODE_PORT, [ONE, TWO], node(), {"one", "two"}),
    "node fails": (NODE_PORT, [ONE, TWO, node()], node(ready="False"), {"one", "two"}),
    "pod of a Local service comes": (NODE_PORT, [LOCAL, TWO, node()], pod("one"), {"one"}),
    "node is relabelled": (NODE_PORT, [ONE, node()], node(rack="1"), set()),
    "node fails, pods serve": (AKO, [ONE, node()], node(ready="False"), set()),
    "namespace gets a setting": (AKO, [ONE, TWO, space()], space(**{SETTING: "x"}), {"one", "two"}),
    "namespace goes": (AKO, [ONE, space(**{SETTING: "x"})], space().ref, {"one"}),
    "namespace label": (PLAIN, [ONE, space()], space(a="b"), {"one"}),
    "setting comes": (AKO, [GOLD, TWO], infra("a"), {"one"}),
    "setting changes": (AKO, [GOLD, TWO, infra("a")], infra("b"), {"one"}),
    "setting goes": (AKO, [GOLD, TWO, infra("a")], infra("a").ref, {"one"}),
    "setting of the namespace": (AKO, [ONE, space(**{SETTING: "gold"})], infra("b"), {"one"}),
    "engine group comes": (PLAIN, [FAST, TWO], group("se-1"), {"one"}),
    "engine group loses an alias": (PLAIN, [FAST, TWO, group("se-1")], group("x"), {"one"}),
    "pool takes an address in": (PLAIN, [STATIC, TWO], pool("10.0.0.0/24"), {"one"}),
    "pool lets an address out": (
        PLAIN,
        [STATIC, TWO, pool("10.0.0.0/24")],
        pool("10.0.9.0/24"),
        {"one"},
    ),
    "pool priority": (PLAIN, [STATIC, pool("10.0.0.0/24")], pool("10.0.0.0/24", priority=3), set()),
    "vcd comes": (PLAIN, [ONE, TWO], ccm(""), {"one", "two"}),
    "vcd breaks": (PLAIN, [ONE, TWO, ccm("")], ccm("["), {"one", "two"}),
    "vcd changes a flag": (
        PLAIN,
        [ONE, ccm("")],
        ccm("loadbalancer: {enableVirtualServiceSharedIP: true, oneArm: {}}"),
        {"one"},
    ),
    "vcd changes its range": (
        PLAIN,
        [ONE, ccm("")],
        ccm("loadbalancer: {oneArm: {endIP: 192.168.8.9}}"),
        set(),
    ),
    "vcd worker fails": (PLAIN, [ONE, ccm(""), node()], node(ready="False"), {"one"}),
    "vcd worker becomes control plane": (
        PLAIN,
        [ONE, ccm(""), node()],
        node(**{"node-role.kubernetes.io/control-plane": ""}),
        {"one"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_reach(case: str) -> None:
    config, items, change, reached = CASES[case]
    world = world_of(*items, config=config, host="h")
    before = translate(world)
    edit = Change(change, None) if isinstance(change, Ref) else Change(change.ref, change)
    after = translate(world.evolve([edit]), before)
    full = translate(world.evolve([edit]))
    for field in Translated.__struct_fields__:
        if field not in ("base", "touched"):
            assert getattr(after, field) == getattr(full, field), field
    services = {ref for ref in after.touched or () if ref.kind == "Service"}
    assert services == {service_ref(name) for name in reached}
