"""Hostile values in every field: a verdict each, never an exception, and never a flood."""

from collections.abc import Callable
from typing import Any, get_type_hints

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from fairlead.dialects.translate import translate
from fairlead.model import kube, objects
from fairlead.model.config import Config
from fairlead.model.kube import KubeObject, Metadata
from fairlead.model.verdict import State
from fairlead.model.world import Change, World

KINDS: list[type[Any]] = [
    kube.Service,
    kube.EndpointSlice,
    kube.Pod,
    kube.Node,
    kube.Namespace,
    kube.ConfigMap,
    kube.AviInfraSetting,
    objects.AddressPool,
    objects.EngineGroup,
]
ADDRESSES = [
    "10.0.0.1",
    "fd00::1",
    "0.0.0.0",
    "::",
    "::1",
    "1.2.3",
    "10.0.0.1,fd00::1",
    "300.1.1.1",
]
WORDS = [
    "",
    "a",
    "b",
    "default",
    "true",
    "LoadBalancer",
    "ClientIP",
    "Local",
    "IPv4",
    "IPv6",
    "FQDN",
    "RequireDualStack",
    "InternalIP",
    "Ready",
    "True",
    "vcloud-ccm-configmap",
    "10.0.0.0/8",
    "10.0.0.9-10.0.0.2",
    "::/0",
    "loadbalancer: {vipSubnet: 10.0.0.0/30}",
    "loadbalancer: {oneArm: {}}",
    "&a [*a]",
    '[{"podPort":80,"nodePort":1,"nodeIP":"10.0.0.1"}]',
    "[[[[",
    "fairlead.dev/vip",
    "ako.vmware.com/avi-lb",
    "kube-vip.io/kube-vip-class",
    *ADDRESSES,
]
KEYS = [
    "ako.vmware.com/enable-shared-vip",
    "ako.vmware.com/load-balancer-ip",
    "aviinfrasetting.ako.vmware.com/name",
    "kube-vip.io/loadbalancerIPs",
    "kube-vip.io/loadbalancerHostname",
    "kube-vip.io/ignore",
    "fairlead.dev/addresses",
    "fairlead.dev/pool",
    "fairlead.dev/share",
    "fairlead.dev/engine-group",
    "service.beta.kubernetes.io/load-balancer-source-ranges",
    "nodeportlocal.antrea.io",
    "kubernetes.io/service-name",
    "vcloud-ccm-config.yaml",
    "node-role.kubernetes.io/master",
    "app",
]
HOSTILE = st.one_of(
    st.sampled_from(WORDS), st.text(max_size=20), st.characters().map(lambda c: c * 5000)
)
TABLE = st.dictionaries(st.sampled_from(KEYS), HOSTILE, max_size=4)
GOOD: dict[tuple[type[Any], str], Any] = {
    (kube.ServiceSpec, "ports"): (kube.ServicePort(80, node_port=30080),),
    (kube.EndpointSlice, "ports"): (kube.EndpointPort(8080),),
    (kube.PodStatus, "conditions"): (kube.Condition("Ready", "True"),),
}
"""What half of the objects have, so that the other fields get their turn."""
LIKELY = frozenset({"ports", "selector", "endpoints", "status", "data", "spec"})
"""Fields without which nothing happens."""
LABELS = {"app": "a", "kubernetes.io/service-name": "a"}
METADATA = st.builds(
    Metadata,
    name=st.one_of(
        st.sampled_from(["a", "a", "a", "b", "vcloud-ccm-configmap"]),
        HOSTILE.filter(lambda s: 0 < len(s) < 254),
    ),
    namespace=st.sampled_from(["", "", "", "a", "kube-system"]),
    creation_timestamp=st.one_of(st.none(), HOSTILE),
    label_map=st.one_of(st.just(LABELS), st.just(LABELS), TABLE, st.none()),
    annotation_map=st.one_of(st.none(), st.none(), TABLE),
)


def structs(kind: type[Any]) -> st.SearchStrategy[Any]:
    """Instances with every field drawn from its annotation, or left at its default, so that one
    hostile value meets an otherwise good object."""
    hints = get_type_hints(kind)
    chosen = {}
    for field in msgspec.structs.fields(kind):
        drawn = st.from_type(hints[field.name])
        if (kind, field.name) == (kube.ServiceSpec, "type"):
            drawn = st.sampled_from(["LoadBalancer"] * 4 + ["ClusterIP"])
        elif (kind, field.name) in GOOD:
            drawn = st.one_of(st.just(GOOD[kind, field.name]), drawn)
        elif field.default is not msgspec.NODEFAULT and field.name not in LIKELY:
            drawn = st.integers(0, 7).flatmap(_mostly(st.just(field.default), drawn))
        chosen[field.name] = drawn
    return st.builds(kind, **chosen)


def _mostly(
    usual: st.SearchStrategy[Any], other: st.SearchStrategy[Any]
) -> Callable[[int], st.SearchStrategy[Any]]:
    return lambda dice: usual if dice else other


def register_all() -> None:
    """Let hypothesis draw text from the hostile list, and nested objects in full."""
    st.register_type_strategy(str, HOSTILE)
    st.register_type_strategy(dict, st.one_of(TABLE, st.just({"app": "a"})))
    st.register_type_strategy(int, st.sampled_from([80, 8080, 30080, 1, 65535, 0, -1, 1 << 70]))
    nested = [
        kind
        for module in (kube, objects)
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, Struct) and kind.__struct_fields__
    ]
    for kind in nested:
        st.register_type_strategy(kind, structs)
    st.register_type_strategy(Metadata, METADATA)


register_all()
OFTEN: list[type[Any]] = [kube.Service, kube.Service, kube.EndpointSlice]
OBJECTS = st.one_of([structs(kind) for kind in KINDS + OFTEN])
STEPS = st.lists(st.lists(OBJECTS, min_size=2, max_size=8), min_size=1, max_size=3)
CONFIGS = st.builds(
    Config,
    service_type=st.sampled_from(["ClusterIP", "NodePort", "NodePortLocal"]),
    default_dialect=st.sampled_from(["fairlead", "ako", "kube-vip", "vcd"]),
    handle_unclassed=st.sampled_from([True, True, True, False]),
    load_balancer_class_legacy_handling=st.booleans(),
    load_balancer_class_name=st.sampled_from(["", "a", "kube-vip.io/kube-vip-class"]),
)


@settings(max_examples=250, deadline=None)
@given(config=CONFIGS, host=st.sampled_from(["", "a"]), steps=STEPS)
def test_translate_never_raises(config: Config, host: str, steps: list[list[KubeObject]]) -> None:
    world = World(config=config, host=host)
    claims = translate(world)
    for items in steps:
        world = world.evolve([Change(item.ref, item) for item in items])
        claims = translate(world, claims)
        full = translate(world)
        assert (claims.by_ref, claims.verdicts) == (full.by_ref, full.verdicts)
    for verdict in claims.verdicts.values():
        assert verdict.state is State.SERVED or (verdict.reason and verdict.reason.message)
        told = [verdict.reason, *verdict.warnings]
        assert all(len(reason.message) < 1000 for reason in told if reason)
