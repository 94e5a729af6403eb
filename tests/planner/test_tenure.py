"""Never two rightful holders: random partitions, pauses, restarts and API outages against the rule.

A little world of fences in which time, links, messages and the API are the test's. Every fence acts
on what it knows by then, so what is checked is the rule and not a network.
"""

from dataclasses import dataclass, field
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st
from immutables import Map

from fairlead.model.cell import Roster, Row, Sight
from fairlead.planner import tenure

STEP = 0.1
DETECT = 0.3
"""Seconds until both ends of a link know that it broke, or is back."""


@dataclass
class Fence:
    name: str
    cell: frozenset[str]
    links: frozenset[str] = frozenset()
    rows: dict[str, Row] = field(default_factory=dict)
    roster: Roster = field(init=False)
    agreed: Roster = field(init=False)
    running: bool = True
    frozen: bool = False
    acted: float = 0.0

    def __post_init__(self) -> None:
        self.roster = self.agreed = Roster(0, self.cell)

    def sight(self, now: float) -> Sight:
        return Sight(
            me=self.name,
            now=now,
            links=self.links,
            roster=self.roster,
            agreed=self.agreed,
            rows=Map(self.rows),
        )

    def row(self, now: float) -> Row:
        return Row(now, self.links, self.roster, self.agreed)


class Site:
    """Fences, cables, and an API server with one record."""

    def __init__(self, count: int) -> None:
        cell = frozenset("abcdef"[:count])
        self.now = 100.0
        self.fences = {name: Fence(name, cell) for name in sorted(cell)}
        self.cut: dict[frozenset[str], float] = {}
        self.mended: dict[frozenset[str], float] = {}
        self.record = Roster(0, cell)
        self.reach = set(cell)
        self.holding: dict[str, float] = {}
        for _ in range(20):
            self.step()

    def broken(self, pair: frozenset[str]) -> bool:
        return pair in self.cut

    def step(self) -> None:
        self.now += STEP
        self._detect()
        up = [f for f in self.fences.values() if f.running and not f.frozen]
        rows = {f.name: f.row(self.now) for f in up}
        told = {f.name: dict(f.rows) for f in up}
        for one in up:
            for other in up:
                pair = frozenset((one.name, other.name))
                if one is other or self.broken(pair):
                    continue
                heard = {**told[other.name], other.name: rows[other.name]}
                for name, row in heard.items():
                    known = one.rows.get(name)
                    if name != one.name and (known is None or row.heard > known.heard):
                        one.rows[name] = row
        for fence in up:
            self._act(fence)

    def _detect(self) -> None:
        for fence in self.fences.values():
            alive = set()
            for other in self.fences.values():
                pair = frozenset((fence.name, other.name))
                if other is fence or not other.running:
                    continue
                since = self.cut.get(pair)
                back = self.mended.get(pair, 0.0)
                working = since is None and self.now - back >= DETECT
                unnoticed = since is not None and self.now - since < DETECT
                if working or unnoticed:
                    alive.add(other.name)
            if fence.running and not fence.frozen:
                fence.links = frozenset(alive)

    def _act(self, fence: Fence) -> None:
        sight = fence.sight(self.now)
        fence.roster = tenure.taken(sight)
        sight = fence.sight(self.now)
        fence.agreed = tenure.agreed(sight)
        sight = fence.sight(self.now)
        offer = tenure.proposal(sight)
        if offer is None and fence.name in self.reach and tenure.needs_evidence(sight):
            if self.record.generation > fence.roster.generation:
                fence.roster = self.record
            else:
                offer = tenure.claim(sight, self.record)
                if offer is not None:
                    self.record = offer
        if offer is not None:
            fence.roster = offer
            fence.agreed = tenure.agreed(fence.sight(self.now))
        if tenure.may_hold(fence.sight(self.now)):
            self.holding.setdefault(fence.name, self.now)
        else:
            self.holding.pop(fence.name, None)

    def sides_that_hold(self) -> list[frozenset[str]]:
        """The sides, as the cables really are, in which somebody may hold VIPs."""
        todo = {n for n, f in self.fences.items() if f.running and not f.frozen}
        found = []
        while todo:
            side, more = set(), [min(todo)]
            while more:
                name = more.pop()
                side.add(name)
                more += [n for n in todo - side if not self.broken(frozenset((n, name)))]
            todo -= side
            if side & self.holding.keys():
                found.append(frozenset(side))
        return found

    def settle(self) -> None:
        """Longer than detection, news and letting go take together."""
        for _ in range(12):
            self.step()


def cut(site: Site, groups: list[set[str]]) -> None:
    """Cut every cable between these groups, and mend all others."""
    home = {name: n for n, group in enumerate(groups) for name in group}
    for one, other in combinations(site.fences, 2):
        pair = frozenset((one, other))
        if home[one] != home[other]:
            site.cut.setdefault(pair, site.now)
            site.mended.pop(pair, None)
        elif site.cut.pop(pair, None) is not None:
            site.mended[pair] = site.now


@st.composite
def histories(draw: st.DrawFn) -> tuple[int, list[tuple[str, object]]]:
    count = draw(st.integers(2, 5))
    names = "abcdef"[:count]
    events: list[tuple[str, object]] = []
    for _ in range(draw(st.integers(1, 12))):
        kind = draw(st.sampled_from(["cut", "cut", "crash", "start", "freeze", "thaw", "api"]))
        if kind == "cut":
            events.append((kind, draw(st.lists(st.integers(0, 2), min_size=count, max_size=count))))
        elif kind == "api":
            events.append((kind, draw(st.sets(st.sampled_from(names)))))
        else:
            events.append((kind, draw(st.sampled_from(names))))
        events.append(("wait", draw(st.integers(0, 14))))
    return count, events


def happen(site: Site, kind: str, what: object) -> None:
    match kind, what:
        case "cut", list(homes):
            groups: list[set[str]] = [set(), set(), set()]
            for name, home in zip(site.fences, homes, strict=True):
                groups[home].add(name)
            cut(site, groups)
        case "api", set(names):
            site.reach = names
        case "crash", str(name):
            site.fences[name].running = False
            site.fences[name].rows.clear()
            site.holding.pop(name, None)
        case "start", str(name):
            fence = site.fences[name]
            if not fence.running:
                fence.running, fence.frozen = True, False
        case "freeze", str(name):
            site.fences[name].frozen = True
            site.holding.pop(name, None)  # its switch lapses by itself; that time is not ours
        case "thaw", str(name):
            site.fences[name].frozen = False
        case "wait", int(steps):
            for _ in range(steps):
                site.step()


@settings(deadline=None, max_examples=300)
@given(histories())
def test_two_sides_never_hold_for_longer_than_the_bound(
    history: tuple[int, list[tuple[str, object]]],
) -> None:
    count, events = history
    site = Site(count)
    for kind, what in events:
        happen(site, kind, what)
    site.settle()
    assert len(site.sides_that_hold()) <= 1


@settings(deadline=None, max_examples=200)
@given(histories())
def test_one_side_holds_when_all_is_well_again(
    history: tuple[int, list[tuple[str, object]]],
) -> None:
    count, events = history
    site = Site(count)
    for kind, what in events:
        happen(site, kind, what)
    cut(site, [set(site.fences)])
    site.reach = set(site.fences)
    for fence in site.fences.values():
        fence.running, fence.frozen = True, False
    for _ in range(40):
        site.step()
    assert site.sides_that_hold() == [frozenset(site.fences)]
    assert site.holding.keys() == site.fences.keys()
