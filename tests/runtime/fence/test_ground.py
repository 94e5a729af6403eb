"""Interfaces that fail count at once; one that is back must stay for a while."""

from ipaddress import ip_address

from fairlead.model.berth import Table
from fairlead.planner.berth import berths_of
from fairlead.runtime.fence.ground import HEALED, Ground

from ..house import FakeLinks

ONE, TWO = ip_address("192.0.2.1"), ip_address("2001:db8::2")
ME = ip_address("192.0.2.250")


def table() -> Table:
    rows = ((("a", "b"), 1, ONE), (("b", "a"), 1, TWO))
    return Table(me="a", address=ME, peers={}, berths=berths_of(rows))


def test_a_link_that_flaps_takes_nothing_to_and_fro() -> None:
    ground, known = Ground(FakeLinks), table()
    first, second = (berth.mark for berth in known.berths)
    assert ground.is_news(known)
    ground.look(known, {}, 0.0)
    assert not ground.is_news(known)
    assert ground.aground(known, 0.0) == frozenset()
    ground.look(known, {ONE: "lan: down"}, 1.0)
    assert ground.aground(known, 1.0) == {first}
    assert ground.problems == {ONE: "lan: down"}
    ground.look(known, {}, 2.0)
    assert ground.problems == {}
    assert ground.aground(known, 2.0 + HEALED / 2) == {first}
    ground.look(known, {ONE: "lan: down"}, 3.0)
    ground.look(known, {}, 4.0)
    ground.look(known, {TWO: "other: gone"}, 5.0)  # something else does not begin it anew
    assert ground.aground(known, 4.0 + HEALED + 0.01) == {second}


def test_a_vip_that_goes_is_mourned_by_nobody() -> None:
    ground, known = Ground(FakeLinks), table()
    ground.look(known, {ONE: "lan: down", TWO: "lan: down"}, 1.0)
    less = Table(me="a", address=ME, peers={}, berths=known.berths[1:])
    assert ground.is_news(less)
    ground.look(less, {}, 1.1)
    assert ground.aground(less, 1.2) == {known.berths[1].mark}
