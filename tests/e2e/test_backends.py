"""Where traffic goes behind a VIP: endpoints, nodes and node ports, and who sees whom."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from fairlead.lab import Hosts
from fairlead.lab.probe import TcpConnection

from .asking import RESET, SILENCE, UNREACHABLE, Steady, User, answer_on
from .manifests import Manifest, endpoints, node, pod, pool, port, service
from .serving import Up, becomes, until

pytestmark = pytest.mark.root

V4, V6 = "192.0.2.10", "fd00:2::10"
BOTH = (V4, V6)
POOL = pool("vips", "192.0.2.10-192.0.2.99", "fd00:2::10-fd00:2::99")
PODS = ("pod-a", "pod-b", "pod-c")
NODE_PORT = 30080


def slices(lab: Hosts, *names: str) -> list[Manifest]:
    """Both families' endpoints of Service `app`."""
    pods = [lab[name] for name in names]
    return [endpoints("app", *pods, version=version) for version in (4, 6)]


def test_endpoints_come_and_go_under_traffic(up: Up, lab: Hosts, user: User) -> None:
    ports = port(80, name="web"), port(80, "UDP", name="dns")
    up.folder.put("base", POOL, service("app", *ports, ipFamilyPolicy="RequireDualStack"))
    up.folder.put("slices", *slices(lab, *PODS))
    up.start()
    kept = {(vip, name): connection(user, vip, name) for vip in BOTH for name in PODS}
    loyal = {vip: flow(user, vip, "pod-c") for vip in BOTH}
    up.folder.put("slices", *slices(lab, "pod-a", "pod-b"))
    for vip in BOTH:
        becomes({"pod-a", "pod-b"}, user.crowd, vip)
        moved = partial(user.udp, vip, source_port=loyal[vip])
        until("the flow moves", moved, ("pod-a", "pod-b").__contains__)
    for (_, name), one in kept.items():
        assert answer_on(one) == name, "an established connection was cut or moved"
    up.folder.put("slices", *slices(lab))
    for vip in BOTH:
        becomes(RESET, user.tcp, vip)
        becomes(UNREACHABLE, user.udp, vip)
    assert up.held() == [*BOTH]
    becomes("Served NoReadyBackend", up.verdict, "app")
    up.folder.put("slices", *slices(lab, "pod-b"))
    for vip in BOTH:
        becomes("pod-b", user.tcp, vip)
        becomes("pod-b", user.udp, vip)
    for (_, name), one in kept.items():
        assert answer_on(one) == name
        one.close()


def associations(user: User, vip: str) -> set[str]:
    """Everybody who answers many INITs."""
    return {user.sctp(vip, 9000) for _ in range(20)}


def connection(user: User, vip: str, name: str) -> TcpConnection:
    """An open connection to one of the pods."""
    for _ in range(100):
        until("an answer", partial(user.tcp, vip), PODS.__contains__)
        opened = user.open(vip)
        if opened.greeting.name == name:
            return opened
        opened.close()
    raise AssertionError(f"{vip} never led to {name}")


def flow(user: User, vip: str, name: str) -> int:
    """The source port of a UDP flow to one of the pods."""
    for source in range(20000, 20100):
        if user.udp(vip, source_port=source) == name:
            return source
    raise AssertionError(f"{vip} never led to {name}")


def configured(up: Up, directory: Path, mode: str) -> None:
    """Start with one of AKO's backend modes."""
    file = directory / "fairlead.yaml"
    file.write_text(f"serviceType: {mode}\n")
    up.start("--config", str(file))


def test_node_port_mode(up: Up, lab: Hosts, user: User, tmp_path: Path) -> None:
    nodes = [node(name, lab[name].v4, lab[name].v6) for name in ("engine-1", "node-1", "node-2")]
    web = service("web", port(80, nodePort=NODE_PORT), app="a", key="k")
    web["spec"]["ipFamilyPolicy"] = "RequireDualStack"
    up.folder.put("base", POOL, *nodes[:2], web)
    up.folder.put("second", nodes[2])
    configured(up, tmp_path, "NodePort")
    for vip in BOTH:
        becomes({"node-1", "node-2"}, user.crowd, vip)
    up.folder.put("second", node("node-2"))
    for vip in BOTH:
        becomes({"node-1"}, user.crowd, vip)


