"""Addresses from DHCP in the plan: waiting, leased, kept, lost; identifiers; who asks."""

from ipaddress import ip_address

import pytest
from immutables import Map
from msgspec.structs import replace

from fairlead.model.addresses import IPAddress
from fairlead.model.claim import Claim, Claims, Engine, EngineRule
from fairlead.model.dhcp import DhcpWish, Leased, LeaseKey, mac_of, own_id
from fairlead.model.ledger import Ledger
from fairlead.model.names import GroupKey, Ref
from fairlead.model.plan import Plan
from fairlead.model.verdict import Code, State
from fairlead.planner import compile_dhcp, delta_dhcp, guard, plan, verdict
from fairlead.planner.lease import asker
from tests.planner.make import claim

A, B = ip_address("10.0.0.150"), ip_address("10.0.0.151")
ENGINES = ("e1", "e2", "e3")


def bound(address: IPAddress = A, *, client_id: str = "", engine: str = "") -> Leased:
    return Leased(family=4, state="Bound", address=address, client_id=client_id, engine=engine)


LOST = Leased(family=4, state="Lost", server="10.0.0.1", message="DHCP server 10.0.0.1 took it")
REFUSED = Leased(family=4, state="Refused", server="10.0.0.1", message="DHCP server 10.0.0.1: full")


def wanting(
    name: str, *leased: Leased, hostname: str = "", group: str = "", created: str = "1"
) -> Claim:
    """A claim on 0.0.0.0, as its dialect makes it of what is known."""
    key = GroupKey("kube-vip", "dhcp", "default", name)
    if group:
        key = GroupKey("kube-vip", "macvlan", "", group)
    return replace(
        claim(name, by_address=True, created=created),
        group=key,
        families=(4,),
        addresses=tuple(one.address for one in leased if one.address),
        dhcp=DhcpWish(families=(4,), hostname=hostname, leased=leased),
    )


def claims(*made: Claim, ready: tuple[str, ...] = ENGINES, revision: int = 1) -> Claims:
    rule = EngineRule(name="default", engines=tuple(Engine(n, n in ready) for n in ENGINES))
    return Claims(
        by_ref=Map({one.ref: (one,) for one in made}),
        engine_rules=Map({"default": rule}),
        revision=revision,
    )


def test_it_waits_is_leased_and_loses_it() -> None:
    ref = Ref("Service", "default", "web")
    waiting = plan(claims(wanting("web")), Ledger())
    said = verdict(waiting, ref)
    assert said is not None
    assert (said.state, said.code) == (State.PENDING, Code.WAITING_FOR_DHCP)
    served = plan(claims(wanting("web", bound())), waiting.ledger)
    said = verdict(served, ref)
    assert said is not None
    assert said.addresses == (A,)
    # nobody says anything of the lease any more: the address stays, and is gone on with
    silent = plan(claims(wanting("web")), served.ledger)
    said = verdict(silent, ref)
    assert said is not None
    assert said.addresses == (A,)
    (row,) = (o for outcome in silent.outcomes.values() for o in outcome.leases)
    assert row.known is not None
    assert row.known.address == A
    # it moves with the lease, and goes with it
    moved = plan(claims(wanting("web", bound(B))), silent.ledger)
    said = verdict(moved, ref)
    assert said is not None
    assert said.addresses == (B,)
    lost = plan(claims(wanting("web", LOST)), moved.ledger)
    said = verdict(lost, ref)
    assert said is not None
    assert (said.code, said.addresses) == (Code.DHCP_LEASE_LOST, ())
    assert not lost.ledger.holders


def test_a_refusal_names_the_server() -> None:
    made = plan(claims(wanting("web", REFUSED)), Ledger())
    said = verdict(made, Ref("Service", "default", "web"))
    assert said is not None
    assert said.reason is not None
    assert said.code is Code.DHCP_REFUSED
    assert "10.0.0.1" in said.reason.message


def test_an_address_that_another_group_has_is_not_given_twice() -> None:
    other = claim("other", static=["10.0.0.150"], by_address=True, created="1")
    made = plan(claims(other, wanting("web", bound(), created="2")), Ledger())
    said = verdict(made, Ref("Service", "default", "web"))
    assert said is not None
    assert said.code is Code.ADDRESS_IN_USE
    # the lease stays ordered, so that it does not come and go with the conflict
    assert compile_leases(made)


def compile_leases(made: Plan) -> set[LeaseKey]:
    return {order.key for outcome in made.outcomes.values() for order in outcome.leases}


def test_the_guard_lets_ended_leases_go() -> None:
    many = [wanting(f"s{n:02}", bound(ip_address("10.0.0.100") + n)) for n in range(30)]
    served = plan(claims(*many), Ledger())
    ended = plan(claims(*(wanting(f"s{n:02}", LOST) for n in range(30))), served.ledger)
    assert not ended.ledger.holders
    assert guard(served.ledger, ended) is None


