"""Which addresses are given, kept and released."""

from ipaddress import ip_address

import pytest
from immutables import Map

from fairlead.model.claim import Claim, InternalTier
from fairlead.model.config import Config
from fairlead.model.ledger import Ledger
from fairlead.model.names import Ref
from fairlead.model.objects import Requirement, Selector
from fairlead.model.verdict import Code, State
from fairlead.planner import explain, message, plan

from .make import addresses, claim, planned, pool, ref, said, then, world

NODE = Ref("Node", "", "n1")


def test_ascending_and_released_last() -> None:
    blue = pool("blue", "192.0.2.10-192.0.2.12")
    before = planned(claim("a"), claim("b"), pools=[blue])
    assert (addresses(before, "a"), addresses(before, "b")) == (["192.0.2.10"], ["192.0.2.11"])
    without = then(before, claim("b"))
    third = then(without, claim("b"), claim("c"))
    assert addresses(third, "c") == ["192.0.2.12"], "the released one comes last"
    fourth = then(third, claim("b"), claim("c"), claim("d"))
    assert addresses(fourth, "d") == ["192.0.2.10"]


def test_without_tombstones_the_lowest_is_next() -> None:
    before = planned(claim("a"), claim("b"), config=Config(tombstones=0))
    without = then(before, claim("b"))
    assert addresses(then(without, claim("b"), claim("c")), "c") == ["192.0.2.10"]


def test_oldest_is_served_first() -> None:
    blue = pool("blue", "192.0.2.10")
    decided = planned(
        claim("a", created="2026-02-01"), claim("b", created="2026-01-01"), pools=[blue]
    )
    assert addresses(decided, "b") == ["192.0.2.10"]
    assert said(decided, "a").code is Code.POOL_EXHAUSTED


def test_exhaustion_names_pool_size_and_holders_and_heals() -> None:
    blue = pool("blue", "192.0.2.10-192.0.2.11")
    decided = planned(claim("a"), claim("b"), claim("c"), pools=[blue])
    waiting = said(decided, "c")
    assert (waiting.state, waiting.code) == (State.PENDING, Code.POOL_EXHAUSTED)
    text = message(decided, waiting.reason)  # type: ignore[arg-type]
    assert "Pool blue (2 addresses) is full" in text
    assert "default/a" in text
    healed = then(decided, claim("b"), claim("c"))
    assert addresses(healed, "c") == ["192.0.2.10"]


def test_restart_reorder_and_growth_move_nothing() -> None:
    before = planned(claim("b"), claim("c"))
    grown = pool("blue", "192.0.2.1-192.0.2.30")
    after = plan(world(claim("c"), claim("a"), claim("b"), pools=[grown]), before.ledger)
    assert addresses(after, "b") == addresses(before, "b")
    assert addresses(after, "c") == addresses(before, "c")


def test_shrinking_a_pool_moves_only_what_left_it() -> None:
    before = planned(claim("a"), claim("b"), claim("c"))
    after = then(
        before, claim("a"), claim("b"), claim("c"), pools=[pool("blue", "192.0.2.11-192.0.2.19")]
    )
    assert addresses(after, "b") == ["192.0.2.11"]
    assert addresses(after, "c") == ["192.0.2.12"]
    assert addresses(after, "a") == ["192.0.2.13"]


def test_avoid_first_and_last_of_cidrs_only() -> None:
    assert addresses(planned(claim("a"), pools=[pool("p", "192.0.2.0/30")]), "a") == ["192.0.2.1"]
    assert addresses(planned(claim("a"), pools=[pool("p", "192.0.2.0/31")]), "a") == ["192.0.2.0"]
    whole = pool("p", "192.0.2.0-192.0.2.3")
    assert addresses(planned(claim("a"), pools=[whole]), "a") == ["192.0.2.0"]
    six = pool("p", "2001:db8::/126")
    assert addresses(planned(claim("a"), pools=[six]), "a") == ["2001:db8::"]


def test_priority_then_name() -> None:
    pools = [
        pool("a", "192.0.2.1"),
        pool("b", "192.0.2.2", priority=10),
        pool("c", "192.0.2.3", auto_assign=False, priority=99),
    ]
    decided = planned(claim("x"), claim("y"), claim("z"), pools=pools)
    assert addresses(decided, "x") == ["192.0.2.2"]
    assert addresses(decided, "y") == ["192.0.2.1"]
    assert said(decided, "z").code is Code.POOL_EXHAUSTED
    named = planned(claim("x", pools=("c",)), pools=pools)
    assert addresses(named, "x") == ["192.0.2.3"]


