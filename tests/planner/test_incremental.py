"""Whatever happens step by step, the incremental plan is the full one, and no rule is broken."""

from dataclasses import dataclass, field
from ipaddress import ip_address

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from immutables import Map
from msgspec.structs import replace

from fairlead.model.claim import (
    Claim,
    Claims,
    Engine,
    EngineRule,
    InternalTier,
    ListenerClaim,
)
from fairlead.model.config import Config
from fairlead.model.dhcp import DhcpWish, Leased, own_id
from fairlead.model.ledger import Ledger, Spot
from fairlead.model.names import GroupKey, Ref
from fairlead.model.plan import Plan
from fairlead.planner import (
    compile_dhcp,
    compile_l2,
    compile_l4,
    delta_dhcp,
    delta_l2,
    delta_l4,
    differences,
    plan,
)

from .make import RULES, backends, claim, pool

FAST = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.target, Phase.shrink],
)
POOLS = (
    pool("blue", "192.0.2.0/29", "2001:db8::10-2001:db8::12", priority=1),
    pool("green", "198.51.100.1-198.51.100.3"),
    pool("inside", "10.9.0.1-10.9.0.6", auto_assign=False),
)
THREE = Map(
    {"default": EngineRule(name="default", engines=tuple(Engine(n) for n in ("here", "x", "y")))}
)
NODE = Ref("Node", "", "n1")
TIERS = [None, None, InternalTier("inside", True), InternalTier("inside", False)]
STATIC = ("192.0.2.3", "192.0.2.4", "198.51.100.2", "203.0.113.9", "2001:db8::10")


@st.composite
def claims(draw: st.DrawFn) -> Claim:
    number = draw(st.integers(0, 9))
    static = draw(st.lists(st.sampled_from(STATIC), max_size=2, unique=True))
    versions = [ip_address(a).version for a in static]
    if len(set(versions)) < len(versions):
        static = static[:1]
    families = tuple(sorted({ip_address(a).version for a in static}))
    policy = draw(
        st.sampled_from(["SingleStack", "SingleStack", "PreferDualStack", "RequireDualStack"])
    )
    if static:
        policy = "SingleStack"
    elif policy == "SingleStack":
        families = draw(st.sampled_from([(), (), (4,), (6,)]))
    ports = draw(st.lists(st.sampled_from([80, 81, 443]), min_size=1, max_size=2, unique=True))
    node = draw(st.sampled_from(["", "n1", "n2"]))
    share = draw(st.sampled_from(["", "k1", "k2"]))
    alone = not share and not static
    made = claim(
        f"s{number}",
        *(
            ListenerClaim(draw(st.sampled_from(["TCP", "UDP"])), p, backends(node=node))
            for p in ports
        ),
        namespace=draw(st.sampled_from(["a", "b"])),
        share=share,
        static=static,
        by_address=draw(st.booleans()),
        created=draw(st.sampled_from(["", "2026-01-01", "2026-01-02"])),
        setting=draw(st.sampled_from(["", "", "gold"])),
        local=draw(st.booleans()),
        foreign_class=draw(st.sampled_from(["", "", "", "other.io/lb"])),
        families=families,
        family_policy=policy,
        internal=draw(st.sampled_from(TIERS if alone else [None])),
        pools=draw(st.sampled_from([(), (), ("blue",), ("nowhere",)] if alone else [()])),
    )  # fmt: skip
    return draw(leased(made)) if alone and made.internal is None else made


@st.composite
def leased(draw: st.DrawFn, made: Claim) -> Claim:
    """The same, or the same on 0.0.0.0, with something or nothing known of its lease."""
    what = draw(st.sampled_from(["", "", "", "dhcp", "macvlan"]))
    if not what:
        return made
    name = made.ref.name if what == "dhcp" else draw(st.sampled_from(["lan1", "lan2"]))
    group = GroupKey("kube-vip", what, made.ref.namespace if what == "dhcp" else "", name)
    hostname = draw(st.sampled_from(["", "h", "h2"]))
    known: tuple[Leased, ...] = ()
    address = None
    if state := draw(st.sampled_from(["", "Bound", "Refused", "Lost"])):
        if state == "Bound":
            address = ip_address(draw(st.sampled_from(["203.0.113.8", "203.0.113.9", "192.0.2.3"])))
        under = draw(st.sampled_from(["", hostname, own_id(hostname, group) if hostname else ""]))
        known = (Leased(family=4, state=state, address=address, client_id=under),)  # type: ignore[arg-type]  # one of the words
    return replace(
        made,
        group=group,
        pools=(),
        families=(4,),
        family_policy="SingleStack",
        addresses=(address,) if address is not None else (),
        dhcp=DhcpWish(families=(4,), hostname=hostname, leased=known),
    )


