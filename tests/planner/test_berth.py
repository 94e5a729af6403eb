"""Berths change hands in agreement: who leaves hands over without a gap, who returns without a
double; whenever tables and words arrive.

A little world in which all fences are well and connected, and what they say takes its time.
"""

from collections.abc import Iterable, Iterator
from ipaddress import ip_address

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from fairlead.model.addresses import IPAddress
from fairlead.model.berth import Berth, Table
from fairlead.model.cell import Roster, Row, Sight
from fairlead.planner import tenure
from fairlead.planner.berth import NONE, Word, berths_of, chosen, leave, stand

NAMES = ("a", "b", "c")
CELL = frozenset(NAMES)
VIPS = {ip_address(f"192.0.2.{n}"): (*NAMES[n % 3 :], *NAMES[: n % 3]) for n in range(1, 7)}
ADDRESSES = {name: ip_address(f"198.51.100.{n}") for n, name in enumerate(NAMES, 1)}


def table(me: str, leaving: Iterable[str] = ()) -> Table:
    going = frozenset(leaving)
    return Table(
        me=me,
        address=ADDRESSES[me],
        peers={name: one for name, one in ADDRESSES.items() if name != me},
        berths=berths_of((leave(order, going), 1, vip) for vip, order in VIPS.items()),
    )


class Cell:
    """Three fences. ``lag``: ticks that a word takes from one to another."""

    def __init__(self, lag: dict[tuple[str, str], int]) -> None:
        self.now = 0
        self.lag = lag
        self.tables = {name: table(name) for name in NAMES}
        self.own = dict.fromkeys(NAMES, Word())
        self.aground: dict[str, frozenset[str]] = {}
        self.heard: dict[str, dict[str, Word]] = {name: {} for name in NAMES}
        self.post: list[tuple[int, str, str, Word]] = []
        self.held = {name: frozenset[IPAddress]() for name in NAMES}
        self.run(12)

    def tick(self) -> None:
        self.now += 1
        due = [one for one in self.post if one[0] <= self.now]
        self.post = [one for one in self.post if one[0] > self.now]
        for _, sender, to, word in due:
            self.heard[to][sender] = word
        for name in NAMES:
            self._act(name)

    def _act(self, name: str) -> None:
        found = stand(
            self.tables[name],
            sight(name),
            holds=self.own[name].holds,
            words=self.heard[name],
            aground=self.aground.get(name, NONE),
        )
        self.own[name], self.held[name] = found.word, found.addresses
        for other in CELL - {name}:
            self.post.append((self.now + self.lag[name, other], name, other, found.word))

    def run(self, ticks: int) -> list[dict[IPAddress, int]]:
        """How many hold each VIP, tick by tick."""
        found = []
        for _ in range(ticks):
            self.tick()
            found.append({v: sum(v in held for held in self.held.values()) for v in VIPS})
        return found

    def take(
        self, arrivals: dict[str, int], leaving: Iterable[str]
    ) -> Iterator[dict[IPAddress, int]]:
        """Everybody gets a table in which these leave, each when its time has come."""
        for tick in range(40):
            for name, when in arrivals.items():
                if tick == when:
                    self.tables[name] = table(name, leaving)
            yield from self.run(1)

    def holders(self) -> dict[IPAddress, set[str]]:
        return {vip: {n for n in NAMES if vip in self.held[n]} for vip in VIPS}


def sight(me: str) -> Sight:
    roster = Roster(0, CELL)
    rows = {name: Row(1.0, CELL - {name}, roster, roster) for name in CELL - {me}}
    return Sight(me=me, now=1.0, links=CELL - {me}, roster=roster, agreed=roster, rows=rows)


PAIRS = [(one, other) for one in NAMES for other in NAMES if one != other]
LAGS = st.fixed_dictionaries({pair: st.integers(1, 4) for pair in PAIRS})
ARRIVALS = st.fixed_dictionaries({name: st.integers(0, 12) for name in NAMES})


@settings(max_examples=60, deadline=None)
@given(lag=LAGS, there=ARRIVALS, back=ARRIVALS, leaving=st.sets(st.sampled_from(NAMES)))
def test_who_leaves_hands_over_without_a_gap_and_returns_without_a_double(
    lag: dict[tuple[str, str], int],
    there: dict[str, int],
    back: dict[str, int],
    leaving: set[str],
) -> None:
    cell = Cell(lag)
    at_home = {vip: {order[0]} for vip, order in VIPS.items()}
    assert cell.holders() == at_home
    doubles = dict.fromkeys(VIPS, 0)
    for count in cell.take(there, leaving):
        assert min(count.values()) >= 1, "nobody had it"
        for vip in VIPS:
            doubles[vip] += count[vip] > 1
    # a hand-over is one word there and one back; two of them, while the tables differ
    assert max(doubles.values()) <= 2 * 2 * max(lag.values()) + 4
    stays = {n for n in NAMES if n not in leaving} or CELL
    for vip, order in VIPS.items():
        assert cell.holders()[vip] == {next(n for n in order if n in stays)}
    gaps = dict.fromkeys(VIPS, 0)
    for count in cell.take(back, ()):
        for vip in VIPS:
            gaps[vip] += count[vip] < 1
            assert count[vip] <= 1 or len(leaving) > 1, "two had it"
    assert max(gaps.values()) <= 2 * max(lag.values()) + 2
    assert cell.holders() == at_home


