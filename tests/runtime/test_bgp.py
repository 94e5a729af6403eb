"""Routed VIPs beside the other lanes: order, waiting, what is spared, and passwords."""

import asyncio
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.dialects.published import serving
from fairlead.drivers.bgp.config import parse
from fairlead.drivers.bgp.fake import FakeBgpDriver
from fairlead.model.addresses import IPAddress
from fairlead.model.config import Config
from fairlead.model.desired import BgpChanges, BgpDesired, BgpSpeaker
from fairlead.model.kube import KubeObject, Metadata, Node
from fairlead.model.objects import BGPPeer, BGPPeerSpec, SecretKey
from fairlead.model.peers import BgpPeer, BgpRoute
from fairlead.model.virtualip import (
    VirtualIP,
    VirtualIPGroup,
    VirtualIPListener,
    VirtualIPSpec,
)
from fairlead.model.world import Change, World
from fairlead.planner import compile_bgp, diff_bgp, serve
from fairlead.runtime.lanes import BgpLane
from fairlead.runtime.planes import Planes
from fairlead.runtime.secrets import mounted

from .engine import until
from .house import House

LANE = BgpLane("here")
SOME = [ip_address(f"10.40.0.{n}") for n in range(1, 5)]
SETS = st.frozensets(st.sampled_from(SOME))
ROUTES = st.dictionaries(
    st.sampled_from(SOME), st.sampled_from([BgpRoute(), BgpRoute(labels=("blue",))])
)
PEER = BgpPeer(remote=ip_address("192.0.2.250"), asn=6000, local_asn=5000)
PEERS = st.dictionaries(
    st.sampled_from(["a", "b"]),
    st.sampled_from([PEER, BgpPeer(remote=ip_network("192.0.2.0/29"), asn=1, local_asn=2)]),
)
SPEAKER = BgpSpeaker(5000, ip_address("10.0.0.1"))  # type: ignore[arg-type]
STATES = st.builds(
    lambda peers, routes: BgpDesired(SPEAKER if peers else None, peers, routes if peers else {}),
    PEERS,
    ROUTES,
)


def applied(state: BgpDesired, changes: BgpChanges) -> BgpDesired:
    peers = {**state.peers, **changes.peers}
    routes = {**state.routes, **changes.routes}
    return BgpDesired(
        changes.speaker or state.speaker,
        {key: row for key, row in peers.items() if row is not None},
        {key: row for key, row in routes.items() if row is not None},
    )


@given(STATES, STATES, STATES)
def test_combined_changes_do_what_both_do_one_after_the_other(
    a: BgpDesired, b: BgpDesired, c: BgpDesired
) -> None:
    both = applied(a, LANE.combine(diff_bgp(b, a), diff_bgp(c, b)))
    assert (both.peers, both.routes) == (c.peers, c.routes)


@given(STATES, STATES, st.none() | SETS, SETS)
def test_nothing_is_announced_before_its_listeners_and_nothing_spared_goes(
    a: BgpDesired,
    b: BgpDesired,
    listening: frozenset[IPAddress] | None,
    spared: frozenset[IPAddress],
) -> None:
    spared = spared - b.routes.keys()
    now, later = LANE.split(diff_bgp(b, a), other=listening, spared=spared)
    taken, _ = LANE.moved(now)
    assert taken <= (listening or frozenset())
    middle = applied(a, now)
    assert a.routes.keys() & spared <= middle.routes.keys()
    assert not spared or a.peers.keys() <= middle.peers.keys()
    end = applied(middle, later) if later is not None else middle
    assert {k: r for k, r in end.routes.items() if k not in spared} == b.routes
    assert {**end.peers, **b.peers} == end.peers


