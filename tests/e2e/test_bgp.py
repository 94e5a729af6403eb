"""`enableRhi`, whole: manifests on three engines, and a real router that spreads the load.

The router is configured as AKO's users configure theirs. A client behind it uses the VIP while
engines come, go and lose their backends.
"""

import shutil
from collections import Counter
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from fairlead.drivers.bgp import owner
from fairlead.lab import Hosts, Topology
from fairlead.lab.ecmp import Flows, Resilient, spread_by_ports
from fairlead.lab.rhi import INTERFACES, PATIENT, ROUTER, engine_address, route_health
from fairlead.lab.router import Router, from_cisco

from .asking import User
from .manifests import Manifest, node, pod, port, service
from .serving import Up, becomes, until

pytestmark = pytest.mark.root

VIP = "10.10.16.224"
SETTING = "aviinfrasetting.ako.vmware.com/name"
KEPT = "10.10.16.225"
"""What the router sends by a resilient group of next hops."""
ENGINES_WANTED = "fairlead.dev/engines"
ENGINES = ("engine-1", "engine-2", "engine-3")


@pytest.fixture(scope="module")
def topology() -> Topology:
    return route_health(pods=2)


@pytest.fixture(scope="module")
def router(lab: Hosts) -> Iterator[Router]:
    with Router(lab["router"], from_cisco(PATIENT, interfaces=INTERFACES)) as started:
        yield started


@pytest.fixture
def ups(lab: Hosts, router: Router, tmp_path: Path) -> Iterator[list[Up]]:
    """`fairlead up` on each engine, on one folder of manifests, not started yet."""
    first = Up(lab[ENGINES[0]], tmp_path)
    made = [first, *(Up(lab[name], tmp_path, first.folder) for name in ENGINES[1:])]
    yield made
    for one in made:
        print(one.said())
        if one.process is not None and one.process.poll() is None:
            one.stop()
        one.end()
        shutil.rmtree(one.host.call(owner.home), ignore_errors=True)


def kind(name: str, version: str, spec: dict[str, Any], **more: Any) -> Manifest:
    api, _, what = version.rpartition("/")
    return {"apiVersion": api, "kind": what, "metadata": {"name": name, **more}, "spec": spec}


def site(scale: int) -> list[Manifest]:
    """The network, the engines and the router; a VIP is on so many engines."""
    engines, labels = list(enumerate(ENGINES, 1)), {"se": "true"}
    group = {
        "nodeSelector": {"matchLabels": labels},
        "seGroups": ["SE-Group-AKO-CRITICAL"],
        "mode": "ActiveActive",
        "minScale": scale,
    }
    pool = {"addresses": [f"{VIP}-10.10.16.230"], "networks": ["REGA_EXT_UPLINKB_3016"]}
    setting = {
        "seGroup": {"name": "SE-Group-AKO-CRITICAL"},
        "network": {"enableRhi": True, "names": ["REGA_EXT_UPLINKB_3016"]},
    }
    peer = {"peerAsn": 6000, "localAsn": 5000, "address": ROUTER}
    own = "fairlead.dev/v1alpha1"
    return [
        kind("uplink", f"{own}/AddressPool", pool),
        kind("critical", f"{own}/EngineGroup", group),
        kind("csr1000v", f"{own}/BGPPeer", peer),
        kind("critical.infra", "ako.vmware.com/v1alpha1/AviInfraSetting", setting),
        *(node(name, engine_address(number), labels=labels) for number, name in engines),
    ]


def hello(name: str = "hello", *, engines: int = 0) -> Manifest:
    """A Service; `engines`: as `fairlead scale` says to write it."""
    notes = {SETTING: "critical.infra"} | ({ENGINES_WANTED: str(engines)} if engines else {})
    return service(name, port(80), app="hello", annotations=notes)


def paths(router: Router, vip: str = VIP) -> set[str]:
    return router.next_hops(f"{vip}/32")


ALL = frozenset(engine_address(number) for number in range(1, len(ENGINES) + 1))


def via(*numbers: int) -> set[str]:
    return set(map(engine_address, numbers))


def test_an_ecmp_group_grows_and_shrinks(ups: list[Up], lab: Hosts, router: Router) -> None:
    """1 -> 2 -> 3 next hops by the scale of the engine group, and back; clients are served all the
    time, by all pods."""
    user = User(lab["client"])
    folder = ups[0].folder
    folder.put("pods", pod(lab["pod-a"], "hello"), pod(lab["pod-b"], "hello"))
    folder.put("hello", hello())
    folder.put("site", *site(1))
    for one in ups:
        one.start()
    until("one next hop", lambda: paths(router), lambda seen: len(seen) == 1)
    assert ups[0].entry("hello").reason == ""  # type: ignore[union-attr]
    becomes("pod", lambda: user.tcp(VIP)[:3])
    for scale in (2, 3, 2):
        folder.put("site", *site(scale))
        until(f"{scale} next hops", lambda: paths(router), lambda seen, n=scale: len(seen) == n)  # type: ignore[misc]
        answers = Counter(user.tcp(VIP) for _ in range(24))
        assert set(answers) == {"pod-a", "pod-b"}, answers
    assert all(VIP not in one.held() for one in ups)


