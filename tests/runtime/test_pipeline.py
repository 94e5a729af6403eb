"""Batches in, plans out, and what the guard holds back."""

from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.model.addresses import canonical, parse_address
from fairlead.model.config import Config
from fairlead.model.kube import Service
from fairlead.model.ledger import Ledger
from fairlead.model.objects import AddressPool
from fairlead.model.verdict import Code, State
from fairlead.model.world import Change
from fairlead.planner import verdict
from fairlead.runtime.pipeline import CONFIRM, Pipeline, Step

from .objects import added, backends, deleted, pool, service, unusable

HOST = "here"
MANY = [service(f"s{n:02}") for n in range(30)]
POOL = pool("192.0.2.0/24")


def fresh(ledger: Ledger | None = None) -> Pipeline:
    return Pipeline(Config(), HOST, ledger or Ledger())


def served(step: Step) -> dict[str, str]:
    found = ((one, verdict(step.plan, one.ref)) for one in MANY)
    return {
        one.name: " ".join(map(canonical, said.addresses))
        for one, said in found
        if said is not None and said.state is State.SERVED
    }


def started() -> tuple[Pipeline, Step]:
    pipeline = fresh()
    return pipeline, pipeline.feed(added(POOL, *MANY))


def test_a_change_costs_what_it_changes_and_the_rest_is_shared() -> None:
    pipeline, first = started()
    assert first.plan.changed is None
    assert len(served(first)) == 30
    second = pipeline.feed(added(backends("s00", "10.244.0.1")))
    assert second.plan.changed is not None
    assert len(second.plan.changed) == 1
    assert second.plan.ledger is first.plan.ledger
    assert pipeline.feed([]).plan.changed == frozenset()


def test_an_emptied_folder_changes_nothing_until_it_is_confirmed() -> None:
    pipeline, before = started()
    step = pipeline.feed(deleted(POOL, *MANY))
    assert step.refused is not None
    assert len(step.refused.addresses) == 30
    assert step.refused.withheld == tuple(sorted([POOL.ref, *(one.ref for one in MANY)]))
    assert served(step) == served(before)
    assert step.plan.ledger == before.plan.ledger
    after = pipeline.confirm()
    assert after.refused is None
    assert served(after) == {}
    assert not after.plan.ledger.holders


def test_the_rest_of_a_refused_batch_is_applied() -> None:
    pipeline, before = started()
    other = service("new")
    step = pipeline.feed([*deleted(*MANY), *added(other)])
    assert step.refused is not None
    said = verdict(step.plan, other.ref)
    assert said is not None
    assert said.state is State.SERVED
    assert served(step) == served(before)


def test_files_that_come_back_take_the_refusal_back() -> None:
    pipeline, before = started()
    pipeline.feed(deleted(POOL, *MANY))
    step = pipeline.feed(added(POOL, *MANY))
    assert step.refused is None
    assert served(step) == served(before)
    assert pipeline.confirm().plan.ledger == before.plan.ledger


def test_what_is_still_missing_is_judged_anew_with_every_batch() -> None:
    pipeline, _ = started()
    pipeline.feed(deleted(*MANY))
    step = pipeline.feed(added(*MANY[2:]))
    assert step.refused is None
    assert sorted(served(step)) == [one.name for one in MANY[2:]]


def test_pending_deletions_are_not_forgotten_by_batches_about_others() -> None:
    pipeline, before = started()
    pipeline.feed(deleted(*MANY))
    step = pipeline.feed(added(backends("s00", "10.244.0.1")))
    assert step.refused is not None
    assert len(step.refused.withheld) == 30
    assert served(step) == served(before)
    assert served(pipeline.confirm()) == {}


def test_a_shrunken_pool_waits_and_a_small_change_of_it_does_not() -> None:
    pipeline, before = started()
    step = pipeline.feed(added(pool("192.0.2.0-192.0.2.5")))
    assert step.refused is not None
    assert step.refused.withheld == (POOL.ref,)
    assert served(step) == served(before)
    found = step.world.find(AddressPool, "pool")
    assert found is not None
    assert found.spec.addresses == ("192.0.2.0/24",)
    step = pipeline.feed(added(pool("192.0.2.0-192.0.2.28")))
    assert step.refused is None
    assert len(served(step)) == 29  # .29 and .30 left it, and one of the two got .0


def test_services_that_turn_away_together_are_held_back_too() -> None:
    """No deletion and no pool: then the whole batch waits."""
    pipeline, before = started()
    away = [service(one.name, kind="ClusterIP") for one in MANY]
    step = pipeline.feed(added(*away))
    assert step.refused is not None
    assert served(step) == served(before)
    other = service("new")
    step = pipeline.feed(added(other))
    assert step.refused is not None
    said = verdict(step.plan, other.ref)
    assert said is not None
    assert said.state is State.SERVED
    assert served(step) == served(before)
    assert served(pipeline.confirm()) == {}


def test_explicit_deletes_are_not_held_back() -> None:
    pipeline, _ = started()
    step = pipeline.feed(deleted(*MANY), explicit=frozenset(one.ref for one in MANY))
    assert step.refused is None
    assert served(step) == {}


