"""`enableRhi`, whole: manifests on three engines, and a real router that spreads the load.

The router is configured as AKO's users configure theirs. A client behind it uses the VIP while
engines come, go and lose their backends.
"""

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fairlead.drivers.bgp import owner
from fairlead.lab import Hosts, Topology
from fairlead.lab.rhi import INTERFACES, PATIENT, ROUTER, engine_address, route_health
from fairlead.lab.router import Router, from_cisco

from .asking import User
from .manifests import Manifest, node, pod, port, service
from .serving import Up, becomes, until

pytestmark = pytest.mark.root

VIP = "10.10.16.224"
SETTING = "aviinfrasetting.ako.vmware.com/name"
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


def hello() -> Manifest:
    return service("hello", port(80), app="hello", annotations={SETTING: "critical.infra"})


def paths(router: Router) -> set[str]:
    return router.next_hops(f"{VIP}/32")


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