@dataclass
class Edit:
    """Objects that come, change or go, those that cannot be read, and the nodes' own addresses."""

    objects: dict[Ref, Claim | None]
    unreadable: frozenset[Ref]
    nodes: frozenset[str]


@dataclass
class Steps:
    """A sequence of edits, each a set of objects that come, change or go."""

    config: Config
    edits: list[Edit] = field(default_factory=list)


@st.composite
def steps(draw: st.DrawFn) -> Steps:
    config = Config(strict=draw(st.booleans()), tombstones=draw(st.sampled_from([0, 2, 100])))
    refs = st.builds(
        lambda ns, n: Ref("Service", ns, f"s{n}"), st.sampled_from(["a", "b"]), st.integers(0, 9)
    )
    edit = st.lists(claims(), max_size=4).map(lambda cs: {c.ref: c for c in cs})
    gone = st.lists(refs, max_size=3).map(lambda rs: dict.fromkeys(rs))
    both = st.tuples(edit, gone).map(lambda pair: {**pair[1], **pair[0]})
    edits = st.builds(
        Edit,
        both,
        st.frozensets(refs, max_size=2),
        st.frozensets(st.sampled_from(("192.0.2.1", "192.0.2.3", "10.9.9.9")), max_size=1),
    )
    return Steps(config, draw(st.lists(edits, min_size=1, max_size=7)))


def after(before: Claims, edit: Edit) -> Claims:
    rows = before.by_ref.mutate()
    touched = set(before.held ^ edit.unreadable)
    changes = {**edit.objects, **dict.fromkeys(edit.unreadable)}
    for ref, item in changes.items():
        new = None if item is None else (item,)
        if rows.get(ref) == new:
            continue
        touched.add(ref)
        if new is None:
            del rows[ref]
        else:
            rows[ref] = new
    return replace(
        before,
        by_ref=rows.finish(),
        held=edit.unreadable,
        node_addresses=Map({ip_address(text): NODE for text in edit.nodes}),
        base=before.revision,
        revision=before.revision + 1,
        touched=frozenset(touched),
    )


def same(left: Plan, right: Plan) -> None:
    assert left.outcomes == right.outcomes
    assert left.groups_of == right.groups_of
    assert left.asked == right.asked
    assert left.ledger == right.ledger
    assert left.waiting == right.waiting
    assert left.hostnames == right.hostnames


def lawful(made: Plan) -> None:
    """What must hold in every plan."""
    listeners: set[tuple[object, str, int]] = set()
    addresses: set[object] = set()
    for vip in made.vips():
        for address in vip.addresses:
            assert address not in addresses, "one address in two VIPs"
            addresses.add(address)
            ports = [(p.protocol, p.port) for p in vip.listeners]
            ports += [(t.protocol, t.port) for t in vip.translations if t.external == address]
            for protocol, port in ports:
                key = (address, protocol, port)
                assert key not in listeners, "one (address, protocol, port) served twice"
                listeners.add(key)
    holders = {a.spot: k for k, h in made.ledger.holdings.items() for a in h.assignments}
    assert holders == dict(made.ledger.holders.items())
    assert not set(made.ledger.holders) & set(made.ledger.released)
    assert addresses <= {spot.address for spot in holders}


@settings(FAST, max_examples=300)
@given(steps())
def test_incremental_equals_full(sequence: Steps) -> None:
    claims = Claims(config=sequence.config, pools=POOLS, engine_rules=RULES)
    current = plan(claims, Ledger())
    for edit in sequence.edits:
        claims = after(claims, edit)
        step = plan(claims, current.ledger, current)
        assert step.changed is not None
        same(step, plan(claims, current.ledger))
        lawful(step)
        deltas(current, step)
        current = step