def test_an_annotation_with_the_token_confirms_and_only_this_refusal() -> None:
    pipeline, before = started()
    refused = pipeline.feed(deleted(*MANY)).refused
    assert refused is not None
    assert f"{CONFIRM}: {refused.token}" in refused.message
    wrong = pool("192.0.2.0/24", fairlead_dev="x", **{CONFIRM: "0123456789ab"})
    step = pipeline.feed(added(wrong))
    assert served(step) == served(before)
    step = pipeline.feed(added(pool("192.0.2.0/24", **{CONFIRM: refused.token})))
    assert step.refused is None
    assert served(step) == {}
    again = pipeline.feed(added(*MANY))
    assert len(served(again)) == 30
    assert pipeline.feed(deleted(*MANY[:20])).refused is not None


def test_a_start_with_an_emptied_folder_keeps_the_ledger_and_spares_the_addresses() -> None:
    _, before = started()
    pipeline = fresh(before.plan.ledger)
    step = pipeline.feed([])
    assert step.refused is not None
    assert step.sheltering
    assert step.plan.ledger.holders == before.plan.ledger.holders
    assert step.spared == {spot.address for spot in before.plan.ledger.holders}
    assert step.refused.withheld == tuple(one.ref for one in MANY)
    back = pipeline.feed(added(POOL, *MANY))
    assert back.refused is None
    assert not back.sheltering
    assert back.spared == frozenset()
    assert served(back) == served(before)


def test_a_start_with_an_emptied_folder_can_be_confirmed() -> None:
    _, before = started()
    pipeline = fresh(before.plan.ledger)
    pipeline.feed([])
    step = pipeline.confirm()
    assert not step.plan.ledger.holders
    assert step.spared == frozenset()
    assert step.refused is None


def test_a_start_serves_what_is_there_and_gives_nobody_the_addresses_of_the_missing() -> None:
    _, before = started()
    pipeline = fresh(before.plan.ledger)
    newcomers = [service(f"new{n}") for n in range(5)]
    step = pipeline.feed(added(POOL, *MANY[:10], *newcomers))
    assert step.refused is not None
    assert served(step) == {name: served(before)[name] for name in sorted(served(before))[:10]}
    taken = {spot.address for spot in before.plan.ledger.holders}
    for one in newcomers:
        said = verdict(step.plan, one.ref)
        assert said is not None
        assert said.state is State.SERVED
        assert not taken & set(said.addresses)
    assert step.spared == {parse_address(served(before)[one.name]) for one in MANY[10:]}
    later = pipeline.feed(added(backends("s00", "10.244.0.1")))
    assert later.refused is not None
    assert later.spared == step.spared
    assert served(later) == served(step)


def test_a_pool_that_shrank_while_nothing_ran_keeps_what_the_ledger_proves() -> None:
    _, before = started()
    pipeline = fresh(before.plan.ledger)
    step = pipeline.feed(added(pool("192.0.2.0-192.0.2.5"), *MANY))
    assert step.refused is not None
    assert served(step) == served(before)
    assert served(pipeline.confirm()) != served(before)


def test_a_pool_that_vanished_while_nothing_ran_keeps_what_the_ledger_proves() -> None:
    _, before = started()
    pipeline = fresh(before.plan.ledger)
    newcomer = service("new")
    step = pipeline.feed(added(*MANY, newcomer))
    assert step.refused is not None
    assert served(step) == served(before)
    said = verdict(step.plan, newcomer.ref)
    assert said is not None
    assert said.code is Code.NO_POOL


def test_few_missing_at_a_start_are_simply_released() -> None:
    _, before = started()
    pipeline = fresh(before.plan.ledger)
    step = pipeline.feed(added(POOL, *MANY[5:]))
    assert step.refused is None
    assert len(step.plan.ledger.holders) == 25


def test_an_unusable_object_at_a_start_keeps_its_address() -> None:
    _, before = started()
    pipeline = fresh(before.plan.ledger)
    lost = MANY[0].ref
    step = pipeline.feed([*added(POOL, *MANY[1:]), *unusable(lost)])
    assert step.refused is None
    assert step.plan.ledger.holders == before.plan.ledger.holders
    assert step.spared == {parse_address(served(before)["s00"])}
    healed = pipeline.feed(added(MANY[0]))
    assert served(healed) == served(before)
    assert healed.spared == frozenset()


def test_an_unusable_version_of_a_served_object_changes_nothing() -> None:
    pipeline, before = started()
    step = pipeline.feed(unusable(MANY[0].ref))
    said = verdict(step.plan, MANY[0].ref)
    assert said is not None
    assert said.code is Code.INVALID_OBJECT
    assert said.addresses == (parse_address(served(before)["s00"]),)
    assert step.plan.ledger == before.plan.ledger
    assert sorted(v.name for v in step.plan.vips()) == sorted(v.name for v in before.plan.vips())


def test_the_last_change_of_an_object_in_a_batch_counts() -> None:
    pipeline, before = started()
    step = pipeline.feed([*deleted(*MANY), *added(*MANY)])
    assert step.refused is None
    assert served(step) == served(before)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(range(30)), st.booleans(), min_size=1), max_size=6))
def test_whatever_comes_little_goes_unconfirmed_and_confirmation_makes_up_for_all(
    batches: list[dict[int, bool]],
) -> None:
    pipeline, step = started()
    world = step.world
    for batch in batches:
        before = step.plan.ledger.holders
        changes = [Change(MANY[n].ref, MANY[n] if there else None) for n, there in batch.items()]
        world = world.evolve(changes)
        step = pipeline.feed(changes)
        assert len(set(before) - set(step.plan.ledger.holders)) <= 9
        if step.refused is None:
            assert step.world.tables == world.tables
    end = pipeline.confirm()
    assert end.world.tables == world.tables
    assert len(end.plan.ledger.holders) == len(list(world.every(Service)))
