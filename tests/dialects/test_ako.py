"""AKO: sharing keys, static addresses, AviInfraSettings of both generations, backend modes."""

from ipaddress import ip_address
from typing import Any

import pytest

from fairlead.model.config import Config
from fairlead.model.names import GroupKey
from fairlead.model.verdict import Code, State
from tests.dialects.make import (
    backends_in,
    claim_in,
    claims_of,
    reason_in,
    service,
    verdict_in,
)

CLASS: dict[str, Any] = {"loadBalancerClass": "ako.vmware.com/avi-lb"}
KEY = "ako.vmware.com/enable-shared-vip"
SETTING = "aviinfrasetting.ako.vmware.com/name"
ENGINES = """\
kind: EngineGroup
metadata: {name: fast}
spec: {seGroups: [se-fast, Default-Group]}
"""


def infra(name: str = "gold", spec: str = "{}") -> str:
    return f"kind: AviInfraSetting\nmetadata: {{name: {name}}}\nspec: {spec}\n"


def test_a_key_groups_within_its_namespace_only() -> None:
    claims = claims_of(service("a/web", {KEY: "k"}), service("b/web", {KEY: "k"}))
    groups = {claim_in(claims, name).group for name in ("a/web", "b/web")}
    assert groups == {GroupKey("ako", "shared-vip", ns, "k") for ns in ("a", "b")}


def test_keys_and_names_never_collide() -> None:
    """AKO joins them with a dash: (a, b-c) is (a-b, c), and key X is Service X."""
    claims = claims_of(
        service("a/one", {KEY: "b-c"}),
        service("a-b/two", {KEY: "c"}),
        service("a/b-c", **CLASS),
        service("a/slash", {KEY: "x/y"}),
        service("a/cut", {KEY: "x"}),
    )
    assert len({claim.group for (claim,) in claims.by_ref.values()}) == 5


def test_without_a_key_or_with_an_empty_one_a_service_is_alone() -> None:
    claim = claim_in(claims_of(service(notes={KEY: ""}, **CLASS)))
    assert claim.group == GroupKey("ako", "service", "default", "web")


@pytest.mark.parametrize(
    ("field", "note", "wanted"),
    [
        ("10.0.0.1", "", ["10.0.0.1"]),
        ("", "10.0.0.2", ["10.0.0.2"]),
        ("10.0.0.1", "10.0.0.2", ["10.0.0.1"]),
        (" fd00::1 ", "", ["fd00::1"]),
        ("", "", []),
    ],
)
def test_the_field_comes_before_the_annotation(field: str, note: str, wanted: list[str]) -> None:
    notes = {"ako.vmware.com/load-balancer-ip": note}
    claim = claim_in(claims_of(service(notes=notes, loadBalancerIP=field, **CLASS)))
    assert list(claim.addresses) == [ip_address(text) for text in wanted]


@pytest.mark.parametrize("text", ["10.0.0.300", "a.example.org", "10.0.0.1,10.0.0.2", "0.0.0.0"])
@pytest.mark.parametrize("noted", [True, False])
def test_a_static_address_that_is_none(text: str, noted: bool) -> None:
    notes = {"ako.vmware.com/load-balancer-ip": text} if noted else {}
    field: dict[str, Any] = {} if noted else {"loadBalancerIP": text}
    claims = claims_of(service(notes=notes, **field, **CLASS))
    reason = reason_in(claims)
    assert reason.code is Code.INVALID_OBJECT
    assert repr(text) in reason.message
    assert ("ako.vmware.com/load-balancer-ip" if noted else "spec.loadBalancerIP") in reason.message
    assert verdict_in(claims).state is State.REJECTED
    assert verdict_in(claims).ref in claims.held


def test_a_key_of_megabytes_is_refused() -> None:
    reason = reason_in(claims_of(service(notes={KEY: "x" * 10_000_000})))
    assert reason.code is Code.INVALID_OBJECT
    assert len(reason.message) < 300


NEW = "{network: {vipNetworks: [{networkName: net-a}], enableRhi: true}, seGroup: {name: se-fast}}"
OLD = "{network: {names: [net-a], enableRhi: true}, seGroup: {name: se-fast}}"


@pytest.mark.parametrize("spec", [NEW, OLD])
def test_both_generations_of_a_setting(spec: str) -> None:
    claim = claim_in(claims_of(service(notes={SETTING: "gold"}), infra(spec=spec), ENGINES))
    assert claim.setting == "gold"
    assert claim.pools == ("net-a",)
    assert claim.engine_group == "fast"
    assert claim.announce == "bgp"
    assert claim.warnings == ()


@pytest.mark.parametrize(
    ("network", "pools"),
    [
        ("{vipNetworks: [{networkUUID: dvportgroup-7-cloud-9}]}", ("dvportgroup-7-cloud-9",)),
        ("{vipNetworks: [{networkName: new}], names: [old]}", ("new",)),
        ("{vipNetworks: []}", ()),
        ("{enableRhi: false}", ()),
    ],
)
def test_networks(network: str, pools: tuple[str, ...]) -> None:
    setting = infra(spec=f"{{network: {network}}}")
    claim = claim_in(claims_of(service(notes={SETTING: "gold"}), setting))
    assert (claim.pools, claim.announce, claim.warnings) == (pools, None, ())


def test_of_several_networks_the_first_is_used_and_told() -> None:
    setting = infra(spec="{network: {names: [net-a, net-b]}}")
    claim = claim_in(claims_of(service(notes={SETTING: "gold"}), setting))
    assert claim.pools == ("net-a",)
    (warning,) = claim.warnings
    assert "only the first, 'net-a', is used" in warning.message


