"""The pure rules of the lanes, over all orders of two changes."""

from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st

from fairlead.model.addresses import IPAddress
from fairlead.model.desired import L2Changes, L2Desired, L4Changes, L4Desired, L4Key, L4Listener
from fairlead.planner import diff_l2, diff_l4
from fairlead.runtime.lanes import L2Lane, L4Lane

SOME = [ip_address(f"192.0.2.{n}") for n in range(1, 5)]
SETS = st.frozensets(st.sampled_from(SOME))
L4 = L4Lane("here")


def l2(known: frozenset[IPAddress] = frozenset()) -> L2Lane:
    return L2Lane("here", known=known, contested=frozenset)


@st.composite
def states(draw: st.DrawFn) -> L4Desired:
    vips = draw(SETS)
    ports = [(vip, port) for vip in sorted(vips, key=int) for port in (80, 443)]
    kept = draw(st.frozensets(st.sampled_from(ports))) if ports else frozenset()
    seconds = draw(st.sampled_from([0, 60]))
    rows = {L4Key(vip, "TCP", port): L4Listener((), seconds) for vip, port in kept}
    return L4Desired(rows, vips)


def applied(state: L4Desired, changes: L4Changes) -> L4Desired:
    rows = {**state.listeners, **changes.listeners}
    return L4Desired(
        {key: row for key, row in rows.items() if row is not None},
        (state.vips | changes.vips_added) - changes.vips_removed,
    )


@given(states(), states(), states())
def test_combined_l4_changes_do_what_both_do_one_after_the_other(
    a: L4Desired, b: L4Desired, c: L4Desired
) -> None:
    both = L4.combine(diff_l4(b, a), diff_l4(c, b))
    assert applied(a, both) == c


@given(states(), states(), st.none() | SETS, SETS)
def test_l4_never_takes_what_is_announced_or_spared_and_forgets_nothing(
    a: L4Desired, b: L4Desired, announced: frozenset[IPAddress] | None, spared: frozenset[IPAddress]
) -> None:
    changes = diff_l4(b, a)
    now, later = L4.split(changes, other=announced, spared=spared - b.vips)
    middle = applied(a, now)
    untouched = a.vips if announced is None else a.vips & announced
    assert untouched | (a.vips & (spared - b.vips)) <= middle.vips
    for key, row in a.listeners.items():
        if key.address in middle.vips - b.vips:
            assert middle.listeners[key] == row
    assert b.vips <= middle.vips
    end = applied(middle, later) if later is not None else middle
    kept = a.vips & (spared - b.vips)
    assert end.vips == b.vips | kept
    assert {k: r for k, r in end.listeners.items() if k.address not in kept} == b.listeners


@given(SETS, SETS, SETS)
def test_combined_l2_changes_do_what_both_do_one_after_the_other(
    a: frozenset[IPAddress], b: frozenset[IPAddress], c: frozenset[IPAddress]
) -> None:
    first = diff_l2(L2Desired(b, fresh=b), L2Desired(a))
    both = l2().combine(first, diff_l2(L2Desired(c), L2Desired(b)))
    assert (a | both.added) - both.removed == c
    assert both.probe <= both.added


@given(SETS, SETS, st.none() | SETS, SETS)
def test_l2_takes_only_what_has_listeners_and_lets_go_at_once(
    a: frozenset[IPAddress],
    b: frozenset[IPAddress],
    ready: frozenset[IPAddress] | None,
    spared: frozenset[IPAddress],
) -> None:
    now, later = l2().split(diff_l2(L2Desired(b), L2Desired(a)), other=ready, spared=spared)
    assert now.added == (b - a) & (ready or frozenset())
    assert now.removed == a - b - spared
    assert now.added | (later.added if later else frozenset()) == b - a
    assert later is None or not later.removed


def test_an_address_is_probed_unless_it_was_ours_all_along() -> None:
    one, two = SOME[:2]
    lane = l2(frozenset([one]))
    take = L2Changes(frozenset([one, two]), frozenset())
    everything = frozenset(SOME)
    assert lane.split(take, other=everything, spared=frozenset()).now.probe == {two}
    lane.moved(take)
    assert lane.split(take, other=everything, spared=frozenset()).now.probe == frozenset()
    lane.moved(L2Changes(frozenset(), frozenset([one])))
    assert lane.split(take, other=everything, spared=frozenset()).now.probe == {one}


def test_an_address_that_somebody_else_has_is_not_ours() -> None:
    one = SOME[0]
    lane = L2Lane("here", known=(), contested=lambda: frozenset([one]))
    take = L2Changes(frozenset([one]), frozenset())
    assert lane.moved(take) == (frozenset(), frozenset())
    assert lane.split(take, other=frozenset(SOME), spared=frozenset()).now.probe == {one}
