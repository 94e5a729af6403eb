"""What an agent reads in VirtualIPs: VIPs with backends, whatever nonsense lies beside them."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.dialects.published import serving
from fairlead.dialects.published.draft import Published
from fairlead.model.addresses import canonical
from fairlead.model.claim import DEFAULT_ENGINES, Backend
from fairlead.model.config import Config
from fairlead.model.kube import KubeObject
from fairlead.model.names import GroupKey, Ref
from fairlead.model.plan import Listener
from fairlead.model.served import Served, ServedVip
from fairlead.model.verdict import Code, Reason, State
from fairlead.model.world import Change
from tests.dialects.make import decoded, service, world_of
from tests.dialects.published import (
    endpoint,
    engine_group,
    listener,
    node,
    slices,
    virtual_ip,
)

WEB = GroupKey("fairlead", "service", "default", "web")
CLUSTER = Config(dataplane="cluster")


def vips(*items: KubeObject, config: Config | None = None) -> list[ServedVip]:
    """The VIPs of the group ``web``."""
    return in_group(serving(world_of(*items, config=config)))


def in_group(served: Served, key: GroupKey = WEB) -> list[ServedVip]:
    outcome = served.outcomes.get(key)
    found = outcome.vips if outcome else ()
    assert all(isinstance(vip, ServedVip) for vip in found)
    return list(found)  # type: ignore[arg-type]


def only(*items: KubeObject, config: Config | None = None) -> ServedVip:
    (vip,) = vips(*items, config=config)
    return vip


ANYWHERE = {"anywhere"}


def places(*items: KubeObject, config: Config) -> set[str]:
    """The nodes that a VIP is confined to."""
    nodes = only(*items, config=config).nodes
    return ANYWHERE if nodes is None else set(nodes)


def listens(vip: ServedVip, port: int = 80) -> Listener:
    (found,) = [entry for entry in vip.listeners if entry.port == port]
    return found


def behind(vip: ServedVip, port: int = 80) -> list[str]:
    return [f"{b.address}:{b.port}@{b.node}" for b in listens(vip, port).backends]


def said(served: Served, name: str) -> Reason | None:
    """What is said first of a VirtualIP."""
    verdict = served.verdicts.get(Ref("VirtualIP", "", name))
    if verdict is None:
        return None
    return verdict.reason or verdict.warnings[0]


def test_backends_are_joined_from_slices() -> None:
    vip = only(
        virtual_ip("192.0.2.10", listener(), home=["n1"], members=["Service/a/b"]),
        service("web"),
        slices("web", endpoint("10.0.0.1"), endpoint("10.0.0.2", "n2")),
    )
    assert behind(vip) == ["10.0.0.1:8080@n1", "10.0.0.2:8080@n2"]
    assert vip.home == ("n1",)
    assert vip.members == (Ref("Service", "a", "b"),)
    assert vip.nodes is None


def test_two_addresses_of_a_group_are_one_vip_and_ipv4_leads() -> None:
    vip = only(
        virtual_ip("fd00::10", listener(443), home=["n2"]),
        virtual_ip("192.0.2.10", listener(80), home=["n1"]),
        service("web", ports=[{"name": "a", "port": 80}, {"name": "b", "port": 443}]),
    )
    assert list(map(canonical, vip.addresses)) == ["192.0.2.10", "fd00::10"]
    assert vip.home == ("n1",)
    assert [entry.port for entry in vip.listeners] == [80, 443]


def test_internal_addresses_are_behind_the_translations() -> None:
    step = {"protocol": "TCP", "port": 80, "internal": "192.168.8.2"}
    nowhere = {"protocol": "TCP", "port": 81, "internal": "192.168.8.2"}
    world = world_of(
        virtual_ip("192.0.2.10", translations=[step, nowhere], role="edge"),
        virtual_ip("192.168.8.2", listener(), slot="internal"),
        service("web"),
    )
    served = serving(world)
    outer, inner = in_group(served)
    assert outer.role == "edge"
    assert [(t.port, canonical(t.internal)) for t in outer.translations] == [(80, "192.168.8.2")]
    assert (inner.slot, inner.role) == ("internal", "engine")
    reason = said(served, "192.0.2.10")
    assert reason is not None
    assert "no listener 81/TCP" in reason.message


@pytest.mark.parametrize("how", [{"reserve": True}, {"suspended": True}, {"released": "2025"}])
def test_what_nobody_serves_is_not_served(how: dict[str, Any]) -> None:
    served = serving(world_of(virtual_ip("192.0.2.10", listener(), **how), service("web")))
    assert not served.outcomes
    assert not served.verdicts


@pytest.mark.parametrize(
    ("address", "name", "why"),
    [
        ("192.0.2.010", "x", "not an IP address"),
        ("nonsense", "x", "not an IP address"),
        ("127.0.0.1", "127.0.0.1", "loopback"),
        ("224.0.0.1", "224.0.0.1", "multicast"),
        ("fe80::1", "fe80-0-0-0-0-0-0-1", "link-local"),
        ("0.0.0.0", "0.0.0.0", "unspecified"),
        ("192.0.2.10", "192.0.2.11", "not the name of its address"),
        ("fd00::10", "fd00--10", "not the name of its address"),
    ],
)
def test_what_cannot_be_an_address_is_passed_over(address: str, name: str, why: str) -> None:
    good = virtual_ip("192.0.2.20", listener(), group="good")
    served = serving(world_of(virtual_ip(address, listener(), name=name), good))
    assert list(served.outcomes) == [WEB._replace(name="good")]
    reason = said(served, name)
    assert reason is not None
    assert why in reason.message


def test_an_unknown_service_leaves_a_listener_that_refuses() -> None:
    served = serving(world_of(virtual_ip("192.0.2.10", listener(), listener(81, "a/b/c"))))
    (vip,) = in_group(served)
    assert behind(vip) == behind(vip, 81) == []
    reason = said(served, "192.0.2.10")
    assert reason is not None
    assert reason.code in (Code.NO_READY_BACKEND, Code.INVALID_OBJECT)


def test_a_port_that_the_service_does_not_have_refuses() -> None:
    vip = only(
        virtual_ip("192.0.2.10", listener(80), listener(81)),
        service("web"),
        slices("web", endpoint("10.0.0.1")),
    )
    assert behind(vip)
    assert behind(vip, 81) == []


def test_source_ranges_never_open_by_mistake() -> None:
    world = world_of(
        virtual_ip(
            "192.0.2.10",
            listener(80, sourceRanges=["10.0.0.0/8", "bad"]),
            listener(81, sourceRanges=["bad"]),
        ),
        service("web", ports=[{"name": "a", "port": 80}, {"name": "b", "port": 81}]),
        slices("web", endpoint("10.0.0.1")),
    )
    (vip,) = in_group(serving(world))
    assert [str(r) for r in listens(vip).source_ranges] == ["10.0.0.0/8"]
    assert listens(vip, 81).backends == ()


def test_an_unknown_engine_group_means_the_default_engines() -> None:
    served = serving(
        world_of(virtual_ip("192.0.2.10", listener(), engineGroup="gone"), service("web"))
    )
    (vip,) = in_group(served)
    assert vip.engine_group == DEFAULT_ENGINES
    reason = said(served, "192.0.2.10")
    assert reason is not None
    assert reason.code is Code.UNKNOWN_ENGINE_GROUP


def test_backends_by_what_the_decision_says() -> None:
    n1 = decoded(
        {
            "kind": "Node",
            "metadata": {"name": "n1"},
            "status": {"addresses": [{"type": "InternalIP", "address": "10.9.0.1"}]},
        }
    )
    group = engine_group("default", nodeSelector={"matchLabels": {"x": "nobody"}})
    web = service("web", ports=[{"port": 80, "nodePort": 30080}])
    vip = only(virtual_ip("192.0.2.10", listener(via="Nodes")), web, n1, group)
    assert listens(vip).backends == (
        Backend(n1.status.addresses and vip_address("10.9.0.1"), 30080, "n1", True),  # type: ignore[attr-defined]
    )


def vip_address(text: str) -> Any:
    from fairlead.model.addresses import parse_address

    return parse_address(text)


# -- externalTrafficPolicy Local ------------------------------------------------------------------


@pytest.mark.parametrize("config", [Config(), CLUSTER], ids=["nft", "cluster"])
def test_local_members_meet_on_nodes_with_endpoints_of_all(config: Config) -> None:
    def nodes(*more: KubeObject) -> set[str]:
        return places(
            virtual_ip(
                "192.0.2.10",
                listener(80, "default/a", local=True),
                listener(81, "default/b", local=True),
                listener(82, "default/c"),
            ),
            *(service(name, ports=[{"port": p}]) for name, p in (("a", 80), ("b", 81), ("c", 82))),
            slices("c", endpoint("10.0.0.9", "n9")),
            *more,
            config=config,
        )

    a = slices("a", endpoint("10.0.0.1", "n1"), endpoint("10.0.0.2", "n2"))
    assert nodes() == ANYWHERE
    assert nodes(a) == {"n1", "n2"}
    assert nodes(a, slices("b", endpoint("10.0.0.3", "n2"))) == {"n2"}
    assert nodes(a, slices("b", endpoint("10.0.0.3", "n3"))) == {"n1", "n2"}
    assert nodes(a, slices("b", endpoint("10.0.0.3", "n2", ready=False))) == {"n1", "n2"}
    assert nodes(slices("a", endpoint("10.0.0.1", ""))) == ANYWHERE


@pytest.mark.parametrize("config", [Config(), CLUSTER], ids=["nft", "cluster"])
def test_an_endpoint_that_terminates_serves_until_there_is_another(config: Config) -> None:
    draining = endpoint("10.0.0.1", "n1", ready=False, serving=True, terminating=True)

    def nodes(*endpoints: dict[str, Any]) -> set[str]:
        wanted = virtual_ip("192.0.2.10", listener(local=True))
        return places(wanted, service("web"), slices("web", *endpoints), config=config)

    assert nodes(draining) == {"n1"}
    assert nodes(draining, endpoint("10.0.0.2", "n2")) == {"n2"}
    assert (
        nodes(endpoint("10.0.0.1", "n1", ready=False, serving=False, terminating=True)) == ANYWHERE
    )


def test_publish_not_ready_addresses() -> None:
    vip = only(
        virtual_ip("192.0.2.10", listener()),
        service("web", publishNotReadyAddresses=True),
        slices("web", endpoint("10.0.0.1", ready=False)),
    )
    assert behind(vip) == ["10.0.0.1:8080@n1"]


def test_with_the_clusters_proxy_there_are_no_backends_and_services_are_not_missed() -> None:
    world = world_of(
        virtual_ip("192.0.2.10", listener()),
        virtual_ip("192.0.2.11", listener(), group="other"),
        slices("web", endpoint("10.0.0.1")),
        config=CLUSTER,
    )
    served = serving(world)
    (one,), (other,) = in_group(served), in_group(served, WEB._replace(name="other"))
    assert listens(one).backends == ()
    assert listens(one) is listens(other)
    assert not served.verdicts


# -- incrementally --------------------------------------------------------------------------------

ADDRESSES = st.sampled_from(["192.0.2.10", "192.0.2.11", "fd00::10", "192.168.8.2", "bad"])
NAMES = st.sampled_from(["a", "b"])
FLAG = st.sampled_from([False, False, False, True])
LISTENER = st.builds(
    lambda port, name, via, local, ranges: listener(
        port, name, via=via, local=local, sourceRanges=ranges
    ),
    st.sampled_from([80, 81]),
    st.sampled_from(["default/a", "default/b", "default/none", "bad"]),
    st.sampled_from(["Pods", "Pods", "Nodes", "Workers", "NodePortLocal"]),
    FLAG,
    st.sampled_from([[], [], ["10.0.0.0/8"], ["bad"]]),
)
VIRTUAL_IP = st.builds(
    lambda address, listeners, spec: virtual_ip(
        address, *listeners, name="bad" if address == "bad" else None, **spec
    ),
    ADDRESSES,
    st.lists(LISTENER, max_size=3),
    st.fixed_dictionaries(
        {
            "group": NAMES,
            "slot": st.sampled_from(["", "", "internal"]),
            "space": st.sampled_from(["default", "default", "other"]),
            "home": st.lists(st.sampled_from(["n1", "n2"]), max_size=2),
            "engineGroup": st.sampled_from(["default", "default", "gone", "g"]),
            "suspended": FLAG,
            "reserve": FLAG,
            "translations": st.sampled_from(
                [[], [], [{"protocol": "TCP", "port": 80, "internal": "192.168.8.2"}]]
            ),
        }
    ),
)
SERVICE = st.builds(
    lambda name, port, local: service(
        name,
        ports=[{"port": port, "nodePort": 30080}],
        selector={"app": name},
        externalTrafficPolicy="Local" if local else "Cluster",
    ),
    NAMES,
    st.sampled_from([80, 81]),
    FLAG,
)
SLICE = st.builds(
    lambda name, address, on, ready, kind: slices(
        name, endpoint(address, on, ready=ready), kind=kind
    ),
    NAMES,
    st.sampled_from(["10.0.0.1", "10.0.0.2", "fd01::1"]),
    st.sampled_from(["n1", "n2", ""]),
    st.booleans(),
    st.sampled_from(["", "-2"]),
)
POD = st.builds(
    lambda name, app, on: decoded(
        {
            "kind": "Pod",
            "metadata": {
                "name": name,
                "namespace": "default",
                "labels": {"app": app},
                "annotations": {
                    "nodeportlocal.antrea.io": '[{"podPort":80,"nodeIP":"10.9.0.1","nodePort":61}]'
                },
            },
            "spec": {"nodeName": on},
            "status": {"podIP": "10.1.0.1", "conditions": [{"type": "Ready", "status": "True"}]},
        }
    ),
    NAMES,
    NAMES,
    st.sampled_from(["n1", "n2"]),
)
NODE = st.builds(
    lambda name, ready, address: decoded(
        {
            "kind": "Node",
            "metadata": {"name": name},
            "status": {
                "conditions": [{"type": "Ready", "status": ready}],
                "addresses": [{"type": "InternalIP", "address": address}],
            },
        }
    ),
    st.sampled_from(["n1", "n2"]),
    st.sampled_from(["True", "False"]),
    st.sampled_from(["10.9.0.1", "10.9.0.2"]),
)
OBJECT = st.one_of(
    VIRTUAL_IP, VIRTUAL_IP, SERVICE, SLICE, POD, NODE, st.sampled_from(["g"]).map(engine_group)
)
BROKEN = Reason(Code.INVALID_OBJECT, "cannot be read.")


def edit(item: KubeObject, what: str) -> Change:
    match what:
        case "put":
            return Change(item.ref, item)
        case "break":
            return Change(item.ref, None, BROKEN)
    return Change(item.ref, None)


EDIT = st.builds(edit, OBJECT, st.sampled_from(["put", "put", "put", "delete", "break"]))
STEPS = st.lists(st.lists(EDIT, min_size=1, max_size=3), min_size=1, max_size=8)
PORT = [{"port": 80, "nodePort": 30080}]
SITE = (
    virtual_ip("192.0.2.10", listener(service="default/a"), group="a", home=["n1"]),
    virtual_ip("fd00::10", listener(service="default/a"), group="a"),
    virtual_ip("192.0.2.11", listener(service="default/b", via="Nodes"), group="b"),
    virtual_ip("192.0.2.12", listener(service="default/a", local=True), group="c"),
    virtual_ip("192.0.2.13", listener(service="default/b", via="NodePortLocal"), group="d"),
    service("a", ports=PORT, selector={"app": "a"}),
    service("b", ports=PORT, selector={"app": "b"}),
    slices("a", endpoint("10.0.0.1", "n1")),
    node("n1"),
)
"""Something to edit: a random world would seldom fit together."""
CONFIGS = st.sampled_from([Config(), CLUSTER, Config(dataplane="none")])


def assert_same(one: Served, other: Served) -> None:
    for field in Published.__struct_fields__:
        if field not in ("base", "touched", "moved"):
            assert getattr(one, field) == getattr(other, field), field


@settings(max_examples=300, deadline=None)
@given(config=CONFIGS, steps=STEPS)
def test_incremental_is_full(config: Config, steps: list[list[Change]]) -> None:
    world = world_of(*SITE, config=config)
    served = serving(world)
    assert served.moved is None
    for step in steps:
        world = world.evolve(step)
        before, served = served, serving(world, served)
        assert_same(served, serving(world))
        assert served.base == before.revision
        keys = {*before.outcomes, *served.outcomes}
        differing = {k for k in keys if before.outcomes.get(k) != served.outcomes.get(k)}
        assert set(served.moved or ()) == differing
        refs = {*before.verdicts, *served.verdicts}
        assert set(served.touched or ()) == {
            r for r in refs if before.verdicts.get(r) != served.verdicts.get(r)
        }


@settings(max_examples=100, deadline=None)
@given(config=CONFIGS, steps=STEPS)
def test_several_steps_at_once_are_the_same(config: Config, steps: list[list[Change]]) -> None:
    first = last = world_of(*SITE, config=config)
    for step in steps:
        last = last.evolve(step)
    assert_same(serving(last, serving(first)), serving(last))


def test_another_configuration_is_followed_and_says_what_moved() -> None:
    from msgspec.structs import replace

    world = world_of(virtual_ip("192.0.2.10", listener()), service("web"))
    before = serving(world)
    after = serving(replace(world, config=CLUSTER), before)
    assert_same(after, serving(replace(world, config=CLUSTER)))
    assert after.moved == frozenset({WEB})


def test_a_heartbeat_moves_nothing() -> None:
    world = world_of(virtual_ip("192.0.2.10", listener()), service("web"), node("n1"))
    before = serving(world)
    beat = decoded(
        {
            "kind": "Node",
            "metadata": {"name": "n1"},
            "status": {
                "conditions": [
                    {"type": "Ready", "status": "True"},
                    {"type": "MemoryPressure", "status": "False"},
                ]
            },
        }
    )
    after = serving(world.evolve([Change(beat.ref, beat)]), before)
    assert after.moved == frozenset()
    assert after.engine_rules is before.engine_rules
    assert after.outcomes is before.outcomes or after.outcomes == before.outcomes


def test_an_object_that_became_unreadable_is_served_as_it_was() -> None:
    one = virtual_ip("192.0.2.10", listener())
    world = world_of(one, service("web"))
    before = serving(world)
    after = serving(world.evolve([Change(one.ref, None, BROKEN)]), before)
    assert after.outcomes == before.outcomes
    assert after.verdicts[one.ref].state is State.REJECTED
