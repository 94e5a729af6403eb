"""Who holds what is published: every agent comes to the same answer, whatever it saw before."""

from collections import Counter
from collections.abc import Iterable
from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from immutables import Map
from msgspec.structs import replace

from fairlead.model.claim import Engine, EngineRule
from fairlead.model.config import Config
from fairlead.model.desired import PASSED, L4Key
from fairlead.model.names import GroupKey, Ref
from fairlead.model.plan import Listener, Outcome, Plan, Translation
from fairlead.model.served import Served, ServedVip
from fairlead.planner import compile_l2, compile_l4, delta_l2, delta_l4, serve
from fairlead.planner.berth import chosen
from fairlead.planner.fencing import cell_of, table_of

WEB = Ref("Service", "default", "web")


def key(name: str) -> GroupKey:
    return GroupKey("fairlead", "service", "default", name)


def vip(name: str, number: int, **options: object) -> ServedVip:
    return ServedVip(
        group=key(name),
        addresses=(ip_address(0x0A000000 + number),),
        pools=(),
        members=(),
        listeners=(Listener("TCP", 80, WEB, ()),),
        **options,  # type: ignore[arg-type]
    )


def fleet(
    size: int, *, down: Iterable[int] = (), leaving: Iterable[int] = ()
) -> tuple[Engine, ...]:
    return tuple(
        Engine(f"n{i}", ready=i not in down, node=True, leaving=i in leaving) for i in range(size)
    )


def served(
    *vips: ServedVip, engines: tuple[Engine, ...], config: Config | None = None, **rule: object
) -> Served:
    groups: dict[GroupKey, list[ServedVip]] = {}
    for one in vips:
        groups.setdefault(one.group, []).append(one)
    return Served(
        config=config or Config(),
        outcomes=Map({g: Outcome(g, (), (), vips=tuple(all_)) for g, all_ in groups.items()}),
        engine_rules=Map({"default": EngineRule(name="default", engines=engines, **rule)}),  # type: ignore[arg-type]
        revision=1,
    )


def after(before: Served, now: Served) -> Served:
    """``now`` as the next revision."""
    keys = {*before.outcomes, *now.outcomes}
    moved = {k for k in keys if before.outcomes.get(k) != now.outcomes.get(k)}
    same = before.engine_rules == now.engine_rules
    return replace(
        now,
        base=before.revision,
        revision=before.revision + 1,
        moved=frozenset(moved),
        engine_rules=before.engine_rules if same else now.engine_rules,
    )


def many(count: int, **options: object) -> list[ServedVip]:
    return [vip(f"s{n}", n + 1, **options) for n in range(count)]


def held(plan: Plan) -> Counter[str]:
    return Counter(name for names in plan.placement.active.values() for name in names)


def moves(one: Plan, other: Plan) -> set[str]:
    pairs = one.placement.active.items()
    return {k.group.name for k, names in pairs if other.placement.active.get(k) != names}


def test_home_comes_first_and_others_follow() -> None:
    engines = fleet(3)
    plan = serve(
        served(vip("a", 1, home=("n2",)), vip("b", 2, home=("gone", "n1")), engines=engines)
    )
    assert {k.group.name: v for k, v in plan.placement.active.items()} == {
        "a": ("n2",),
        "b": ("n1",),
    }


def test_without_a_home_it_is_spread() -> None:
    plan = serve(served(*many(1000), engines=fleet(10)))
    assert max(held(plan).values()) < 160
    assert min(held(plan).values()) > 50


def test_losing_an_engine_moves_only_its_vips_and_its_return_only_those() -> None:
    vips = many(300)
    everybody = serve(served(*vips, engines=fleet(6)))
    without = serve(served(*vips, engines=fleet(6, down=[3])), everybody)
    mine = {k.group.name for k, v in everybody.placement.active.items() if v == ("n3",)}
    assert moves(everybody, without) == mine
    back = serve(served(*vips, engines=fleet(6)), without)
    assert back.placement.active == everybody.placement.active