def test_node_port_local_mode(up: Up, lab: Hosts, user: User, tmp_path: Path) -> None:
    def opened(name: str, on: str) -> Manifest:
        entry = {"podPort": 8080, "nodeIP": lab[on].v4, "nodePort": NODE_PORT, "protocol": "tcp"}
        notes = {"nodeportlocal.antrea.io": json.dumps([entry])}
        return pod(lab[name], "a", node=on, annotations=notes)

    up.folder.put("base", POOL, service("web", port(80), app="a", key="k"))
    up.folder.put("pod-a", opened("pod-a", "node-1"))
    up.folder.put("pod-b", opened("pod-b", "node-2"))
    configured(up, tmp_path, "NodePortLocal")
    becomes({"node-1", "node-2"}, user.crowd, V4)
    up.folder.drop("pod-a")
    becomes({"node-2"}, user.crowd, V4)


def test_affinity_and_source_ranges_follow_edits(up: Up, lab: Hosts, user: User) -> None:
    stranger = User(lab["client-2"])

    def app(**spec: Any) -> Manifest:
        return service("app", port(80), app="a", ipFamilyPolicy="RequireDualStack", **spec)

    inside = [f"{user.host.v4}/32", f"{user.host.v6}/128"]
    up.folder.put("base", POOL, *(pod(lab[name], "a") for name in PODS))
    up.folder.put("app", app(sessionAffinity="ClientIP", loadBalancerSourceRanges=inside))
    up.start()
    for vip in BOTH:
        until("an answer", partial(user.tcp, vip), PODS.__contains__)
        assert len(user.crowd(vip)) == 1
        assert stranger.tcp(vip) == SILENCE
    up.folder.put("app", app(sessionAffinity="ClientIP"))
    for vip in BOTH:
        until("let in", partial(stranger.tcp, vip), PODS.__contains__)
        assert len(stranger.crowd(vip)) == 1
    up.folder.put("app", app())
    for vip in BOTH:
        becomes({*PODS}, user.crowd, vip)


def test_who_sees_whom(up: Up, lab: Hosts, user: User) -> None:
    engine = lab["engine-1"]
    near = service("near", port(80), app="a", externalTrafficPolicy="Local")
    far = service("far", port(80), app="b")
    up.folder.put(
        "base",
        POOL,
        node("engine-1", engine.v4, engine.v6),
        node("node-1", lab["node-1"].v4),
        pod(lab["pod-a"], "a", node="engine-1"),
        pod(lab["pod-c"], "a", node="node-1"),
        pod(lab["pod-b"], "b", node="node-1"),
        {**near, "spec": {**near["spec"], "ipFamilyPolicy": "RequireDualStack"}},
        far,
    )
    up.start()
    inside = {str(one.ip) for one in engine.spec.pods}
    becomes("Served", up.verdict, "near")
    for vip, own in zip(up.addresses("near"), (user.host.v4, user.host.v6), strict=True):
        becomes({"pod-a"}, user.crowd, vip)
        assert user.seen_as(vip) == own
    (elsewhere,) = up.addresses("far")
    becomes("pod-b", user.tcp, elsewhere)
    assert user.seen_as(elsewhere) in inside, "the answer would not come back through the engine"


def test_hairpin_the_engine_itself_and_sctp(up: Up, lab: Hosts, user: User) -> None:
    ports = port(80, name="web"), port(9000, "SCTP", 9000, name="sig"), port(80, "UDP", name="dns")
    app = service("app", *ports, app="a", ipFamilyPolicy="RequireDualStack")
    up.folder.put("base", POOL, app)
    up.folder.put("pods", pod(lab["pod-a"], "a"))
    up.start()
    for vip in BOTH:
        becomes("pod-a", user.tcp, vip)
        for inside in ("pod-a", "pod-b", "engine-1"):
            assert User(lab[inside]).tcp(vip) == "pod-a", inside
            assert User(lab[inside]).udp(vip) == "pod-a", inside
        assert user.sctp(vip, 9000) == "pod-a"
        assert user.sctp(vip, 9001) == UNREACHABLE
    with Steady(user, (V4, 80), (V6, 80)):
        up.folder.put("pods", pod(lab["pod-a"], "a"), pod(lab["pod-b"], "a"))
        for vip in BOTH:
            becomes({"pod-a", "pod-b"}, associations, user, vip)
