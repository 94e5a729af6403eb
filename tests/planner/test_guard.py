"""Many addresses do not go by accident."""

from fairlead.model.names import Ref
from fairlead.planner import guard

from .make import claim, planned, pool, then

BIG = [pool("big", "10.0.0.0/24")]
MANY = [claim(f"s{i}") for i in range(50)]


def test_emptied_folder_is_refused() -> None:
    before = planned(*MANY, pools=BIG)
    refusal = guard(before.ledger, then(before))
    assert refusal is not None
    assert len(refusal.addresses) == 50
    assert "--yes" in refusal.message


def test_a_tenth_may_go_and_fewer_than_ten_always() -> None:
    before = planned(*[claim(f"s{i}") for i in range(200)], pools=BIG)
    keep = [claim(f"s{i}") for i in range(20, 200)]
    assert guard(before.ledger, then(before, *keep)) is None
    assert guard(before.ledger, then(before, *keep[1:])) is not None
    few = planned(*MANY[:9], pools=BIG)
    assert guard(few.ledger, then(few)) is None


def test_explicit_deletes_are_not_counted() -> None:
    before = planned(*MANY, pools=BIG)
    gone = frozenset(Ref("Service", "default", f"s{i}") for i in range(50))
    assert guard(before.ledger, then(before), explicit=gone) is None


def test_pool_edit_that_moves_everybody_is_refused() -> None:
    before = planned(*MANY, pools=BIG)
    moved = then(before, *MANY, pools=[pool("big", "10.9.0.0/24")])
    assert guard(before.ledger, moved) is not None


def test_vips_that_ask_for_other_addresses_are_no_loss() -> None:
    before = planned(*MANY, pools=BIG)
    asking = [claim(f"s{i}", static=[f"10.0.0.{100 + i}"]) for i in range(50)]
    assert guard(before.ledger, then(before, *asking)) is None
