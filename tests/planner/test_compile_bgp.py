"""Who announces which VIP to whom, in full and by what changed."""

from collections.abc import Mapping
from ipaddress import IPv4Address, ip_address
from typing import Any, TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st
from immutables import Map
from msgspec.structs import replace

from fairlead.model.claim import (
    Backend,
    Claim,
    Claims,
    Engine,
    EngineRule,
    InternalTier,
    ListenerClaim,
    PeerRule,
)
from fairlead.model.config import Config
from fairlead.model.desired import BgpDesired, BgpSpeaker
from fairlead.model.ledger import Ledger
from fairlead.model.names import Ref
from fairlead.model.peers import BgpPeer, BgpRoute
from fairlead.model.plan import Plan
from fairlead.model.verdict import Code
from fairlead.planner import compile_bgp, delta_bgp, diff_bgp, plan

from .make import backends, claim, planned, pool, said, world

Key = TypeVar("Key")
Row = TypeVar("Row")
TOR = PeerRule("tor", BgpPeer(remote=ip_address("192.0.2.250"), asn=6000, local_asn=5000))
ROUTED = pool("routed", "10.40.0.0/24", announce="bgp")
FIRST = IPv4Address("10.40.0.1")


def engines(*names: str, mode: str = "ActiveActive") -> Map[str, EngineRule]:
    rule = EngineRule(
        name="default",
        engines=tuple(Engine(name, node=True) for name in names),
        mode=mode,  # type: ignore[arg-type]
        min_scale=len(names) if mode == "ActiveActive" else 1,
    )
    return Map({"default": rule})


def served(*claims: Claim, **options: object) -> Plan:
    options.setdefault("peers", (TOR,))
    options.setdefault("engine_rules", engines("n1", "n2", "n3"))
    return planned(*claims, pools=(ROUTED,), **options)


def who(made: Plan) -> set[str]:
    """The engines that announce the first VIP."""
    return {name for name in ("n1", "n2", "n3") if FIRST in compile_bgp(made, name).routes}


def test_every_active_engine_announces_and_no_standby_does() -> None:
    assert who(served(claim("web"))) == {"n1", "n2", "n3"}
    one = served(claim("web"), engine_rules=engines("n1", "n2", "n3", mode="ActiveStandby"))
    assert who(one) == set(one.placement.active[next(one.vips()).key])
    assert len(who(one)) == 1


def test_without_a_backend_nobody_announces() -> None:
    assert who(served(claim("web", ListenerClaim("TCP", 80, ())))) == set()
    some = claim("web", ListenerClaim("TCP", 80, ()), ListenerClaim("TCP", 443, backends()))
    assert who(served(some)) == {"n1", "n2", "n3"}


def test_with_the_clusters_own_proxy_holding_counts() -> None:
    made = served(claim("web", ListenerClaim("TCP", 80, ())), config=Config(dataplane="cluster"))
    assert who(made) == {"n1", "n2", "n3"}


def test_policy_local_announces_where_an_endpoint_is() -> None:
    listener = ListenerClaim("TCP", 80, backends("10.244.2.1", node="n2"))
    assert who(served(claim("web", listener, local=True))) == {"n2"}


def test_another_family_is_no_backend() -> None:
    made = served(claim("web", ListenerClaim("TCP", 80, (Backend(ip_address("fd00::1"), 8080),))))
    assert who(made) == set()


def test_a_vip_for_arp_is_not_announced() -> None:
    made = planned(claim("web"), pools=(pool(),), peers=(TOR,))
    assert compile_bgp(made, "here").routes == {}
    assert compile_bgp(made, "here").peers == {"tor": TOR.peer}


def test_a_translated_vip_is_announced_while_somebody_is_behind_it() -> None:
    tier = InternalTier(pool="inner", per_listener=False)
    pools = (ROUTED, pool("inner", "10.41.0.0/28", auto_assign=False))

    def edge(listener: ListenerClaim) -> BgpDesired:
        item = claim("web", listener, internal=tier, pools=("routed",))
        return compile_bgp(planned(item, pools=pools, peers=(TOR,)), "here")

    assert set(edge(ListenerClaim("TCP", 80, backends())).routes) == {FIRST}
    assert edge(ListenerClaim("TCP", 80, ())).routes == {}


