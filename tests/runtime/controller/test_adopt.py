"""A lost or partly lost ledger is completed from what Services show: nothing moves, and no address
is ever two groups'. Without an API server."""

from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st

from fairlead.model.addresses import IPAddress
from fairlead.model.claim import Claim, Claims
from fairlead.model.ledger import Assignment, Holding, Ledger, Spot, ledger_of
from fairlead.model.names import GroupKey, Ref
from fairlead.planner import plan
from fairlead.planner.adopt import adopted
from tests.planner.make import claim, planned, pool, ref, said, world

POOLS = (pool("blue"), pool("six", "fd00::10-fd00::1f"))
NAMES = [f"s{i}" for i in range(6)]
BOTH = (4, 6)


def claims_of(shapes: list[tuple[str, bool, str]]) -> list[Claim]:
    """(sharing key, both families, static address) by name."""
    found = []
    for number, (key, both, static) in enumerate(shapes):
        families: tuple[int, ...] = BOTH if both else (4,)
        found.append(
            claim(
                NAMES[number],
                f"{80 + number}/TCP",
                share=key,
                static=[static] if static and not both else [],
                families=families,
                created=f"2026-01-0{number + 1}T00:00:00Z",
            )
        )
    return found


Shape = st.tuples(
    st.sampled_from(["", "", "key", "other"]),
    st.booleans(),
    st.sampled_from(["", "", "192.0.2.15", "192.0.2.17"]),
)
Shapes = st.lists(Shape, min_size=1, max_size=len(NAMES))


def shown_by(decided_claims: Claims, ledger: Ledger) -> dict[Ref, tuple[IPAddress, ...]]:
    decided = plan(decided_claims, ledger)
    return {ref(c): said(decided, c).addresses for c in NAMES if ref(c) in decided_claims.by_ref}


def sound(ledger: Ledger) -> None:
    """Every address has one holder, and holders and holdings say the same."""
    spots = [a.spot for holding in ledger.holdings.values() for a in holding.assignments]
    assert len(spots) == len(set(spots))
    assert dict(ledger.holders.items()) == {
        a.spot: key for key, holding in ledger.holdings.items() for a in holding.assignments
    }


@given(shapes=Shapes, lost=st.sets(st.integers(0, 20)), holes=st.integers(0, 3))
def test_whatever_part_of_the_ledger_is_lost_nobody_moves(
    shapes: list[tuple[str, bool, str]], lost: set[int], holes: int
) -> None:
    claims = claims_of(shapes)
    before = planned(*(claim(f"hole{i}") for i in range(holes)), pools=POOLS)
    # the holes were there first, and are gone: first free is not what the others have
    facts = world(*claims, pools=POOLS)
    ledger = plan(facts, before.ledger).ledger
    shown = shown_by(facts, ledger)
    assignments = [(key, a) for key, h in sorted(ledger.holdings.items()) for a in h.assignments]
    left = [pair for number, pair in enumerate(assignments) if number not in lost]
    holdings = {}
    for key, holding in ledger.holdings.items():
        mine = tuple(a for k, a in left if k == key)
        if mine:
            holdings[key] = Holding(key, mine, holding.setting, holding.owners)
    completed = adopted(facts, ledger_of(holdings, []), shown)
    sound(completed)
    assert shown_by(facts, completed) == shown


Address = st.sampled_from(["192.0.2.11", "192.0.2.12", "192.0.2.15", "203.0.113.1", "fd00::10"])


@given(
    shapes=Shapes,
    statuses=st.dictionaries(
        st.sampled_from(NAMES), st.lists(Address.map(ip_address), max_size=3).map(tuple)
    ),
    known=st.dictionaries(st.sampled_from(NAMES), Address, max_size=3),
)
def test_whatever_services_show_no_address_is_twos(
    shapes: list[tuple[str, bool, str]],
    statuses: dict[str, tuple[IPAddress, ...]],
    known: dict[str, str],
) -> None:
    facts = world(*claims_of(shapes), pools=POOLS)
    held: dict[Spot, GroupKey] = {}
    for name, text in known.items():
        held.setdefault(
            Spot("default", ip_address(text)), GroupKey("ako", "service", "default", name)
        )
    holdings = {key: Holding(key, (Assignment(spot, "blue"),)) for spot, key in held.items()}
    before = ledger_of(holdings, [])
    after = adopted(facts, before, {ref(name): found for name, found in statuses.items()})
    sound(after)
    for key, holding in before.holdings.items():
        assert set(after.holdings[key].assignments) >= set(holding.assignments)
    sound(plan(facts, after).ledger)


def test_an_address_that_two_groups_show_is_the_olders() -> None:
    young = claim("young", created="2026-02-01T00:00:00Z")
    old = claim("old", created="2026-01-01T00:00:00Z")
    address = ip_address("192.0.2.17")
    shown = {ref("young"): (address,), ref("old"): (address,)}
    decided = plan(
        world(young, old, pools=POOLS), adopted(world(young, old, pools=POOLS), Ledger(), shown)
    )
    assert said(decided, "old").addresses == (address,)
    assert said(decided, "young").addresses not in ((), (address,))


def test_what_a_node_has_is_adopted_by_nobody() -> None:
    from immutables import Map

    address = ip_address("192.0.2.17")
    facts = world(claim("web"), pools=POOLS, node_addresses=Map({address: Ref("Node", "", "n")}))
    assert not adopted(facts, Ledger(), {ref("web"): (address,)}).holdings