SOME = st.sets(st.sampled_from(sorted({berth.mark for berth in table("a").berths})))
FALLS = st.dictionaries(st.sampled_from(NAMES), SOME, max_size=2)


@settings(max_examples=60, deadline=None)
@given(lag=LAGS, falls=FALLS, pause=st.integers(0, 6))
def test_berths_go_where_there_is_ground_for_them_and_come_back(
    lag: dict[tuple[str, str], int], falls: dict[str, set[str]], pause: int
) -> None:
    """Two engines at most lose interfaces, one after the other; and all are mended."""
    cell = Cell(lag)
    at_home = cell.holders()
    marks = {vip: b.mark for b in table("a").berths for vip in b.addresses}
    counts = []
    for name, lost in falls.items():
        cell.aground[name] = frozenset(lost)
        counts += cell.run(pause)
    counts += cell.run(40)
    for vip, order in VIPS.items():
        fit = [n for n in order if marks[vip] not in cell.aground.get(n, NONE)]
        assert cell.holders()[vip] == {fit[0]}
    cell.aground.clear()
    counts += cell.run(40)
    assert cell.holders() == at_home
    for vip in VIPS:
        doubles = sum(count[vip] > 1 for count in counts)
        assert doubles <= 2 * max(lag.values()), "two had it for longer than a word takes"


def test_where_nobody_has_ground_it_stays() -> None:
    cell = Cell(dict.fromkeys(PAIRS, 1))
    before = cell.holders()
    every = frozenset(berth.mark for berth in table("a").berths)
    cell.aground = dict.fromkeys(NAMES, every)
    cell.run(20)
    assert cell.holders() == before


def test_a_vip_with_an_interface_of_its_own_is_another_berth() -> None:
    vips = {ip_address("192.0.2.1"): "", ip_address("192.0.2.4"): "eth1"}
    plain, placed = berths_of(((NAMES, 1, vip) for vip in vips), vips)
    assert (plain.place, placed.place) == ("", "eth1")
    assert plain.mark != placed.mark


@settings(max_examples=30, deadline=None)
@given(lag=LAGS, knows=st.sampled_from(["b", "c"]))
def test_nobody_takes_from_one_that_does_not_know_that_it_is_to_leave(
    lag: dict[tuple[str, str], int], knows: str
) -> None:
    """Its agent is cut off from the API."""
    cell = Cell(lag)
    before = cell.holders()
    for count in cell.take({knows: 0}, {"a"}):
        assert set(count.values()) == {1}
    assert cell.holders() == before


def test_the_order_says_who_leaves_and_the_mark_does_not() -> None:
    calm = Berth(("a", "b", "c"), frozenset())
    going = Berth(leave(calm.order, {"a", "c", "x"}), frozenset())
    assert going.candidates == calm.candidates
    assert going.leaving == {"a", "c"}
    assert not calm.leaving
    assert going.mark == calm.mark
    assert chosen(going, CELL, NONE) == ("b",)
    assert chosen(going, {"a", "c"}, NONE) == ("a",)
    assert chosen(calm, CELL, {"a"}) == ("b",)


def test_nothing_is_taken_before_everybody_who_serves_has_been_heard() -> None:
    """A fence that starts may hear of an engine through another one before it hears its word."""
    heard = {"b": Word()}
    assert not stand(table("a"), sight("a"), holds=NONE, words=heard).addresses
    heard["c"] = Word()
    mine = {vip for vip, order in VIPS.items() if order[0] == "a"}
    assert stand(table("a"), sight("a"), holds=NONE, words=heard).addresses == mine


def test_who_rules_again_takes_nothing_at_first_and_nobody_yields_to_it() -> None:
    words = {name: Word() for name in CELL - {"a"}}
    found = stand(table("a"), sight("a"), holds=NONE, words=words, patient=True)
    assert found.rightful
    assert found.word == Word()
    mine = stand(table("a"), sight("a"), holds=NONE, words=words).word.holds
    assert mine, "there is something to take"
    kept = stand(table("a"), sight("a"), holds=mine, words=words, patient=True)
    assert kept.word == Word(mine, mine), "what it has it keeps"


def test_the_last_one_has_nobody_to_wait_for() -> None:
    alone = replace(sight("a"), links=frozenset(), rows={}, roster=Roster(1, frozenset("a")))
    alone = replace(alone, agreed=alone.roster)
    found = stand(table("a"), alone, holds=NONE, words={}, patient=True)
    assert found.addresses == VIPS.keys()


def test_who_just_began_to_listen_leaves_the_silent_alone() -> None:
    """All fences start again at once: the switch of one that has not spoken yet may be on."""
    known = sight("a")
    young = replace(known, rows={"b": known.rows["b"]}, since=known.now)
    mine = {vip for vip, order in VIPS.items() if order[0] == "a"}
    assert stand(table("a"), young, holds=NONE, words={"b": Word()}).addresses == mine
    later = replace(young, now=young.now + tenure.MUTE + 0.1)
    later = replace(later, rows={"b": replace(known.rows["b"], heard=later.now)})
    more = stand(table("a"), later, holds=NONE, words={"b": Word()}).addresses
    assert more > mine, "it is silent for good"