def test_pool_by_namespace_and_labels() -> None:
    pools = [
        pool("teams", "192.0.2.1", namespaces=frozenset({"team"}), priority=9),
        pool("tier", "192.0.2.2", namespace_selector=Selector({"tier": "gold"}), priority=8),
        pool(
            "web",
            "192.0.2.3",
            service_selector=Selector(None, (Requirement("app", "In", ("web",)),)),
            priority=7,
        ),
    ]
    decided = planned(
        claim("a", namespace="team"),
        claim("b", namespace_labels={"tier": "gold"}),
        claim("c", labels={"app": "web"}),
        claim("d"),
        pools=pools,
    )
    assert addresses(decided, "a", "team") == ["192.0.2.1"]
    assert addresses(decided, "b") == ["192.0.2.2"]
    assert addresses(decided, "c") == ["192.0.2.3"]
    assert said(decided, "d").code is Code.NO_POOL


def test_static_outside_the_pools() -> None:
    ako = planned(claim("a", static=["203.0.113.1"]))
    assert (said(ako, "a").state, said(ako, "a").code) == (
        State.REJECTED,
        Code.ADDRESS_NOT_IN_POOL,
    )
    kubevip = claim("a", by_address=True, static=["203.0.113.1"])
    assert addresses(planned(kubevip), "a") == ["203.0.113.1"]
    deny = planned(kubevip, config=Config(static_outside_pools="Deny"))
    assert said(deny, "a").code is Code.ADDRESS_NOT_IN_POOL
    allow = planned(claim("a", static=["203.0.113.1"]), config=Config(static_outside_pools="Allow"))
    assert addresses(allow, "a") == ["203.0.113.1"]


def test_static_in_a_pool_that_is_closed_to_it() -> None:
    closed = pool("blue", "192.0.2.10-192.0.2.19", namespaces=frozenset({"team"}))
    decided = planned(claim("a", static=["192.0.2.11"]), pools=[closed])
    assert said(decided, "a").code is Code.ADDRESS_NOT_IN_POOL
    assert "pool blue" in said(decided, "a").reason.message  # type: ignore[union-attr]


def test_nodes_own_address_is_never_a_vip() -> None:
    nodes = Map({ip_address("192.0.2.10"): NODE})
    decided = planned(claim("a"), claim("b", static=["192.0.2.10"]), node_addresses=nodes)
    assert addresses(decided, "a") == ["192.0.2.11"]
    assert said(decided, "b").code is Code.ADDRESS_IN_USE
    assert said(decided, "b").reason.conflicts == (NODE,)  # type: ignore[union-attr]


def test_static_address_of_another_group_names_it_and_heals() -> None:
    before = planned(claim("a", static=["192.0.2.15"]), claim("b", static=["192.0.2.15"]))
    assert said(before, "a").state is State.SERVED
    assert said(before, "b").code is Code.ADDRESS_IN_USE
    assert said(before, "b").reason.conflicts == (ref("a"),)  # type: ignore[union-attr]
    assert addresses(then(before, claim("b", static=["192.0.2.15"])), "b") == ["192.0.2.15"]


def test_holder_wins_over_an_older_static_request() -> None:
    before = planned(claim("b", created="2026-02-01"))
    after = then(
        before,
        claim("b", created="2026-02-01"),
        claim("a", static=["192.0.2.10"], created="2026-01-01"),
    )
    assert addresses(after, "b") == ["192.0.2.10"]
    assert said(after, "a").code is Code.ADDRESS_IN_USE


def test_move_to_an_address_that_another_group_leaves_in_the_same_step() -> None:
    before = planned(claim("a", static=["192.0.2.11"]), claim("b", static=["192.0.2.12"]))
    after = then(before, claim("a", static=["192.0.2.12"]), claim("b", static=["192.0.2.13"]))
    assert addresses(after, "a") == ["192.0.2.12"]
    assert addresses(after, "b") == ["192.0.2.13"]


def test_dual_stack_both_or_neither() -> None:
    pools = [pool("v4", "192.0.2.10-192.0.2.19"), pool("v6", "2001:db8::1-2001:db8::1")]
    dual = {"family_policy": "RequireDualStack", "families": (4, 6)}
    decided = planned(claim("a", **dual), claim("b", **dual), claim("c"), pools=pools)  # type: ignore[arg-type]
    assert addresses(decided, "a") == ["192.0.2.10", "2001:db8::1"]
    assert said(decided, "b").code is Code.POOL_EXHAUSTED
    assert not said(decided, "b").addresses
    assert addresses(decided, "c") == ["192.0.2.11"], "what b could not use is free"


def test_prefer_dual_stack_degrades_and_says_so() -> None:
    prefer = claim("a", family_policy="PreferDualStack", families=(4, 6))
    decided = planned(prefer)
    assert addresses(decided, "a") == ["192.0.2.10"]
    assert said(decided, "a").state is State.SERVED
    assert [w.code for w in said(decided, "a").warnings] == [Code.FAMILY_UNAVAILABLE]
    both = then(decided, prefer, pools=[pool(), pool("v6", "2001:db8::1")])
    assert addresses(both, "a") == ["192.0.2.10", "2001:db8::1"]


