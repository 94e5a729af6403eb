"""What is told of objects: only changes, and what only the data plane knows."""

from ipaddress import ip_address

from fairlead.model.verdict import Code, State
from fairlead.planner import verdict
from fairlead.runtime.verdicts import Impediment, News, concerned, overlaid, touched

from ..planner.make import claim, planned, ref, then

A, B = ip_address("192.0.2.10"), ip_address("192.0.2.11")
TAKEN = Impediment(A, Code.ADDRESS_IN_USE, "somebody has it")
DOWN = Impediment(A, Code.NO_READY_ENGINE, "eth0 is down")


def test_only_what_changed_is_told() -> None:
    news = News()
    one = planned(claim("a"), claim("b", "80/TCP"))
    first = news.about(one, None)
    assert [(c.ref.name, c.before, c.after and c.after.addresses) for c in first] == [
        ("a", None, (A,)),
        ("b", None, (B,)),
    ]
    assert news.about(one, None) == []
    two = then(one, claim("b"))
    (gone,) = news.about(two, touched(one, two))
    assert gone.ref == ref("a")
    assert gone.before == first[0].after
    assert gone.after is None


def test_a_member_without_its_address_is_pending_and_the_others_are_as_before() -> None:
    plan = planned(claim("a", share="x"), claim("b", "443/TCP", share="x"), claim("c"))
    shown = overlaid(plan, [TAKEN])
    for name in ("a", "b"):
        said = verdict(shown, ref(name))
        assert said is not None
        assert (said.state, said.code, said.addresses) == (State.PENDING, Code.ADDRESS_IN_USE, ())
    assert verdict(shown, ref("c")) == verdict(plan, ref("c"))
    assert concerned(plan, [TAKEN]) == {ref("a"), ref("b")}
    assert shown.ledger is plan.ledger


def test_an_address_that_cannot_be_announced_stays_with_the_reason() -> None:
    shown = overlaid(planned(claim("a")), [DOWN])
    said = verdict(shown, ref("a"))
    assert said is not None
    assert (said.state, said.code, said.addresses) == (State.SERVED, Code.NO_READY_ENGINE, (A,))


def test_one_family_of_two_is_still_served() -> None:
    both = claim("a", static=("192.0.2.10", "2001:db8::10"), by_address=True)
    shown = overlaid(planned(both, pools=()), [TAKEN])
    said = verdict(shown, ref("a"))
    assert said is not None
    assert said.state is State.SERVED
    assert said.addresses == (ip_address("2001:db8::10"),)
    assert said.code is Code.ADDRESS_IN_USE


def test_verdicts_of_refused_members_are_left_alone() -> None:
    plan = planned(claim("a", share="x"), claim("b", share="x"))
    shown = overlaid(plan, [TAKEN])
    said = verdict(shown, ref("b"))
    assert said is not None
    assert said.code is Code.PORT_CONFLICT


def test_an_impediment_to_an_address_of_nobody_is_nothing() -> None:
    plan = planned(claim("a"))
    assert overlaid(plan, [Impediment(B, Code.ADDRESS_IN_USE, "")]).outcomes == plan.outcomes