def test_labels_go_with_the_vip_and_need_a_router_that_has_one() -> None:
    blue = PeerRule("blue", replace(TOR.peer, labels=frozenset({"blue"})))
    wanted = claim("web", peer_labels=("blue", "green"))
    made = served(wanted, peers=(blue,))
    assert compile_bgp(made, "n1").routes == {FIRST: BgpRoute(labels=("blue", "green"))}
    assert not said(made, "web").warnings
    lonely = served(wanted)
    assert compile_bgp(lonely, "n1").routes == {}
    (warning,) = said(lonely, "web").warnings
    assert warning.code is Code.NOT_ANNOUNCED
    assert "blue, green" in warning.message


def test_a_router_of_the_other_family_hears_nothing() -> None:
    six = PeerRule("six", replace(TOR.peer, remote=ip_address("fd00::1")))
    made = served(claim("web"), peers=(six,))
    assert compile_bgp(made, "n1").routes == {}
    assert [one.code for one in said(made, "web").warnings] == [Code.NOT_ANNOUNCED]


def test_without_routers_there_is_no_speaker() -> None:
    assert compile_bgp(served(claim("web"), peers=()), "n1") == BgpDesired()


def test_only_the_engines_that_a_router_selects_speak_to_it() -> None:
    made = served(claim("web"), peers=(TOR._replace(engines=frozenset({"n2"})),))
    assert who(made) == {"n2"}
    assert compile_bgp(made, "n1") == BgpDesired()


def test_a_router_of_an_own_as_decides_the_speakers() -> None:
    inner = PeerRule("zz", BgpPeer(remote=ip_address("192.0.2.9"), asn=64999, local_asn=64999))
    node = Ref("Node", "", "n1")
    own = {ip_address(text): node for text in ("192.0.2.7", "192.0.2.3", "fd00::7")}
    made = served(claim("web"), peers=(TOR, inner), node_addresses=Map(own))
    assert compile_bgp(made, "n1").speaker == BgpSpeaker(64999, IPv4Address("192.0.2.3"))
    alone = compile_bgp(served(claim("web")), "n1").speaker
    assert alone is not None
    assert alone.asn == 5000
    assert alone != compile_bgp(served(claim("web")), "n2").speaker


CLAIM = st.builds(
    lambda name, healthy, labels: claim(
        name,
        ListenerClaim("TCP", 80, backends() if healthy else ()),
        peer_labels=labels,
    ),
    st.sampled_from(["a", "b", "c", "d"]),
    st.booleans(),
    st.sampled_from([(), ("blue",), ("green",)]),
)
STATE = st.tuples(
    st.lists(CLAIM, max_size=4, unique_by=lambda one: one.ref),
    st.sampled_from(
        [(), (TOR,), (TOR, PeerRule("b", replace(TOR.peer, labels=frozenset("blue"))))]
    ),
    st.integers(1, 3),
)


@settings(max_examples=150, deadline=None)
@given(history=st.lists(STATE, min_size=1, max_size=5))
def test_what_changed_leads_where_everything_leads(
    history: list[tuple[list[Claim], tuple[PeerRule, ...], int]],
) -> None:
    before: Plan | None = None
    states = {name: BgpDesired() for name in ("n1", "n2")}
    for number, (claims, peers, size) in enumerate(history):
        options: dict[str, Any] = {
            "peers": peers,
            "engine_rules": engines(*(f"n{n + 1}" for n in range(size))),
        }
        now = world(*claims, pools=(ROUTED,), revision=number, **options)
        made = _next(now, before)
        for name, state in states.items():
            if before is None:
                changes = diff_bgp(compile_bgp(made, name), state)
            else:
                changes = delta_bgp(before, made, name)
            states[name] = BgpDesired(
                changes.speaker or state.speaker,
                _applied(state.peers, changes.peers),
                _applied(state.routes, changes.routes),
            )
            whole = compile_bgp(made, name)
            assert states[name].peers == whole.peers
            assert states[name].routes == whole.routes
            assert not whole.peers or states[name].speaker == whole.speaker
        before = made


def _next(now: Claims, before: Plan | None) -> Plan:
    if before is None:
        return plan(now, Ledger())
    old = before.claims
    refs = {*old.by_ref, *now.by_ref}
    touched = frozenset(ref for ref in refs if old.by_ref.get(ref) != now.by_ref.get(ref))
    rules = old.engine_rules if old.engine_rules == now.engine_rules else now.engine_rules
    peers = old.peers if old.peers == now.peers else now.peers
    claims = replace(
        now,
        base=old.revision,
        touched=touched,
        engine_rules=rules,
        peers=peers,
        node_addresses=old.node_addresses,
    )
    return plan(claims, before.ledger, before)


def _applied(state: Mapping[Key, Row], changes: Mapping[Key, Row | None]) -> dict[Key, Row]:
    return {key: row for key, row in {**state, **changes}.items() if row is not None}