def test_single_family_and_a_pool_without_it() -> None:
    assert said(planned(claim("a", families=(6,))), "a").code is Code.FAMILY_UNAVAILABLE
    assert addresses(planned(claim("a"), pools=[pool("v6", "2001:db8::1")]), "a") == ["2001:db8::1"]


def test_address_of_an_undemanding_member_stays_while_another_waits_for_its_family() -> None:
    members = (
        claim("a", "80/TCP", share="k", families=(6,)),
        claim("b", "81/TCP", share="k"),
    )
    first = planned(*members)
    assert said(first, "a").state is State.PENDING
    assert addresses(first, "b") == ["192.0.2.10"]
    assert addresses(then(first, *members), "b") == ["192.0.2.10"]
    both = then(first, *members, pools=[pool(), pool("v6", "2001:db8::1")])
    assert addresses(both, "a") == ["2001:db8::1"]
    assert addresses(both, "b") == ["192.0.2.10", "2001:db8::1"]


def test_no_pool_names_what_is_missing() -> None:
    decided = planned(claim("a", pools=("net-blue",)))
    assert (said(decided, "a").state, said(decided, "a").code) == (State.PENDING, Code.NO_POOL)
    assert "net-blue" in said(decided, "a").reason.message  # type: ignore[union-attr]
    served = then(decided, claim("a", pools=("net-blue",)), pools=[pool(networks=("net-blue",))])
    assert said(served, "a").state is State.SERVED


def vcd(name: str, *, per_listener: bool | None, namespace: str = "default") -> Claim:
    tier = None if per_listener is None else InternalTier("arm", per_listener)
    return claim(name, "80/TCP", "443/TCP", internal=tier, namespace=namespace, pools=("external",))


VCD = [
    pool("external", "80.81.82.81-80.81.82.94", auto_assign=False),
    pool("arm", "192.168.8.2-192.168.8.100", auto_assign=False),
]


@pytest.mark.parametrize(("per_listener", "internal"), [(None, 0), (False, 1), (True, 2)])
def test_internal_tier(per_listener: bool | None, internal: int) -> None:
    decided = planned(vcd("a", per_listener=per_listener), pools=VCD)
    assert addresses(decided, "a") == ["80.81.82.81"]
    outer, *inner = sorted(decided.vips(), key=lambda v: v.slot)
    assert len(inner) == internal
    assert len(outer.translations) == (2 if internal else 0)
    assert sum(len(v.listeners) for v in (inner or [outer])) == 2


def test_flag_changes_keep_the_external_address_and_leave_nothing_behind() -> None:
    current = planned(vcd("a", per_listener=True), pools=VCD)
    for flag in (None, False, True, False, None, True):
        current = then(current, vcd("a", per_listener=flag))
        assert addresses(current, "a") == ["80.81.82.81"]
        wanted = {None: 1, False: 2, True: 3}[flag]
        assert len(current.ledger.holders) == wanted


def test_vcd_services_of_one_name_in_two_namespaces_do_not_meet() -> None:
    decided = planned(
        vcd("a", per_listener=True), vcd("a", per_listener=True, namespace="b"), pools=VCD
    )
    assert len(decided.ledger.holders) == 6


def test_unreadable_object_keeps_its_address() -> None:
    before = planned(claim("a"), claim("b"))
    after = plan(
        world(claim("b"), claim("c"), pools=[pool()], held=frozenset({ref("a")})), before.ledger
    )
    assert all(key in after.ledger.holdings for key in before.ledger.holdings)
    assert addresses(after, "c") == ["192.0.2.12"]
    assert len(list(after.vips())) == 2, "it is reserved, not served"


def test_addresses_of_a_pool_that_cannot_be_read_stay() -> None:
    before = planned(claim("a"))
    broken = frozenset({Ref("AddressPool", "", "blue")})
    after = then(before, claim("a"), claim("b"), pools=[], held=broken)
    assert addresses(after, "a") == ["192.0.2.10"]
    assert said(after, "b").code is Code.NO_POOL
    healed = then(after, claim("a"), claim("b"), pools=[pool()])
    assert addresses(healed, "a") == ["192.0.2.10"]


def test_explain_lists_every_candidate() -> None:
    decided = planned(
        claim("a"), claim("b"), pools=[pool(), pool("none", "198.51.100.1", auto_assign=False)]
    )
    told = explain(decided, ref("b"))
    assert told is not None
    rows = {(c.kind, c.name): c for c in told.candidates}
    assert rows["pool", "blue"].chosen
    assert "autoAssign" in rows["pool", "none"].why
    assert rows["address", "192.0.2.11"].chosen
    assert "default/a" in rows["address", "192.0.2.10"].why
    assert rows["engine", "here"].chosen
    assert explain(decided, ref("nobody")) is None


def test_empty_world_and_ledger() -> None:
    assert not list(plan(world(), Ledger()).vips())
