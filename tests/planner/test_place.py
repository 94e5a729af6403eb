"""VIP -> engines: balance, and as few moves as possible."""

from collections import Counter
from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from immutables import Map
from msgspec.structs import replace

from fairlead.model.claim import Claim, Claims, Engine, EngineRule, InternalTier
from fairlead.model.ledger import Ledger
from fairlead.model.plan import Plan, VipKey
from fairlead.model.verdict import Code
from fairlead.planner import plan

from .make import claim, pool, said, world


def rules(*engines: Engine, **options: object) -> Map[str, EngineRule]:
    return Map({"default": EngineRule(name="default", engines=engines, **options)})  # type: ignore[arg-type]


def fleet(size: int, *, down: frozenset[str] = frozenset()) -> tuple[Engine, ...]:
    return tuple(Engine(f"n{i}", ready=f"n{i}" not in down) for i in range(size))


def held(made: Plan) -> Counter[str]:
    return Counter(e for vip in made.vips() for e in made.placement.active[vip.key])


def claims(
    vips: int, *engines: Engine, announce: str = "l2", scale: int = 0, **options: object
) -> Claims:
    items = [claim(f"s{i}", namespace=f"ns{i % 7}", scale=scale) for i in range(vips)]
    return world(
        *items,
        pools=[pool("big", "10.0.0.0/16", announce=announce)],
        engine_rules=rules(*engines, **options),
        revision=1,
    )


def routed(vips: int, *engines: Engine, **options: object) -> Claims:
    """The same, announced by BGP."""
    return claims(vips, *engines, announce="bgp", **options)  # type: ignore[arg-type]


def revised(before: Plan, *engines: Engine, **options: object) -> Plan:
    now = replace(
        before.claims,
        engine_rules=rules(*engines, **options),
        base=before.claims.revision,
        revision=before.claims.revision + 1,
        touched=frozenset(),
    )
    return plan(now, before.ledger, before)


@pytest.mark.parametrize(("vips", "engines", "most"), [(1000, 10, 115), (600, 30, 23), (5, 1, 5)])
def test_bounded_load(vips: int, engines: int, most: int) -> None:
    made = plan(claims(vips, *fleet(engines)), Ledger())
    assert sum(held(made).values()) == vips
    assert max(held(made).values()) <= most


def test_losing_an_engine_moves_only_its_vips_and_its_return_only_those() -> None:
    before = plan(claims(1000, *fleet(10)), Ledger())
    without = revised(before, *fleet(10, down=frozenset({"n3"})))
    moved = {k for k, e in before.placement.active.items() if without.placement.active[k] != e}
    assert moved == set(before.placement.loads["n3"])
    assert max(held(without).values()) <= 128
    back = revised(without, *fleet(10))
    again = {k for k, e in without.placement.active.items() if back.placement.active[k] != e}
    assert again == moved
    assert back.placement.active == before.placement.active
    stay = revised(without, *fleet(10), failback=False)
    assert stay.placement.active == without.placement.active


def test_nobody_ready_says_so_and_heals() -> None:
    none = plan(claims(3, *fleet(2, down=frozenset({"n0", "n1"}))), Ledger())
    assert said(none, "s0", "ns0").code is Code.NO_READY_ENGINE
    assert said(none, "s0", "ns0").addresses == (ip_address("10.0.0.1"),)
    healed = revised(none, *fleet(2))
    assert said(healed, "s0", "ns0").code is Code.NONE


def test_active_active_scale_and_max_vips() -> None:
    spread = plan(routed(50, *fleet(5), mode="ActiveActive", min_scale=2), Ledger())
    assert all(len(set(e)) == 2 for e in spread.placement.active.values())
    full = plan(claims(50, *fleet(2), max_vips=10), Ledger())
    assert held(full) == {"n0": 10, "n1": 10}


def test_a_vip_that_goes_leaves_nothing_behind() -> None:
    before = plan(claims(20, *fleet(3)), Ledger())
    ref = next(iter(before.claims.by_ref))
    now = replace(
        before.claims,
        by_ref=before.claims.by_ref.delete(ref),
        base=1,
        revision=2,
        touched=frozenset({ref}),
    )
    after = plan(now, before.ledger, before)
    assert len(after.placement.active) == 19
    assert sum(len(load) for load in after.placement.loads.values()) == 19
    assert after.placement.counts["default"] == 19