def test_an_unknown_se_group_means_the_default_engines_and_a_warning() -> None:
    claim = claim_in(
        claims_of(service(notes={SETTING: "gold"}), infra(spec="{seGroup: {name: gone}}"), ENGINES)
    )
    assert claim.engine_group == "default"
    assert [w.code for w in claim.warnings] == [Code.UNKNOWN_ENGINE_GROUP]
    assert "'gone'" in claim.warnings[0].message


def test_an_engine_group_is_found_by_its_own_name_too() -> None:
    setting = infra(spec="{seGroup: {name: fast}}")
    claim = claim_in(claims_of(service(notes={SETTING: "gold"}), setting, ENGINES))
    assert (claim.engine_group, claim.warnings) == ("fast", ())


def test_labels_of_peers_without_rhi() -> None:
    setting = infra(spec="{network: {bgpPeerLabels: [rack1]}}")
    (warning,) = claim_in(claims_of(service(notes={SETTING: "gold"}), setting)).warnings
    assert "BGPPeerLabels cannot be set if EnableRhi is false." in warning.message


def test_an_unknown_setting_falls_back_and_keeps_its_name_for_the_comparison() -> None:
    claim = claim_in(claims_of(service(notes={SETTING: "gone"})))
    assert claim.setting == "gone"
    assert (claim.pools, claim.engine_group, claim.announce) == ((), "default", None)
    assert [w.code for w in claim.warnings] == [Code.UNKNOWN_INFRA_SETTING]


@pytest.mark.parametrize(("own", "effective"), [({}, "silver"), ({SETTING: "gold"}, "gold")])
def test_the_namespace_passes_its_setting_on(own: dict[str, str], effective: str) -> None:
    space = f"kind: Namespace\nmetadata: {{name: default, annotations: {{{SETTING}: silver}}}}\n"
    items = (space, infra("gold", OLD), infra("silver", OLD))
    claims = claims_of(service(notes=own, **CLASS), service("other/web", **CLASS), *items)
    assert claim_in(claims).setting == effective
    assert claim_in(claims, "other/web").setting == ""


def test_a_setting_of_a_namespace_is_no_business_of_other_languages() -> None:
    space = f"kind: Namespace\nmetadata: {{name: default, annotations: {{{SETTING}: gold}}}}\n"
    claim = claim_in(claims_of(service(), space, infra("gold", OLD)))
    assert (claim.dialect, claim.setting, claim.pools) == ("fairlead", "", ())


SLICE = """\
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
endpoints: [{addresses: [10.244.0.1], nodeName: n1}]
ports: [{port: 8080}]
"""
NODES = """\
kind: Node
metadata: {name: n1}
status: {addresses: [{type: InternalIP, address: 10.0.0.11}]}
---
kind: Node
metadata: {name: n2}
status: {addresses: [{type: InternalIP, address: 10.0.0.12}, {type: Hostname, address: n2}]}
---
kind: Node
metadata: {name: n3}
status:
  addresses: [{type: InternalIP, address: 10.0.0.13}]
  conditions: [{type: Ready, status: "False"}]
"""
POD = """\
kind: Pod
metadata:
  name: web-pod
  labels: {app: web}
  annotations:
    nodeportlocal.antrea.io: >-
      [{"podPort":8080,"nodeIP":"10.0.0.11","nodePort":61002,"protocol":"tcp"},
       {"podPort":8080,"nodeIP":"10.0.0.11","nodePort":61003,"protocols":["udp"]},
       {"podPort":9090,"nodeIP":"10.0.0.11","nodePort":61004,"protocol":"tcp"}]
spec: {nodeName: n1}
status: {podIP: 10.244.0.1, conditions: [{type: Ready, status: "True"}]}
"""
PORTS = [{"port": 80, "targetPort": 8080, "nodePort": 30080}]


@pytest.mark.parametrize(
    ("mode", "policy", "backends"),
    [
        ("ClusterIP", "Cluster", ["10.244.0.1:8080@n1"]),
        ("NodePort", "Cluster", ["10.0.0.11:30080@n1", "10.0.0.12:30080@n2"]),
        ("NodePort", "Local", ["10.0.0.11:30080@n1"]),
        ("NodePortLocal", "Cluster", ["10.0.0.11:61002@n1"]),
    ],
)
def test_backend_modes(mode: str, policy: str, backends: list[str]) -> None:
    config = Config(service_type=mode)  # type: ignore[arg-type]
    spec: dict[str, Any] = {
        "ports": PORTS,
        "selector": {"app": "web"},
        "externalTrafficPolicy": policy,
    }
    claims = claims_of(service(**spec, **CLASS), SLICE, NODES, POD, config=config)
    claim = claim_in(claims)
    assert backends_in(claim) == backends
    assert claim.local == (policy == "Local")
    assert claim.warnings == ()


def test_a_port_without_a_node_port_has_no_backends_and_says_so() -> None:
    claims = claims_of(service(**CLASS), NODES, config=Config(service_type="NodePort"))
    claim = claim_in(claims)
    assert backends_in(claim) == []
    assert "port 80/TCP has no nodePort" in claim.warnings[0].message


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "7",
        '{"podPort":1}',
        '[{"podPort":0,"nodePort":1,"nodeIP":"x"}]',
        "[" * 9999,
    ],
)
def test_malformed_node_port_local_annotations_are_told(text: str) -> None:
    pod = POD.split("    nodeportlocal")[0] + f"    nodeportlocal.antrea.io: '{text}'\n"
    pod += POD[POD.index("spec:") :]
    config = Config(service_type="NodePortLocal")
    claims = claims_of(service(ports=PORTS, selector={"app": "web"}, **CLASS), pod, config=config)
    claim = claim_in(claims)
    assert backends_in(claim) == []
    assert claim.warnings[0].message.startswith("Pod web-pod: nodeportlocal.antrea.io")
