"""VIP -> engines: balance, and as few moves as possible."""

from collections import Counter
from ipaddress import ip_address

import pytest
from immutables import Map
from msgspec.structs import replace

from fairlead.model.claim import Claim, Claims, Engine, EngineRule, InternalTier
from fairlead.model.ledger import Ledger
from fairlead.model.plan import Plan
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