def test_when_nobody_is_ready_everybody_holds_what_he_had() -> None:
    vips = [*many(50), vip("h", 900, home=("n1",)), vip("l", 901, nodes=frozenset({"n2"}))]
    ready = serve(served(*vips, engines=fleet(4)))
    blind = serve(served(*vips, engines=fleet(4, down=range(4))))
    assert blind.placement.active == ready.placement.active


def test_local_vips_are_where_their_endpoints_are() -> None:
    both = frozenset({"n1", "n2"})

    def holder(*, down: Iterable[int] = (), nodes: frozenset[str] = both) -> tuple[str, ...]:
        one = vip("l", 1, nodes=nodes, home=("n0", "n1"))
        (names,) = serve(served(one, engines=fleet(4, down=down))).placement.active.values()
        return names

    assert holder() == ("n1",)
    assert holder(down=[1]) == ("n2",)
    assert holder(down=[1, 2]) == ("n1",)  # nobody else could lead it anywhere
    assert holder(nodes=frozenset({"elsewhere"})) == ("n0",)


def test_an_engine_outside_the_cluster_holds_local_vips_too() -> None:
    engines = (Engine("n1", node=True), Engine("outside"))
    plan = serve(served(vip("l", 1, nodes=frozenset({"n9"})), engines=engines))
    assert list(plan.placement.active.values()) == [("outside",)]


def test_several_at_once() -> None:
    one = vip("a", 1, engines=3, home=("n4", "n4", "n1"))
    (names,) = serve(served(one, engines=fleet(5))).placement.active.values()
    assert names[:2] == ("n4", "n1")
    assert len(set(names)) == 3
    (few,) = serve(served(one, engines=fleet(2, down=[0]))).placement.active.values()
    assert few == ("n1",)


def test_roles() -> None:
    engines = (Engine("n0"), Engine("gate", role="edge"))
    plan = serve(served(vip("out", 1, role="edge", home=("n0",)), vip("in", 2), engines=engines))
    assert sorted(plan.placement.active.values()) == [("gate",), ("n0",)]


# -- who leaves, and who is kept in reserve ------------------------------------------------------


def test_who_leaves_keeps_what_nobody_else_can_hold() -> None:
    vips = [*many(60), vip("l", 900, nodes=frozenset({"n2"})), vip("two", 901, engines=2)]
    before = serve(served(*vips, engines=fleet(4)))
    going = serve(served(*vips, engines=fleet(4, leaving=[2])))
    left = {k.group.name for k, v in going.placement.active.items() if "n2" in v}
    assert left == {"l"}
    mine = {k.group.name for k, v in before.placement.active.items() if "n2" in v}
    assert moves(before, going) == mine - {"l"}
    back = serve(served(*vips, engines=fleet(4)), going)
    assert back.placement.active == before.placement.active
    alone = serve(served(*vips, engines=fleet(4, leaving=[2], down=[0, 1, 3])))
    assert {v for k, v in alone.placement.active.items() if k.group.name != "l"} == {("n2",)}
    everybody = serve(served(*vips, engines=fleet(4, leaving=range(4))))
    assert everybody.placement.active == before.placement.active


def test_the_buffer_holds_nothing_while_the_others_are_able_and_takes_over_what_one_had() -> None:
    homes = [f"n{n % 4}" for n in range(200)]
    vips = [vip(f"s{n}", n + 1, home=(home,)) for n, home in enumerate(homes)]
    vips += [vip("new", 900), vip("guest", 901, home=("n5",))]

    def plan(*, down: Iterable[int] = (), leaving: Iterable[int] = (), **rule: object) -> Plan:
        found = served(*vips, engines=fleet(6, down=down, leaving=leaving), **rule)  # type: ignore[arg-type]
        return serve(found)

    calm = plan(buffer=2)
    assert not {"n4", "n5"} & held(calm).keys()
    for lost in (plan(buffer=2, down=[1]), plan(buffer=2, leaving=[1])):
        takers = Counter(
            lost.placement.active[k][0] for k, v in calm.placement.active.items() if v == ("n1",)
        )
        assert takers.keys() == {"n4", "n5"}
        assert moves(calm, lost) == {
            k.group.name for k, v in calm.placement.active.items() if v == ("n1",)
        }
    worn = plan(buffer=2, down=[1, 4, 5])
    assert held(worn).keys() == {"n0", "n2", "n3"}
    assert held(plan(buffer=9, down=range(1, 6))) == {"n0": len(vips)}  # one at least is none
    stays = plan(buffer=2, failback=False).placement.active
    assert stays[vips[-1].key] == ("n5",)


