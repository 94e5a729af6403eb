"""From the controller's plan by way of what it publishes to who holds what: 1 000 VIPs on 10
engines."""

from collections import Counter
from collections.abc import Iterable

import pytest
from immutables import Map
from msgspec.structs import replace

from fairlead.dialects.published import serving
from fairlead.model.addresses import canonical
from fairlead.model.claim import Claims, Engine, EngineRule
from fairlead.model.kube import KubeObject, Metadata
from fairlead.model.ledger import Ledger
from fairlead.model.plan import Placement, Plan
from fairlead.model.virtualip import GROUP_LABEL, VirtualIP
from fairlead.model.world import Change, World
from fairlead.planner import placed, plan, serve, verdict
from fairlead.publish.kube.virtualips import homes_of, specs_of
from tests.dialects.published import engine_group, node
from tests.planner.make import claim, pool, world

VIPS, ENGINES, MOST = 1000, 10, 115


def claims(vips: int, engines: int, **options: object) -> Claims:
    group = tuple(Engine(f"n{n}", node=True) for n in range(engines))
    announce = options.pop("announce", "l2")
    scale = options.pop("scale", 0)
    items = [claim(f"s{n}", namespace=f"ns{n % 7}", scale=scale) for n in range(vips)]
    rule = EngineRule(name="default", engines=group, **options)  # type: ignore[arg-type]
    pools = [pool("big", "10.0.0.0/16", announce=announce)]
    return world(*items, pools=pools, engine_rules=Map({"default": rule}), revision=1)


def published(made: Plan) -> list[VirtualIP]:
    found = []
    for key in made.outcomes:
        for name, spec in (specs_of(made, key, {}) or {}).items():
            meta = Metadata(name, label_map={GROUP_LABEL: spec.engine_group})
            found.append(VirtualIP(metadata=meta, spec=spec))
    return found


def held(objects: Iterable[KubeObject], *, down: Iterable[int] = ()) -> dict[str, tuple[str, ...]]:
    """Address -> engines, as every agent works it out."""
    nodes = [node(f"n{n}", ready=n not in down) for n in range(ENGINES)]
    seen = World().evolve(Change(one.ref, one) for one in [*objects, *nodes])
    made = serve(serving(seen))
    return {canonical(v.addresses[0]): made.placement.active[v.key] for v in made.vips()}


def loads(holders: dict[str, tuple[str, ...]]) -> Counter[str]:
    return Counter(name for names in holders.values() for name in names)


def moves(one: dict[str, tuple[str, ...]], other: dict[str, tuple[str, ...]]) -> set[str]:
    return {address for address, names in one.items() if other[address] != names}


def test_a_thousand_vips_on_ten_engines() -> None:
    objects = published(plan(claims(VIPS, ENGINES), Ledger()))
    before = held(objects)
    assert len(before) == VIPS
    assert max(loads(before).values()) <= MOST
    for lost in (0, 4, 9):
        without = held(objects, down=[lost])
        assert moves(before, without) == {a for a, n in before.items() if n == (f"n{lost}",)}
        assert held(objects) == before  # and back


def test_what_is_published_counts_for_a_controller_that_starts_anew() -> None:
    half = published(plan(claims(VIPS // 2, ENGINES // 2), Ledger()))
    first = plan(claims(VIPS // 2, ENGINES // 2), Ledger())
    assert first.ledger.holdings
    homes = Placement(homes=Map(homes_of(half)))
    made = plan(claims(VIPS, ENGINES), first.ledger, Plan(placement=homes))
    objects = published(made)
    kept = {one.name: one.spec.home for one in half}
    assert all(one.spec.home == kept.get(one.name, one.spec.home) for one in objects)
    assert max(loads(held(objects)).values()) <= MOST
    assert not made.placement.homes
    assert sum(made.placement.counts.values()) == VIPS


def test_a_home_that_is_down_at_the_start_is_returned_to() -> None:
    up = claims(100, 3)
    homes = homes_of(published(plan(up, Ledger())))
    rule = up.engine_rules["default"]
    some = tuple(e._replace(ready=e.name != "n1") for e in rule.engines)
    fewer = Map({"default": replace(rule, engines=some)})
    down = replace(up, engine_rules=fewer)
    first = plan(down, Ledger(), Plan(placement=Placement(homes=Map(homes))))
    assert not {k for k, v in first.placement.active.items() if "n1" in v}
    later = replace(up, base=1, revision=2, touched=frozenset())
    assert dict(plan(later, first.ledger, first).placement.active) == homes


@pytest.mark.parametrize(("wanted", "most", "engines"), [(0, 0, 1), (3, 0, 3), (3, 2, 2)])
def test_how_many_engines_hold_a_vip(wanted: int, most: int, engines: int) -> None:
    made = plan(claims(60, ENGINES, announce="bgp", scale=wanted, max_scale=most), Ledger())
    objects = published(made)
    assert {one.spec.engines for one in objects} == {engines}
    assert all(len(set(names)) == engines for names in held(objects).values())
    active = claims(60, ENGINES, announce="bgp", mode="ActiveActive", min_scale=2, scale=wanted)
    assert {o.spec.engines for o in published(plan(active, Ledger()))} == {max(2, wanted)}


def test_on_a_lan_a_vip_has_one_holder_whatever_is_asked_for() -> None:
    made = plan(claims(20, ENGINES, mode="ActiveActive", min_scale=2, scale=3), Ledger())
    objects = published(made)
    assert {one.spec.engines for one in objects} == {1}
    assert loads(held(objects)).total() == 20
    some = verdict(made, next(iter(made.groups_of)))
    assert some is not None
    (warning,) = some.warnings
    assert "3 engines are asked for, and one has it" in warning.message


def test_an_engine_that_is_full_gets_no_more() -> None:
    made = plan(claims(50, 4, max_vips=10), Ledger())
    objects = published(made)
    assert Counter(one.spec.suspended for one in objects) == {False: 40, True: 10}
    left = [one for one in objects if one.spec.suspended]
    assert not any(one.spec.home for one in left)
    said = [verdict(made, ref) for ref in made.groups_of]
    full = [o.reason for o in said if o and o.reason and o.reason.code == "NoReadyEngine"]
    assert len(full) == 10
    assert "maxVipsPerEngine of 10" in full[0].message


def test_a_limit_keeps_nobody_from_taking_over() -> None:
    objects = published(plan(claims(100, ENGINES, max_vips=10), Ledger()))
    holders = held([*objects, engine_group("default", maxVipsPerEngine=10)], down=[0])
    assert all(holders.values())


def test_the_buffer_is_nobodys_home() -> None:
    made = plan(claims(90, ENGINES, mode="NPlusM", buffer=2), Ledger())
    objects = published(made)
    homes = Counter(name for one in objects for name in one.spec.home)
    assert not {"n8", "n9"} & homes.keys()
    assert max(homes.values()) <= 13  # 1.15 times the mean of those that have any
    vip = next(made.vips())
    assert set(placed(made, vip).standby) == {"n8", "n9"}
    group = engine_group("default", mode="NPlusM", bufferEngines=2)
    before, without = held([*objects, group]), held([*objects, group], down=[3])
    assert {without[a] for a in moves(before, without)} <= {("n8",), ("n9",)}