def deltas(before: Plan, now: Plan) -> None:
    """The incremental changes turn one compiled state into the other."""
    l4 = compile_l4(before, "here")
    changes = delta_l4(before, now, "here")
    rows = dict(l4.listeners)
    for key, row in changes.listeners.items():
        if row is None:
            del rows[key]
        else:
            rows[key] = row
    wanted = compile_l4(now, "here")
    assert rows == wanted.listeners
    assert (l4.vips | changes.vips_added) - changes.vips_removed == wanted.vips
    l2, moves = compile_l2(before, "here"), delta_l2(before, now, "here")
    assert (l2.owned | moves.added) - moves.removed == compile_l2(now, "here").owned
    leases, news = dict(compile_dhcp(before, "here").rows), delta_dhcp(before, now, "here").rows
    for lease, order in news.items():
        if order is None:
            del leases[lease]
        else:
            leases[lease] = order
    assert leases == compile_dhcp(now, "here").rows


@settings(FAST, max_examples=100)
@given(steps())
def test_plan_of_a_plan_is_empty(sequence: Steps) -> None:
    claims = Claims(config=sequence.config, pools=POOLS, engine_rules=RULES)
    current = plan(claims, Ledger())
    for edit in sequence.edits:
        claims = after(claims, edit)
        current = plan(claims, current.ledger, current)
        again = plan(claims, current.ledger)
        assert again.ledger == current.ledger
        assert not differences(current.ledger, again)
        assert again.outcomes == current.outcomes


@settings(FAST, max_examples=100)
@given(st.lists(claims(), max_size=10), st.randoms(use_true_random=False))
def test_order_does_not_matter(items: list[Claim], shuffle: object) -> None:
    unique = {c.ref: c for c in items}
    forwards = Map({ref: (c,) for ref, c in unique.items()})
    mixed = list(unique.items())
    shuffle.shuffle(mixed)  # type: ignore[attr-defined]
    backwards = Map({ref: (c,) for ref, c in mixed})
    plans = [
        plan(Claims(by_ref=rows, pools=POOLS, engine_rules=THREE), Ledger())
        for rows in (forwards, backwards)
    ]
    same(*plans)
    assert plans[0].placement == plans[1].placement
    assert compile_l4(plans[0], "here") == compile_l4(plans[1], "here")


@settings(FAST, max_examples=100)
@given(steps())
def test_held_addresses_stay_while_valid(sequence: Steps) -> None:
    """An address moves only if its group vanished, asks for another, or may not have it."""
    claims = Claims(config=sequence.config, pools=POOLS, engine_rules=RULES)
    current = plan(claims, Ledger())
    for edit in sequence.edits:
        claims = after(claims, edit)
        step = plan(claims, current.ledger, current)
        for key, holding in current.ledger.holdings.items():
            outcome = step.outcomes.get(key)
            if outcome is None or outcome.claims != current.outcomes[key].claims:
                continue
            if {a.spot.address.compressed for a in holding.assignments} & edit.nodes:
                continue  # a node has it now
            if holding.members - {c.ref for c in outcome.claims} or key in current.waiting:
                continue  # a member went, or it waited for an address that may be free now
            held = {a.spot for a in holding.assignments}
            now = step.ledger.holdings[key]
            assert held <= {a.spot for a in now.assignments}
        current = step


def test_journal_gap_plans_in_full() -> None:
    before = plan(Claims(pools=POOLS, engine_rules=RULES, revision=3), Ledger())
    now = replace(before.claims, base=1, revision=4, touched=frozenset())
    assert plan(now, before.ledger, before).changed is None


def test_spots_are_per_space() -> None:
    here = claim("one", static=["192.0.2.3"])
    there = claim("two", static=["192.0.2.3"], space="vpc-1")
    pools = (pool("blue", "192.0.2.0/29"), pool("red", "192.0.2.0/29", space="vpc-1"))
    both = Claims(by_ref=Map({c.ref: (c,) for c in (here, there)}), pools=pools, engine_rules=RULES)
    held = plan(both, Ledger()).ledger.holders
    assert set(held) == {Spot(s, ip_address("192.0.2.3")) for s in ("default", "vpc-1")}