def test_a_vip_is_scaled_out_and_in_and_most_flows_stay(
    ups: list[Up], lab: Hosts, router: Router, capsys: pytest.CaptureFixture[str]
) -> None:
    """1 -> 2 -> 3 -> 2 engines, as `fairlead scale vip/NAME` asks for them. Flows that the router
    sends to another engine end at once, by a reset; with a resilient group only those of an engine
    that goes. (Linux keeps no account of a group of one, so from one to two engines it is none.)"""
    folder = ups[0].folder
    folder.put("pods", pod(lab["pod-a"], "hello"))
    folder.put("site", *site(1))
    folder.put("hello", hello(engines=1), hello("kept", engines=1))
    for one in ups:
        one.start()
    until("one next hop", lambda: paths(router), lambda seen: len(seen) == 1)
    until("one next hop", lambda: paths(router, KEPT), lambda seen: len(seen) == 1)
    spread_by_ports(router.host)
    resilient = Resilient(router.host, KEPT)
    resilient.follow(paths(router, KEPT))
    said = []
    try:
        client = lab["client"]
        for vip in (VIP, KEPT):
            becomes("pod-a", User(client).tcp, vip)
        with Flows(client, VIP, count=40) as plain, Flows(client, KEPT, count=40) as kept:
            for scale in (2, 3, 2):
                before = kept.engines()
                folder.put("hello", hello(engines=scale), hello("kept", engines=scale))
                for vip in (VIP, KEPT):
                    until("hops", lambda: learned(router, vip), lambda seen: len(seen) == scale)  # noqa: B023
                hops = learned(router, KEPT)
                resilient.follow(hops)
                assert set(resilient.shares()) == hops
                became = plain.ask(), kept.ask()
                said.append(f"{scale} engines: {became[0].stayed:.0%}, {became[1].stayed:.0%}")
                assert not became[0].silent + became[1].silent, "a flow hangs"
                if len(before) > 1:
                    assert became[1].reset.keys() <= {pod_side(h) for h in ALL - hops}, (
                        "it need not"
                    )
                plain.refill()
                kept.refill()
            assert len(plain.engines()) == len(kept.engines()) == 2
    finally:
        resilient.remove()
        with capsys.disabled():
            print("", *said, sep="\n  ")


def learned(router: Router, vip: str) -> set[str]:
    """The next hops by BGP, whatever is installed beside."""
    (routes,) = router.show(f"ip route {vip}/32").values()
    return {hop["ip"] for one in routes if one["protocol"] == "bgp" for hop in one["nexthops"]}


def pod_side(engine: str) -> str:
    """The address by which pods see an engine."""
    return f"10.244.0.{1 + int(ip_address(engine)) - int(ip_address(engine_address(1)))}"


def test_an_engine_without_backends_withdraws(ups: list[Up], lab: Hosts, router: Router) -> None:
    folder = ups[0].folder
    folder.put("pods", pod(lab["pod-a"], "hello"))
    folder.put("hello", hello())
    folder.put("site", *site(3))
    for one in ups:
        one.start()
    until("three next hops", lambda: paths(router), lambda seen: seen == via(1, 2, 3))
    folder.put("pods")
    until("none", lambda: paths(router), lambda seen: seen == set())
    becomes("Served NoReadyBackend", ups[0].verdict, "hello")
    folder.put("pods", pod(lab["pod-b"], "hello"))
    until("three again", lambda: paths(router), lambda seen: seen == via(1, 2, 3))
    becomes("pod-b", User(lab["client"]).tcp, VIP)


def test_a_stopped_engine_leaves_without_a_lost_connection(
    ups: list[Up], lab: Hosts, router: Router
) -> None:
    """A planned drain: routers hear of it before anything else goes."""
    user = User(lab["client"])
    folder = ups[0].folder
    folder.put("pods", pod(lab["pod-a"], "hello"))
    folder.put("hello", hello())
    folder.put("site", *site(3))
    for one in ups:
        one.start()
    until("three next hops", lambda: paths(router), lambda seen: seen == via(1, 2, 3))
    becomes("pod-a", user.tcp, VIP)
    third = ups[2].process
    assert third is not None
    third.terminate()
    answers: Counter[str] = Counter()
    while third.poll() is None or sum(answers.values()) < 60:
        answers[user.tcp(VIP)] += 1
    assert set(answers) == {"pod-a"}, answers
    assert paths(router) == via(1, 2)
    ups[1].kill()  # not a planned one: its FRR goes on, and so does the traffic
    answers = Counter(user.tcp(VIP) for _ in range(20))
    assert set(answers) == {"pod-a"}, answers
    assert paths(router) == via(1, 2)
    ups[1].start()
    assert paths(router) == via(1, 2)


def test_without_a_router_it_says_so(ups: list[Up], lab: Hosts, router: Router) -> None:
    folder = ups[0].folder
    folder.put("pods", pod(lab["pod-a"], "hello"))
    folder.put("hello", hello())
    parts = [one for one in site(1) if one["kind"] != "BGPPeer"]
    folder.put("site", *parts)
    ups[0].start()
    becomes("Served NotAnnounced", ups[0].verdict, "hello")
    assert paths(router) == set()
    folder.put("site", *site(1))
    becomes("Served", ups[0].verdict, "hello")