def test_a_vip_stays_in_the_cell_that_it_is_at_home_in() -> None:
    engines = fleet(40)
    cells = [cell_of(e.name, [e.name for e in engines]) for e in engines]
    for n in range(40):
        one = vip("a", n + 1, home=(f"n{n}",))
        (names,) = serve(served(one, engines=fleet(40, down=[n]))).placement.active.values()
        assert names[0] in cells[n]


def test_who_leaves_does_not_make_another_berth() -> None:
    vips = many(40)
    where = {f"n{n}": ip_address(f"192.0.2.{n + 1}") for n in range(3)}

    def marks(leaving: Iterable[int]) -> set[str]:
        table = table_of(
            serve(served(*vips, engines=fleet(3, leaving=leaving))), "n0", addresses=where
        )
        assert table is not None
        return {berth.mark for berth in table.berths}

    assert marks([]) == marks([1]) == marks([0, 1, 2])


# -- whatever an agent saw before -----------------------------------------------------------------


def distinct(vips: list[ServedVip]) -> Iterable[ServedVip]:
    """One of each group, and one of each address: no ledger has more."""
    by_address = {one.addresses: one for one in vips}
    return {one.group: one for one in by_address.values()}.values()


NODES = st.sampled_from([None, None, frozenset({"n0"}), frozenset({"n1", "n3"})])
VIP = st.builds(
    lambda name, number, nodes, home, count, slot, interface: vip(
        name,
        number,
        nodes=nodes,
        home=tuple(home),
        engines=count,
        slot=slot,
        interface=interface,
    ),
    st.sampled_from(["a", "b", "c"]),
    st.integers(1, 9),
    NODES,
    st.lists(st.sampled_from(["n0", "n1", "n2", "x"]), max_size=2),
    st.integers(1, 3),
    st.just(""),
    st.sampled_from(["", "", "eth1"]),
)
SOME = st.sets(st.integers(0, 3))
FLEET = st.builds(
    lambda size, down, leaving: fleet(size, down=down, leaving=leaving),
    st.integers(0, 4),
    SOME,
    st.just(set()) | SOME,
)
WORLD = st.builds(
    lambda vips, engines, buffer, failback: served(
        *distinct(vips), engines=engines, buffer=buffer, failback=failback
    ),
    st.lists(VIP, max_size=6),
    FLEET,
    st.integers(0, 2),
    st.booleans(),
)
HISTORY = st.lists(WORLD, max_size=5)


def through(history: list[Served]) -> Plan:
    plan = serve(history[0])
    for n, world in enumerate(history[1:]):
        history[n + 1] = after(history[n], world)
        plan = serve(history[n + 1], plan)
    return plan


@settings(max_examples=300, deadline=None)
@given(one=HISTORY, other=HISTORY, now=WORLD)
def test_agents_agree_whatever_they_saw(
    one: list[Served], other: list[Served], now: Served
) -> None:
    first, second = through([*one, now]), through([*other, now])
    assert first.placement == second.placement == serve(now).placement
    assert first.outcomes == second.outcomes == now.outcomes


