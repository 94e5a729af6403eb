"""VCD: the ConfigMap, strict and bounded, and what it makes of Services."""

from ipaddress import ip_address
from typing import Any

import pytest

from fairlead.model.claim import Claims
from fairlead.model.kube import KubeObject
from fairlead.model.names import Ref
from fairlead.model.verdict import Code, State
from tests.dialects.make import (
    backends_in,
    claim_in,
    claims_of,
    decoded,
    reason_in,
    service,
    service_ref,
    verdict_in,
)


def ccm(text: str, namespace: str = "kube-system") -> KubeObject:
    return decoded(
        {
            "kind": "ConfigMap",
            "metadata": {"name": "vcloud-ccm-configmap", "namespace": namespace},
            "data": {"vcloud-ccm-config.yaml": text},
        }
    )


def ref(namespace: str = "kube-system") -> Ref:
    return Ref("ConfigMap", namespace, "vcloud-ccm-configmap")


def spans(claims: Claims) -> dict[str, list[str]]:
    return {pool.name: [f"{r.first}-{r.last}" for r in pool.ranges] for pool in claims.pools}


NODES = """\
kind: Node
metadata: {name: w1}
status: {addresses: [{type: InternalIP, address: 10.0.0.11}]}
---
kind: Node
metadata: {name: w2}
status:
  addresses: [{type: InternalIP, address: 10.0.0.12}]
  conditions: [{type: Ready, status: Unknown}]
---
kind: Node
metadata: {name: cp1, labels: {node-role.kubernetes.io/control-plane: ""}}
status: {addresses: [{type: InternalIP, address: 10.0.0.1}]}
---
kind: Node
metadata: {name: cp2, labels: {node-role.kubernetes.io/master: ""}}
status: {addresses: [{type: InternalIP, address: 10.0.0.2}]}
"""


def test_backends_are_the_ready_workers() -> None:
    claims = claims_of(service(ports=[{"port": 80, "nodePort": 30080}]), ccm(""), NODES)
    assert backends_in(claim_in(claims)) == ["10.0.0.11:30080@w1"]


def test_a_port_without_node_port_is_told() -> None:
    claim = claim_in(claims_of(service(), ccm(""), NODES))
    assert backends_in(claim) == []
    assert [w.code for w in claim.warnings] == [Code.NO_READY_BACKEND]


def test_services_of_one_name_in_two_namespaces_are_two() -> None:
    claims = claims_of(service("a/web"), service("b/web"), ccm(""))
    assert claim_in(claims, "a/web").group != claim_in(claims, "b/web").group


