"""Which language reads a Service."""

import pytest

from fairlead.model.config import Config
from fairlead.model.names import GroupKey
from fairlead.model.verdict import Code, State
from tests.dialects.make import claim_in, claims_of, reason_in, service, verdict_in

POOL = "kind: AddressPool\nmetadata: {name: blue}\nspec: {addresses: [10.0.0.0/24]}\n"
CCM = """\
kind: ConfigMap
metadata: {name: vcloud-ccm-configmap, namespace: elsewhere}
data: {vcloud-ccm-config.yaml: "loadbalancer: {vipSubnet: 192.0.2.0/28}"}
"""
WRITTEN_BACK = {
    "kube-vip.io/vipHost": "node-1",
    "kube-vip.io/hwaddr": "00:00:6c:00:00:01",
    "kube-vip.io/requestedIP": "192.168.0.155",
    "kube-vip.io/active-endpoint": "10.0.0.1",
    "ako.vmware.com/host-fqdn-vs-uuid-map": "{}",
    "ako.vmware.com/controller-cluster-uuid": "cluster-1",
    "ako.vmware.com/tenant-name": "admin",
    "ako.vmware.com/enable-shared-vip": "",
    "nodeportlocal.antrea.io/enabled": "true",
    "kube-vip.io/ignore": "false",
}


@pytest.mark.parametrize(
    ("name", "dialect"),
    [
        ("fairlead.dev/vip", "fairlead"),
        ("ako.vmware.com/avi-lb", "ako"),
        ("kube-vip.io/kube-vip-class", "kube-vip"),
    ],
)
@pytest.mark.parametrize("notes", [{}, {"ako.vmware.com/enable-shared-vip": "k"}])
def test_the_class_decides_whatever_the_annotations(
    name: str, dialect: str, notes: dict[str, str]
) -> None:
    claims = claims_of(service(notes=notes, loadBalancerClass=name))
    assert claim_in(claims).dialect == dialect


@pytest.mark.parametrize(
    ("annotation", "dialect"),
    [
        ("ako.vmware.com/enable-shared-vip", "ako"),
        ("aviinfrasetting.ako.vmware.com/name", "ako"),
        ("kube-vip.io/serviceInterface", "kube-vip"),
        ("kube-vip.io/loadbalancerHostname", "kube-vip"),
        ("fairlead.dev/pool", "fairlead"),
        ("fairlead.dev/share", "fairlead"),
    ],
)
def test_annotations_decide_without_a_class(annotation: str, dialect: str) -> None:
    assert claim_in(claims_of(service(notes={annotation: "x"}), CCM)).dialect == dialect


@pytest.mark.parametrize("annotation", sorted(WRITTEN_BACK))
def test_what_controllers_write_back_selects_nothing(annotation: str) -> None:
    claims = claims_of(service(notes={annotation: WRITTEN_BACK[annotation]}))
    assert claim_in(claims).dialect == "fairlead"


def test_two_languages_at_once_are_ambiguous_and_both_are_named() -> None:
    notes = {"ako.vmware.com/enable-shared-vip": "k", "kube-vip.io/loadbalancerIPs": "10.0.0.1"}
    claims = claims_of(service(notes=notes))
    reason = reason_in(claims)
    assert (verdict_in(claims).state, reason.code) == (State.REJECTED, Code.AMBIGUOUS_DIALECT)
    assert all(f"{note} ({name})" in reason.message for note, name in zip(
        notes, ("ako", "kube-vip"), strict=True
    ))  # fmt: skip
    assert verdict_in(claims).ref in claims.held


def test_kube_vip_told_to_ignore_leaves_the_other_language() -> None:
    notes = {
        "ako.vmware.com/enable-shared-vip": "k",
        "kube-vip.io/loadbalancerIPs": "10.0.0.1",
        "kube-vip.io/ignore": "true",
    }
    assert claim_in(claims_of(service(notes=notes))).dialect == "ako"