class RoutedHouse(House):
    """A host with a router."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.bgp = FakeBgpDriver()

    def planes(self) -> Planes:
        return Planes(self.nft, self.lan, self.bgp, close=self.close)

    @property
    def routed(self) -> list[str]:
        return sorted(map(str, self.bgp.host.locals))

    @property
    def announced(self) -> list[str]:
        return sorted(map(str, parse(self.bgp.host.bgpd.text()).networks))


SITE = """\
apiVersion: fairlead.dev/v1alpha1
kind: BGPPeer
metadata: {name: tor}
spec: {peerAsn: 6000, localAsn: 5000, address: 192.0.2.250}
---
apiVersion: fairlead.dev/v1alpha1
kind: AddressPool
metadata: {name: routed}
spec: {addresses: [10.40.0.1-10.40.0.9], announce: bgp}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {type: LoadBalancer, ports: [{port: 80, targetPort: 8080}]}
"""
ENDPOINTS = """\
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, namespace: default, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
endpoints: [{addresses: [10.244.0.9], conditions: {ready: true}}]
ports: [{name: "", port: 8080, protocol: TCP}]
"""


def test_up_announces_what_has_backends_and_withdraws_what_has_none(tmp_path: Path) -> None:
    house = RoutedHouse(tmp_path)
    house.write(SITE + ENDPOINTS)

    async def scenario() -> None:
        async with house.serving():
            await until(lambda: house.routed == ["10.40.0.1"])
            assert house.addresses == []
            assert house.refusing == ["10.40.0.1"]
            house.bgp.host.kill("bgpd")
            await until(lambda: house.announced == ["10.40.0.1"])
            house.write(SITE)
            await until(lambda: house.routed == [])
            assert house.refusing == ["10.40.0.1"]
            house.write(SITE + ENDPOINTS)
            await until(lambda: house.routed == ["10.40.0.1"])

    asyncio.run(scenario())
    assert house.code == 0
    assert house.routed == []
    assert house.refusing == []
    assert not house.bgp.host.running


def test_a_vip_that_the_host_itself_has_is_told_to_its_service(tmp_path: Path) -> None:
    house = RoutedHouse(tmp_path)
    house.bgp.host.own = {ip_address("10.40.0.1")}
    house.write(SITE + ENDPOINTS)

    def said() -> str:
        found = house.told.verdict_of.get("web")
        return found.reason.message if found and found.reason else ""

    async def scenario() -> None:
        async with house.serving():
            await until(lambda: "the host itself has this address" in said())

    asyncio.run(scenario())
    assert house.routed == []


KEY = SecretKey(name="routers", key="tor")


def test_a_password_is_read_anew_each_time(tmp_path: Path) -> None:
    (tmp_path / "routers").mkdir()
    file = tmp_path / "routers" / "tor"
    file.write_text("secret\n")
    look_up = mounted(tmp_path)
    assert look_up(KEY) == "secret"
    file.write_text("another")
    assert look_up(KEY) == "another"


@pytest.mark.parametrize(
    ("key", "why"),
    [
        (KEY, "mount Secret fairlead-system/routers there"),
        (SecretKey(name="..", key="passwd"), "cannot be a Secret"),
        (SecretKey(name="routers", key="../../shadow"), "cannot be a Secret"),
    ],
)
def test_a_password_that_cannot_be_read_says_what_to_do(
    tmp_path: Path, key: SecretKey, why: str
) -> None:
    with pytest.raises(LookupError, match=why):
        mounted(tmp_path)(key)


def test_a_password_that_is_no_text_is_no_password(tmp_path: Path) -> None:
    (tmp_path / "routers").mkdir()
    (tmp_path / "routers" / "tor").write_bytes(b"\xff\xfe")
    with pytest.raises(LookupError, match="cannot be read"):
        mounted(tmp_path)(KEY)


def test_what_is_published_says_to_whom_an_agent_announces_it() -> None:
    """From the objects of the API: what the controller wrote, and the routers."""
    group = VirtualIPGroup(dialect="ako", scope="service", name="web", namespace="default")
    listener = VirtualIPListener(protocol="TCP", port=80, service="default/web")
    spec = VirtualIPSpec(
        address="10.40.0.1",
        group=group,
        listeners=(listener,),
        home=("n1", "n2"),
        engines=2,
        announce="bgp",
        peer_labels=("blue",),
    )
    peer = BGPPeerSpec(peer_asn=6000, local_asn=5000, address="192.0.2.250", labels=("blue",))
    objects: list[KubeObject] = [
        VirtualIP(metadata=Metadata(name="10.40.0.1"), spec=spec),
        BGPPeer(metadata=Metadata(name="tor"), spec=peer),
        *(Node(metadata=Metadata(name=name)) for name in ("n1", "n2", "n3")),
    ]
    config = Config(dataplane="cluster")
    world = World(config=config).evolve(Change(one.ref, one) for one in objects)
    plan = serve(serving(world))
    for name, wanted in (("n1", True), ("n2", True), ("n3", False)):
        desired = compile_bgp(plan, name)
        assert set(desired.peers) == {"tor"}
        assert (ip_address("10.40.0.1") in desired.routes) is wanted