# -- identifiers -----------------------------------------------------------------------------------


def ids(made: Plan) -> dict[str, str]:
    return {
        order.key.group.name: order.client_id
        for outcome in made.outcomes.values()
        for order in outcome.leases
    }


def test_of_two_with_one_hostname_the_older_has_it_for_its_identifier() -> None:
    one, two = wanting("one", hostname="h"), wanting("two", hostname="h", created="2")
    made = plan(claims(one, two), Ledger())
    own = own_id("h", GroupKey("kube-vip", "dhcp", "default", "two"))
    assert ids(made) == {"one": "h", "two": own}
    later = wanting("two", bound(B, client_id=own), hostname="h", created="2")
    said = verdict(plan(claims(one, later), Ledger()), two.ref)
    assert said is not None
    assert [w.code for w in said.warnings] == [Code.HOSTNAME_TAKEN]


def test_what_a_lease_is_held_under_stays() -> None:
    """Neither an older newcomer nor the end of the other changes anybody's identifier."""
    two = wanting("two", bound(B, client_id="h"), hostname="h", created="2")
    one = wanting("one", hostname="h")
    own = own_id("h", GroupKey("kube-vip", "dhcp", "default", "one"))
    assert ids(plan(claims(one, two), Ledger())) == {"one": own, "two": "h"}
    held = wanting("one", bound(A, client_id=own), hostname="h")
    assert ids(plan(claims(held), Ledger())) == {"one": own}


def test_services_of_one_macvlan_are_one_lease() -> None:
    one, two = wanting("one", group="lan7"), wanting("two", group="lan7", created="2")
    made = plan(claims(one, replace(two, listeners=())), Ledger())
    assert len(compile_leases(made)) == 1


@pytest.mark.parametrize("hostname", ["", "h"])
def test_a_change_plans_the_same_as_everything_anew(hostname: str) -> None:
    one, two = wanting("one", hostname=hostname), wanting("two", hostname=hostname, created="2")
    before = plan(claims(one, two), Ledger())
    for changed in ((two,), (one,), ()):
        gone = {one.ref, two.ref} - {c.ref for c in changed}
        after = replace(claims(*changed, revision=2), base=1, touched=frozenset(gone))
        after = replace(after, engine_rules=before.claims.engine_rules)
        step = plan(after, before.ledger, before)
        assert ids(step) == ids(plan(claims(*changed), before.ledger))


# -- who asks --------------------------------------------------------------------------------------


def test_one_engine_asks_and_another_when_that_is_not_able() -> None:
    made = plan(claims(wanting("web")), Ledger())
    (order,) = (o for outcome in made.outcomes.values() for o in outcome.leases)
    first = asker(made, order)
    asking = [name for name in ENGINES if compile_dhcp(made, name).rows]
    assert asking == [first]
    rest = tuple(name for name in ENGINES if name != first)
    later = plan(claims(wanting("web"), ready=rest), Ledger())
    assert asker(later, order) in rest
    nobody = plan(claims(wanting("web"), ready=()), Ledger())
    assert asker(nobody, order) == ""


def test_the_vip_is_at_home_where_its_lease_was_got() -> None:
    for engine in ENGINES:
        made = plan(claims(wanting("web", bound(engine=engine))), Ledger())
        (order,) = (o for outcome in made.outcomes.values() for o in outcome.leases)
        assert asker(made, order) == engine


def test_who_loses_a_lease_to_another_keeps_it_and_who_loses_the_service_gives_it_back() -> None:
    made = plan(claims(wanting("web", bound())), Ledger())
    (order,) = (o for outcome in made.outcomes.values() for o in outcome.leases)
    holder = asker(made, order)
    rest = tuple(name for name in ENGINES if name != holder)
    moved = plan(claims(wanting("web", bound()), ready=rest), made.ledger, made)
    lost = delta_dhcp(made, moved, holder)
    assert lost.rows == {order.key: None}
    assert lost.ended == frozenset()
    taken = delta_dhcp(made, moved, asker(moved, order))
    assert set(taken.rows) == {order.key}
    assert taken.known[order.key].address == A
    gone = plan(claims(), made.ledger, made)
    assert delta_dhcp(made, gone, holder).ended == {order.key}


def test_the_mac_is_a_host_s_own_and_the_same_for_ever() -> None:
    mac = mac_of(GroupKey("kube-vip", "dhcp", "default", "nginx-dhcp"))
    assert mac == "f2:95:26:a2:2c:6e"
    assert int(mac[:2], 16) & 3 == 2