@pytest.mark.parametrize(
    ("address", "dialect"),
    [
        ("10.0.0.9", "fairlead"),
        ("10.0.1.9", "kube-vip"),
        ("10.0.0.0", "fairlead"),
        ("", "fairlead"),
    ],
)
def test_a_static_address_outside_every_pool_is_kube_vips(address: str, dialect: str) -> None:
    claims = claims_of(service(loadBalancerIP=address), POOL)
    assert claim_in(claims).dialect == dialect


def test_a_new_pool_takes_its_addresses_from_kube_vip() -> None:
    assert claim_in(claims_of(service(loadBalancerIP="10.0.0.9"))).dialect == "kube-vip"


@pytest.mark.parametrize(
    "config",
    [Config(load_balancer_class_only=True), Config(load_balancer_class_legacy_handling=False)],
)
def test_kube_vip_that_demands_classes_takes_nothing_by_its_address(config: Config) -> None:
    claims = claims_of(service(loadBalancerIP="10.0.1.9"), POOL, config=config)
    assert claim_in(claims).dialect == "fairlead"


def test_the_config_map_of_vcd_in_any_namespace() -> None:
    assert claim_in(claims_of(service(), CCM)).dialect == "vcd"


@pytest.mark.parametrize("name", ["fairlead", "ako", "kube-vip"])
def test_the_default_dialect(name: str) -> None:
    config = Config(default_dialect=name)  # type: ignore[arg-type]
    assert claim_in(claims_of(service(), config=config)).dialect == name


def test_default_dialect_vcd_without_its_config_map_waits_for_it() -> None:
    claims = claims_of(service(), config=Config(default_dialect="vcd"))
    assert verdict_in(claims).state is State.PENDING
    assert "vcloud-ccm-configmap" in reason_in(claims).message


def test_a_foreign_class_is_ignored() -> None:
    claims = claims_of(service(loadBalancerClass="metallb.io/metallb"))
    assert verdict_in(claims).state is State.IGNORED
    assert reason_in(claims).code is Code.CLASS_MISMATCH
    assert "'metallb.io/metallb'" in reason_in(claims).message
    assert not claims.held


def test_a_foreign_class_with_our_sharing_key_is_left_to_the_planner() -> None:
    notes = {"ako.vmware.com/enable-shared-vip": "k"}
    claim = claim_in(claims_of(service(notes=notes, loadBalancerClass="metallb.io/metallb")))
    assert claim.foreign_class == "metallb.io/metallb"
    assert claim.group == GroupKey("ako", "shared-vip", "default", "k")
    assert claim.listeners == ()


def test_a_foreign_class_of_any_length_makes_a_short_message() -> None:
    notes = {"ako.vmware.com/enable-shared-vip": "k"}
    claim = claim_in(claims_of(service(notes=notes, loadBalancerClass="0" * 5000)))
    assert len(claim.foreign_class) < 300


def test_annotations_on_another_type_of_service_are_told() -> None:
    notes = {"ako.vmware.com/enable-shared-vip": "k"}
    claims = claims_of(service(notes=notes, type="ClusterIP"))
    assert verdict_in(claims).state is State.IGNORED
    assert reason_in(claims).code is Code.NOT_LOAD_BALANCER
    assert "ako.vmware.com/enable-shared-vip" in reason_in(claims).message


@pytest.mark.parametrize("notes", [{}, WRITTEN_BACK, {"other/note": "x"}])
def test_other_services_are_not_even_mentioned(notes: dict[str, str]) -> None:
    claims = claims_of(service(notes=notes, type="NodePort"))
    assert not claims.by_ref
    assert not claims.verdicts


@pytest.mark.parametrize("notes", [{}, {"ako.vmware.com/enable-shared-vip": "k"}])
def test_services_without_a_class_where_classes_are_demanded(notes: dict[str, str]) -> None:
    claims = claims_of(service(notes=notes), config=Config(handle_unclassed=False))
    assert verdict_in(claims).state is State.IGNORED
    assert "handleUnclassed" in reason_in(claims).message
