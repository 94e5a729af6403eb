"""What the incremental translation promises: the result of the full one, and little touched."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.dialects.translate import translate
from fairlead.dialects.translated import Translated
from fairlead.model.claim import Claims
from fairlead.model.config import Config
from fairlead.model.dhcp import LeaseKey
from fairlead.model.kube import KubeObject
from fairlead.model.names import GroupKey, Ref
from fairlead.model.verdict import Code, Reason
from fairlead.model.world import JOURNAL, Change, World
from tests.dialects.make import decoded, service_ref, world_of

BROKEN = Reason(Code.INVALID_OBJECT, "spec cannot be read.")
NAMES = st.sampled_from(["a", "b", "c"])
SPACES = st.sampled_from(["default", "shop"])
LABELS = st.dictionaries(st.sampled_from(["app", "x"]), st.sampled_from(["1", "2"]), max_size=2)
READY = st.sampled_from(["True", "False"])


def meta(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, **more}


NOTES = st.dictionaries(
    st.sampled_from(
        [
            "ako.vmware.com/enable-shared-vip",
            "aviinfrasetting.ako.vmware.com/name",
            "kube-vip.io/loadbalancerIPs",
            "kube-vip.io/ignore",
            "kube-vip.io/macvlanName",
            "fairlead.dev/engine-group",
            "nodeportlocal.antrea.io",
        ]
    ),
    st.sampled_from(
        [
            "a",
            "true",
            "10.0.0.1",
            "0.0.0.0",
            '[{"podPort":80,"nodeIP":"10.9.0.1","nodePort":61000}]',
        ]
    ),
    max_size=2,
)
SERVICE = st.builds(
    lambda name, ns, notes, spec: {
        "kind": "Service",
        "metadata": meta(name, namespace=ns, annotations=notes),
        "spec": spec,
    },
    NAMES,
    SPACES,
    NOTES,
    st.fixed_dictionaries(
        {
            "type": st.sampled_from(["LoadBalancer", "LoadBalancer", "ClusterIP"]),
            "ports": st.sampled_from([[{"port": 80, "nodePort": 30080}], [{"port": 80}], []]),
            "selector": LABELS,
            "externalTrafficPolicy": st.sampled_from(["Local", "Cluster", "odd"]),
            "loadBalancerIP": st.sampled_from(["", "10.0.0.5", "10.0.9.5", "0.0.0.0", "bad"]),
            "loadBalancerClass": st.sampled_from([None, None, "other", "ako.vmware.com/avi-lb"]),
        }
    ),
)
SLICE = st.builds(
    lambda name, ns, owner, address: {
        "kind": "EndpointSlice",
        "metadata": meta(name, namespace=ns, labels={"kubernetes.io/service-name": owner}),
        "endpoints": [{"addresses": [address], "nodeName": "a"}],
        "ports": [{"port": 8080}],
    },
    NAMES,
    SPACES,
    NAMES,
    st.sampled_from(["10.244.0.1", "10.244.0.2", "bad"]),
)
POD = st.builds(
    lambda name, ns, labels, notes, ready: {
        "kind": "Pod",
        "metadata": meta(name, namespace=ns, labels=labels, annotations=notes),
        "spec": {"nodeName": name},
        "status": {"podIP": "10.244.1.1", "conditions": [{"type": "Ready", "status": ready}]},
    },
    NAMES,
    SPACES,
    LABELS,
    NOTES,
    READY,
)
NODE = st.builds(
    lambda name, labels, address, ready, cordoned: {
        "kind": "Node",
        "metadata": meta(name, labels=labels),
        "spec": {"unschedulable": cordoned},
        "status": {
            "addresses": [{"type": "InternalIP", "address": address}],
            "conditions": [{"type": "Ready", "status": ready}],
        },
    },
    NAMES,
    LABELS,
    st.sampled_from(["10.9.0.1", "10.9.0.2", "bad"]),
    READY,
    st.booleans(),
)
NAMESPACE = st.builds(
    lambda name, labels, notes: {
        "kind": "Namespace",
        "metadata": meta(name, labels=labels, annotations=notes),
    },
    SPACES,
    LABELS,
    NOTES,
)
SETTING = st.builds(
    lambda name, spec: {"kind": "AviInfraSetting", "metadata": meta(name), "spec": spec},
    NAMES,
    st.sampled_from([{}, {"seGroup": {"name": "se"}}, {"network": {"names": ["n", "m"]}}]),
)
POOL = st.builds(
    lambda name, entry, priority: {
        "kind": "AddressPool",
        "metadata": meta(name),
        "spec": {"addresses": [entry], "priority": priority},
    },
    NAMES,
    st.sampled_from(["10.0.0.0/24", "10.0.0.0/16", "bad"]),
    st.integers(0, 1),
)
GROUP = st.builds(
    lambda name, labels, aliases: {
        "kind": "EngineGroup",
        "metadata": meta(name),
        "spec": {"nodeSelector": {"matchLabels": labels}, "seGroups": aliases},
    },
    NAMES,
    LABELS,
    st.sampled_from([[], ["se"], ["a"]]),
)
KEYS = [GroupKey("kube-vip", "dhcp", "default", "a"), GroupKey("kube-vip", "macvlan", "", "a")]
LEASE = st.builds(
    lambda key, family, state, address: {
        "kind": "AddressLease",
        "metadata": meta(LeaseKey(key, 4 if family == "IPv4" else 6).name),
        "spec": {
            "group": {f: v for f, v in key._asdict().items() if v},
            "family": family,
            "mac": "02:00:00:00:00:01",
        },
        "status": {"state": state, "address": address},
    },
    st.sampled_from(KEYS),
    st.sampled_from(["IPv4", "IPv6"]),
    st.sampled_from(["Bound", "Bound", "Lost"]),
    st.sampled_from(["10.0.0.7", "10.0.0.8", "fd00::7", "bad"]),
)
CONFIG_MAP = st.builds(
    lambda name, ns, text: {
        "kind": "ConfigMap",
        "metadata": meta(name, namespace=ns),
        "data": {"vcloud-ccm-config.yaml": text},
    },
    st.sampled_from(["vcloud-ccm-configmap", "other"]),
    SPACES,
    st.sampled_from(["", "[", "loadbalancer: {vipSubnet: 192.0.2.0/28}"]),
)
OBJECT = st.one_of(
    SERVICE, SERVICE, SLICE, POD, NODE, NAMESPACE, SETTING, POOL, GROUP, CONFIG_MAP, LEASE
).map(decoded)


def edits_of(item: KubeObject, what: str) -> Change:
    match what:
        case "put":
            return Change(item.ref, item)
        case "break":
            return Change(item.ref, None, BROKEN)
    return Change(item.ref, None)


EDIT = st.builds(edits_of, OBJECT, st.sampled_from(["put", "put", "put", "delete", "break"]))
CONFIGS = st.sampled_from(
    [
        Config(),
        Config(service_type="NodePort"),
        Config(service_type="NodePortLocal", default_dialect="ako"),
        Config(load_balancer_class_legacy_handling=False),
    ]
)
STEPS = st.lists(st.lists(EDIT, min_size=1, max_size=4), min_size=1, max_size=8)


def assert_same(one: Claims, other: Claims) -> None:
    """Every field but those that say where a translation came from."""
    for field in Translated.__struct_fields__:
        if field not in ("base", "touched"):
            assert getattr(one, field) == getattr(other, field), field


def differing(one: Claims, other: Claims) -> set[Ref]:
    """The objects about which two translations say something else."""
    refs = {*one.by_ref, *one.verdicts, *one.held, *other.by_ref, *other.verdicts, *other.held}
    return {
        ref
        for ref in refs
        if one.by_ref.get(ref) != other.by_ref.get(ref)
        or one.verdicts.get(ref) != other.verdicts.get(ref)
        or (ref in one.held) != (ref in other.held)
    }


@settings(max_examples=300, deadline=None)
@given(config=CONFIGS, host=st.sampled_from(["", "a"]), steps=STEPS)
def test_incremental_is_full(config: Config, host: str, steps: list[list[Change]]) -> None:
    world = World(config=config, host=host)
    claims = translate(world)
    for step in steps:
        world = world.evolve(step)
        before, claims = claims, translate(world, claims)
        assert_same(claims, translate(world))
        assert claims.base == before.revision
        assert set(claims.touched or ()) == differing(before, claims)
        assert all(
            claims.by_ref[ref] is before.by_ref[ref]
            for ref in claims.by_ref
            if ref in before.by_ref and ref not in (claims.touched or ())
        )


@settings(max_examples=100, deadline=None)
@given(config=CONFIGS, steps=STEPS)
def test_several_steps_at_once_are_the_same(config: Config, steps: list[list[Change]]) -> None:
    first = World(config=config)
    last = first
    for step in steps:
        last = last.evolve(step)
    assert_same(translate(last, translate(first)), translate(last))


@settings(max_examples=100, deadline=None)
@given(items=st.lists(OBJECT, max_size=12), seed=st.randoms(use_true_random=False))
def test_the_order_of_objects_does_not_matter(items: list[KubeObject], seed: Any) -> None:
    unique = list({item.ref: item for item in items}.values())
    one = translate(world_of(*unique))
    seed.shuffle(unique)
    assert_same(
        msgspec.structs.replace(one, world=World()),
        msgspec.structs.replace(translate(world_of(*unique)), world=World()),
    )


def web(**spec: Any) -> KubeObject:
    spec = {"type": "LoadBalancer", "ports": [{"port": 80}], **spec}
    return decoded({"kind": "Service", "metadata": meta("web"), "spec": spec})


def put(world: World, *items: KubeObject) -> World:
    return world.evolve([Change(item.ref, item) for item in items])


def test_behind_the_journal_everything_is_read_and_only_differences_are_touched() -> None:
    world = world_of(web())
    before = translate(world)
    for number in range(JOURNAL + 2):
        world = put(world, web(loadBalancerIP=f"10.0.{number % 7}.1"))
    assert world.touched_since(before.revision) is None
    after = translate(world, before)
    assert after.touched == frozenset({service_ref("web")})
    assert after.base == before.revision
    assert_same(after, translate(world))


def test_a_new_configuration_is_followed() -> None:
    world = world_of(web())
    changed = msgspec.structs.replace(world, config=Config(default_dialect="ako"))
    after = translate(changed, translate(world))
    assert [claim.dialect for (claim,) in after.by_ref.values()] == ["ako"]
    assert after.touched == frozenset({service_ref("web")})


def test_nothing_changed_touches_nothing() -> None:
    before = translate(world_of(web()))
    after = translate(world_of(web()), before)
    assert after.touched == frozenset()
    assert after.by_ref is before.by_ref


def test_claims_made_by_somebody_else_are_no_start() -> None:
    world = world_of(web())
    assert translate(world, Claims(revision=world.revision)).touched is None


HEARTBEAT = {"type": "MemoryPressure", "status": "False"}


@pytest.mark.parametrize("mode", ["ClusterIP", "NodePort"])
def test_a_heartbeat_of_a_node_shares_every_table(mode: str) -> None:
    def node(*conditions: dict[str, str]) -> KubeObject:
        status = {
            "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
            "conditions": [{"type": "Ready", "status": "True"}, *conditions],
        }
        return decoded({"kind": "Node", "metadata": meta("n1"), "status": status})

    config = Config(service_type=mode, default_dialect="ako")  # type: ignore[arg-type]
    world = world_of(web(ports=[{"port": 80, "nodePort": 30080}]), node(), config=config)
    before = translate(world)
    after = translate(put(world, node(HEARTBEAT)), before)
    assert after.touched == frozenset()
    assert after.engine_rules is before.engine_rules
    assert after.node_addresses is before.node_addresses