@settings(max_examples=300, deadline=None)
@given(
    history=st.lists(WORLD, min_size=1, max_size=5), proxied=st.booleans(), standby=st.booleans()
)
def test_what_an_engine_does_follows_from_what_changed(
    history: list[Served], proxied: bool, standby: bool
) -> None:
    if proxied:
        history = [replace(one, config=Config(dataplane="cluster")) for one in history]
    before = serve(history[0])
    for n in range(1, len(history)):
        history[n] = after(history[n - 1], history[n])
        now = serve(history[n], before)
        assert now.changed is not None
        groups = {k.group for k in {*before.placement.active, *now.placement.active}}
        for group in groups - now.changed:
            assert [v for k, v in before.placement.active.items() if k.group == group] == [
                v for k, v in now.placement.active.items() if k.group == group
            ]
        for engine in ("n0", "n1"):
            l2 = delta_l2(before, now, engine)
            l4 = delta_l4(before, now, engine, standby=standby)
            assert (compile_l2(before, engine).owned | l2.added) - l2.removed == compile_l2(
                now, engine
            ).owned
            kept = {
                address: name
                for address, name in compile_l2(before, engine).places.items()
                if address not in l2.added | l2.removed
            }
            assert {**kept, **l2.places} == compile_l2(now, engine).places
            rows = {
                **compile_l4(before, engine, standby=standby).listeners,
                **l4.listeners,
            }
            there = {k: row for k, row in rows.items() if row is not None}
            assert there == compile_l4(now, engine, standby=standby).listeners
        before = now


@settings(max_examples=300, deadline=None)
@given(now=WORLD, able=st.sets(st.sampled_from(["n0", "n1", "n2", "n3"]), min_size=1))
def test_agents_and_fences_agree(now: Served, able: set[str]) -> None:
    """Whoever a fence knows to be able: it holds what its agent thinks that it holds."""
    rule = now.engine_rules["default"]
    judged = replace(rule, engines=tuple(e._replace(ready=e.name in able) for e in rule.engines))
    plan = serve(replace(now, engine_rules=Map({"default": judged})))
    where = {e.name: ip_address(f"192.0.2.{n}") for n, e in enumerate(rule.engines, 1)}
    going = {e.name for e in rule.engines if e.leaving}
    for one in plan.vips():
        agents = set(plan.placement.active[one.key])
        if not agents & able & where.keys():
            continue  # nobody who could: then agents go on as if all were well
        by_fences = set()
        for me in where.keys() & able:
            table = table_of(plan, me, addresses=where)
            assert table is not None
            for berth in table.berths:
                if one.addresses[0] in berth.addresses and me in chosen(berth, able, ()):
                    assert berth.leaving <= going
                    by_fences.add(me)
        assert by_fences == agents


# -- what the cluster's own proxy carries ---------------------------------------------------------


@pytest.mark.parametrize("engine", ["n0", "n1"])
def test_the_holder_lets_pass_what_is_for_a_listener_and_others_have_nothing(engine: str) -> None:
    one = vip("a", 1, home=("n0",))
    plan = serve(served(one, engines=fleet(2), config=Config(dataplane="cluster")))
    wanted = compile_l4(plan, engine)
    if engine == "n0":
        assert wanted.listeners == {L4Key(one.addresses[0], "TCP", 80): PASSED}
        assert wanted.vips == set(one.addresses)
    else:
        assert not wanted.listeners
        assert not wanted.vips


def test_an_engine_with_a_fence_is_ready_for_what_others_hold() -> None:
    config = Config(dataplane="cluster")
    one, routed = vip("a", 1, home=("n0",)), replace(vip("b", 3, home=("n0",)), announce="bgp")
    plan = serve(served(one, routed, engines=fleet(2), config=config))
    wanted = compile_l4(plan, "n1", standby=True)
    assert wanted.listeners == {L4Key(one.addresses[0], "TCP", 80): PASSED}
    assert wanted.vips == set(one.addresses)
    assert not compile_l4(plan, "somebody-else", standby=True).vips


def test_internal_addresses_are_not_the_proxys() -> None:
    inside = vip("a", 2, slot="internal", home=("n0",))
    step = Translation("TCP", ip_address("10.0.0.1"), inside.addresses[0], 80)
    outside = replace(vip("a", 1, home=("n0",)), listeners=(), translations=(step,))
    config = Config(dataplane="cluster")
    wanted = compile_l4(serve(served(outside, inside, engines=fleet(1), config=config)), "n0")
    assert wanted.listeners == {L4Key(ip_address("10.0.0.1"), "TCP", 80): PASSED}
    assert wanted.vips == {*outside.addresses, *inside.addresses}
