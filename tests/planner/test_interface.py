"""The interface that members of a VIP ask for."""

from fairlead.model.verdict import Code
from tests.planner.make import claim, planned, said


def test_the_one_that_is_asked_for() -> None:
    static = ("192.0.2.10",)
    plain = claim("a", by_address=True, static=static, created="1")
    named = claim("b", "81/TCP", by_address=True, static=static, created="2", interface="eth1")
    made = planned(plain, named)
    (vip,) = made.vips()
    assert vip.interface == "eth1"
    assert not said(made, "a").warnings


def test_two_are_one_too_many_and_the_older_wins() -> None:
    static = ("192.0.2.10",)
    made = planned(
        claim("b", by_address=True, static=static, created="1", interface="eth2"),
        claim("a", "81/TCP", by_address=True, static=static, created="2", interface="eth1"),
    )
    (vip,) = made.vips()
    assert vip.interface == "eth2"
    (warning,) = said(made, "a").warnings
    assert warning.code is Code.INVALID_OBJECT
    assert "eth2 has it instead of eth1" in warning.message