def test_a_vip_moves_to_the_edge_with_the_dnat_and_back() -> None:
    site = rules(Engine("n0"), Engine("gate", role="edge"))
    pools = [pool("blue"), pool("arm", "192.168.8.0/24")]
    plain = claim("web")
    before = plan(world(plain, pools=pools, engine_rules=site, revision=1), Ledger())
    assert holders(before) == {"": ("n0",)}
    tier = InternalTier(pool="arm", per_listener=False)
    behind = changed(before, replace(plain, internal=tier))
    assert holders(behind) == {"": ("gate",), "internal": ("n0",)}
    assert holders(changed(behind, plain)) == {"": ("n0",)}


def holders(made: Plan) -> dict[str, tuple[str, ...]]:
    return {vip.slot: made.placement.active[vip.key] for vip in made.vips()}


def changed(before: Plan, item: Claim) -> Plan:
    """The plan after one claim changed, made incrementally."""
    revision = before.claims.revision
    now = replace(
        before.claims,
        by_ref=before.claims.by_ref.set(item.ref, (item,)),
        base=revision,
        revision=revision + 1,
        touched=frozenset({item.ref}),
    )
    return plan(now, before.ledger, before)


# -- whatever happens to engines ------------------------------------------------------------------

MODES = st.sampled_from(
    [
        {"mode": "ActiveStandby"},
        {"mode": "ActiveActive", "min_scale": 2},
        {"mode": "ActiveActive", "min_scale": 3, "max_scale": 2},
        {"mode": "NPlusM", "buffer": 2},
        {"mode": "ActiveStandby", "max_vips": 20},
    ]
)
LOSSES = st.lists(st.sets(st.sampled_from([f"n{i}" for i in range(6)]), max_size=4), max_size=5)


def going_home(before: Plan, down: frozenset[str], now: frozenset[str]) -> set[VipKey]:
    """The VIPs that may move when engines go and come: those that an engine that went had, those
    that one that came back had before, and those that nobody had."""
    found: set[VipKey] = set()
    for engine in now - down:
        found |= set(before.placement.loads.get(engine, Map()))
    for engine in down - now:
        found |= set(before.placement.away.get(engine, Map()))
    short = min((len(e) for e in before.placement.active.values()), default=0)
    found |= {k for k, e in before.placement.active.items() if len(e) <= short}
    return found


@settings(max_examples=60, deadline=None)
@given(options=MODES, losses=LOSSES, failback=st.booleans())
def test_engines_go_and_come_and_only_what_they_had_moves(
    options: dict[str, object], losses: list[set[str]], failback: bool
) -> None:
    many = options["mode"] == "ActiveActive"
    rule = {**options, "failback": failback}
    site = claims(60, *fleet(6), announce="bgp" if many else "l2", **rule)  # type: ignore[arg-type]
    made, down = plan(site, Ledger()), frozenset[str]()
    start = made
    for loss in [*losses, set[str]()]:
        now = frozenset(loss)
        after = revised(made, *fleet(6, down=now), **rule)
        moved = {k for k, e in made.placement.active.items() if after.placement.active[k] != e}
        assert moved <= going_home(made, down, now)
        for engines in after.placement.active.values():
            assert not set(engines) & now
            assert len(set(engines)) == len(engines)
        loads = {e: len(load) for e, load in after.placement.loads.items() if e and load}
        assert held(after) == Counter(loads)
        made, down = after, now
    if failback and not many:
        assert made.placement.active == start.placement.active


@pytest.mark.parametrize("failback", [True, False])
def test_the_buffer_takes_over_and_gives_back(failback: bool) -> None:
    spare = {"n8", "n9"}

    def after(before: Plan, *down: str) -> Plan:
        options = {"mode": "NPlusM", "buffer": 2, "failback": failback}
        return revised(before, *fleet(10, down=frozenset(down)), **options)

    calm = plan(claims(800, *fleet(10), mode="NPlusM", buffer=2, failback=failback), Ledger())
    assert not spare & held(calm).keys()
    assert max(held(calm).values()) <= 115
    lost = after(calm, "n3")
    moved = {k for k, e in calm.placement.active.items() if lost.placement.active[k] != e}
    assert moved == set(calm.placement.loads["n3"])
    assert {lost.placement.active[key][0] for key in moved} == spare
    back = after(lost)
    assert (back.placement.active == calm.placement.active) is failback
    assert failback or back.placement.active == lost.placement.active
