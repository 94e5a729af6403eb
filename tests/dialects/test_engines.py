"""Engine groups and nodes."""

from ipaddress import ip_address
from typing import Any

import pytest

from fairlead.dialects.engines import EXCLUDED
from fairlead.model.claim import Claims, Engine, EngineRule
from fairlead.model.config import Config
from fairlead.model.kube import KubeObject
from fairlead.model.names import Ref
from fairlead.model.verdict import State
from tests.dialects.make import claims_of, decoded


def node(
    name: str,
    address: str = "",
    ready: str = "True",
    labels: dict[str, str] | None = None,
    *,
    cordoned: bool = False,
) -> KubeObject:
    addresses = [{"type": "InternalIP", "address": address}] if address else []
    conditions = [{"type": "Ready", "status": ready}]
    return decoded(
        {
            "kind": "Node",
            "metadata": {"name": name, "labels": labels},
            "spec": {"unschedulable": cordoned},
            "status": {"addresses": addresses, "conditions": conditions},
        }
    )


def group(name: str, created: str = "", **spec: Any) -> KubeObject:
    metadata = {"name": name, "creationTimestamp": created}
    return decoded({"kind": "EngineGroup", "metadata": metadata, "spec": spec})


def engines(claims: Claims, rule: str = "default") -> list[str]:
    return [engine.name for engine in claims.engine_rules[rule].engines]


def test_without_groups_this_host_serves_alone() -> None:
    claims = claims_of(node("n1"), host="bastion")
    assert dict(claims.engine_rules) == {
        "default": EngineRule(name="default", engines=(Engine("bastion"),))
    }


@pytest.mark.parametrize("ready", [True, False])
def test_this_host_may_be_a_node(ready: bool) -> None:
    claims = claims_of(node("n1", ready=str(ready)), node("n2"), host="n1")
    assert claims.engine_rules["default"].engines == (Engine("n1", ready, node=True),)


def test_without_a_host_every_node_serves() -> None:
    assert engines(claims_of(node("n2"), node("n1"))) == ["n1", "n2"]


def test_without_anything_nobody_serves() -> None:
    assert engines(claims_of()) == []


def test_groups_select_nodes_by_label_and_by_name() -> None:
    rack = {"matchLabels": {"rack": "1"}}
    named = {
        "matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["n3"]}]
    }
    scale: dict[str, Any] = {"minScale": 2, "maxScale": 3, "maxVipsPerEngine": 9, "failback": False}
    claims = claims_of(
        node("n1", labels={"rack": "1"}),
        node("n2", labels={"rack": "2"}),
        node("n3", labels={"rack": "2", "fairlead.dev/role": "edge"}),
        group("rack1", nodeSelector=rack, **scale),
        group("three", nodeSelector=named, mode="ActiveActive"),
        host="n1",
    )
    assert engines(claims, "rack1") == ["n1"]
    rule = claims.engine_rules["rack1"]
    assert (rule.min_scale, rule.max_scale, rule.max_vips, rule.failback) == (2, 3, 9, False)
    assert claims.engine_rules["three"].engines == (Engine("n3", True, "edge", node=True),)
    assert claims.engine_rules["three"].mode == "ActiveActive"
    assert engines(claims) == ["n1", "n3"]


def test_a_group_of_that_name_is_the_default() -> None:
    nobody = group("default", nodeSelector={"matchLabels": {"a": "b"}})
    claims = claims_of(node("n1"), node("n2"), nobody, group("all"))
    assert engines(claims) == []
    assert engines(claims, "all") == ["n1", "n2"]


@pytest.mark.parametrize("value", ["", "true", "false"])
def test_a_node_that_load_balancers_leave_out_is_no_engine(value: str) -> None:
    out = node("n1", "10.0.0.1", labels={EXCLUDED: value})
    assert engines(claims_of(out, node("n2"))) == ["n2"]
    everybody = claims_of(out, node("n2"), group("all"))
    assert engines(everybody, "all") == engines(everybody) == ["n2"]
    assert engines(claims_of(out, host="n1")) == []
    assert ip_address("10.0.0.1") in claims_of(out).node_addresses


def test_a_group_that_names_the_label_decides_for_itself() -> None:
    there = {"matchExpressions": [{"key": EXCLUDED, "operator": "Exists"}]}
    claims = claims_of(
        node("n1", labels={EXCLUDED: ""}),
        node("n2"),
        group("control", nodeSelector=there),
        group("valued", nodeSelector={"matchLabels": {EXCLUDED: ""}}),
    )
    assert engines(claims, "control") == engines(claims, "valued") == ["n1"]


def test_a_cordoned_node_leaves_unless_it_is_to_serve() -> None:
    nodes = (node("n1", cordoned=True), node("n2"))

    def going(**config: Any) -> list[str]:
        rule = claims_of(*nodes, group("all"), config=Config(**config)).engine_rules["all"]
        return [engine.name for engine in rule.engines if engine.leaving]

    assert going() == ["n1"]
    assert going(cordoned="Serve") == []


def test_an_alias_of_two_groups_is_the_older_ones() -> None:
    claims = claims_of(
        group("new", "2024-02-01T00:00:00Z", seGroups=["se-1", "se-2"]),
        group("old", "2024-01-01T00:00:00Z", seGroups=["se-1"]),
    )
    assert set(claims.verdicts) == {Ref("EngineGroup", "", "new")}
    (warning,) = claims.verdicts[Ref("EngineGroup", "", "new")].warnings
    assert "'se-1' already means EngineGroup old" in warning.message


def test_addresses_of_nodes_are_theirs() -> None:
    claims = claims_of(node("n1", "10.0.0.1"), node("n2", "fd00::2"), node("n3", "nonsense"))
    assert dict(claims.node_addresses) == {
        ip_address("10.0.0.1"): Ref("Node", "", "n1"),
        ip_address("fd00::2"): Ref("Node", "", "n2"),
    }
    verdict = claims.verdicts[Ref("Node", "", "n3")]
    assert verdict.state is State.SERVED
    assert "'nonsense' is not an IP address" in verdict.warnings[0].message