def test_the_static_address_and_the_pools() -> None:
    claims = claims_of(service(loadBalancerIP="192.0.2.5"), ccm("loadbalancer: {vipSubnet: ''}"))
    claim = claim_in(claims)
    assert (claim.dialect, claim.outside_pools) == ("vcd", False)
    assert claim.addresses == (ip_address("192.0.2.5"),)
    assert claim.pools == ()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", {"vcd-one-arm": ["192.168.8.2-192.168.8.100"]}),
        ("loadbalancer:\n", {"vcd-one-arm": ["192.168.8.2-192.168.8.100"]}),
        (
            "loadbalancer: {oneArm: {startIP: 10.9.0.1, endIP: 10.9.0.9}}",
            {"vcd-one-arm": ["10.9.0.1-10.9.0.9"]},
        ),
        (
            "loadbalancer: {oneArm: {startIP: 192.168.8.50}}",
            {"vcd-one-arm": ["192.168.8.50-192.168.8.100"]},
        ),
        (
            "loadbalancer: {vipSubnet: 192.0.2.0/28, enableVirtualServiceSharedIP: true}",
            {"vcd-external": ["192.0.2.1-192.0.2.14"]},
        ),
        (
            "loadbalancer: {vipSubnet: 192.0.2.0/31, enableVirtualServiceSharedIP: true}",
            {"vcd-external": ["192.0.2.0-192.0.2.1"]},
        ),
    ],
)
def test_the_pools_it_defines(text: str, wanted: dict[str, Any]) -> None:
    claims = claims_of(ccm(text))
    assert spans(claims) == wanted
    assert not any(pool.auto_assign for pool in claims.pools)
    assert not claims.verdicts


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("loadbalancer: {vipSubnet: 192.0.2.0/28, vipsubnet: x}", "`vipsubnet`"),
        ("loadbalancers: {}", "`loadbalancers`"),
        ("vcd: {hots: x}", "`hots`"),
        ("loadbalancer: {oneArm: {startip: 10.0.0.1}}", "`startip`"),
        ("loadbalancer: {enableVirtualServiceSharedIP: maybe}", "enableVirtualServiceSharedIP"),
        ("loadbalancer: {oneArm: true}", "oneArm"),
        ("loadbalancer: {vipSubnet: here}", "loadbalancer.vipSubnet 'here'"),
        ("loadbalancer: {vipSubnet: 224.0.0.0/24}", "holds multicast addresses"),
        ("loadbalancer: {oneArm: {startIP: 10.0.0.9, endIP: 10.0.0.1}}", "10.0.0.9-10.0.0.1"),
        ("a: [", "cannot be read"),
        ("[]\n[", "cannot be read"),
        ("- a\n- b", "cannot be read"),
        ("text", "cannot be read"),
        ("[" * 50_000, "cannot be read"),
        ("a: " + "x" * 70_000, "longer than 65536"),
        ("? [1]\n: 2", "cannot be read"),
        ("vcd: {host: a, host: b}", "duplicate"),
    ],
)
def test_a_bad_config_map_is_rejected_and_services_keep_what_they_have(
    text: str, told: str
) -> None:
    claims = claims_of(service(), service("other", {"fairlead.dev/pool": "x"}), ccm(text))
    verdict = claims.verdicts[ref()]
    assert verdict.state is State.REJECTED
    assert verdict.reason is not None
    assert told in verdict.reason.message
    assert len(verdict.reason.message) < 400
    assert verdict_in(claims).state is State.PENDING
    assert reason_in(claims).conflicts == (ref(),)
    assert claims.held == {service_ref("web")}
    assert claim_in(claims, "other").dialect == "fairlead"


def test_a_config_map_without_its_key() -> None:
    empty = decoded({"kind": "ConfigMap", "metadata": {"name": "vcloud-ccm-configmap"}})
    reason = claims_of(empty).verdicts[ref("default")].reason
    assert reason is not None
    assert "has no key vcloud-ccm-config.yaml" in reason.message


def test_of_several_the_one_in_kube_system_counts() -> None:
    claims = claims_of(
        ccm("loadbalancer: {vipSubnet: 192.0.2.0/28}", "aaa"),
        ccm("loadbalancer: {vipSubnet: 198.51.100.0/28}"),
        ccm("[", "zzz"),
    )
    assert spans(claims)["vcd-external"] == ["198.51.100.1-198.51.100.14"]
    assert {r: v.state for r, v in claims.verdicts.items()} == dict.fromkeys(
        (ref("aaa"), ref("zzz")), State.IGNORED
    )


def test_else_the_first_by_namespace() -> None:
    claims = claims_of(
        ccm("loadbalancer: {vipSubnet: 192.0.2.0/28}", "b"),
        ccm("loadbalancer: {vipSubnet: 198.51.100.0/28}", "a"),
    )
    assert spans(claims)["vcd-external"] == ["198.51.100.1-198.51.100.14"]


def test_other_config_maps_are_nobodys_business() -> None:
    other = decoded({"kind": "ConfigMap", "metadata": {"name": "other"}, "data": {"a": "["}})
    claims = claims_of(service(), other)
    assert claim_in(claims).dialect == "fairlead"
    assert not claims.verdicts


def test_a_pool_of_the_same_name_must_be_renamed() -> None:
    pool = "kind: AddressPool\nmetadata: {name: vcd-one-arm}\nspec: {addresses: [10.0.0.0/24]}\n"
    claims = claims_of(pool, ccm(""))
    assert claims.verdicts[Ref("AddressPool", "", "vcd-one-arm")].state is State.REJECTED
    assert spans(claims) == {"vcd-one-arm": ["192.168.8.2-192.168.8.100"]}
    assert spans(claims_of(pool)) == {"vcd-one-arm": ["10.0.0.1-10.0.0.254"]}
