"""What a fence holds, from its table and what it knows of the others; and the table, from a plan.

An engine that failed is replaced at once. Between engines that are well, a berth changes hands in
agreement: the holder yields once the next one wants it too, and the next one takes it when
everybody who serves has been heard, and nobody says that it still holds it. An engine that leaves
(a drain, a cordoned Node) keeps its berths until another one has them, and for as long as nobody
else can.
"""

from collections.abc import Collection, Iterable, Mapping

from msgspec import Struct

from fairlead.model.addresses import IPAddress
from fairlead.model.berth import Berth, Table
from fairlead.model.cell import Sight
from fairlead.planner import tenure
from fairlead.planner.order import Order, leaving_last

Marks = frozenset[str]
NONE: Marks = frozenset()
NOWHERE: Mapping[IPAddress, str] = {}


class Word(Struct, frozen=True):
    """What an engine says of its berths: those it ``holds``, those it ``wants`` by its own table,
    and whether it is ``leaving``. ``aground``: those that nobody would hear of here, because an
    interface is down."""

    holds: Marks = NONE
    wants: Marks = NONE
    leaving: bool = False
    aground: Marks = NONE


class Stand(Struct, frozen=True):
    """What a fence is to do: say this, and hold these addresses. ``rightful``: it may hold at
    all."""

    word: Word
    addresses: frozenset[IPAddress]
    rightful: bool


def stand(
    table: Table,
    sight: Sight,
    *,
    holds: Marks,
    words: Mapping[str, Word],
    leaving: bool = False,
    aground: Marks = NONE,
    patient: bool = False,
) -> Stand:
    """Decide. ``holds``: the berths that this engine has at present, ``aground``: those that nobody
    would hear of here; ``words``: what the engines of this side said last. ``patient``: take
    nothing while others are there who could have it already."""
    if not tenure.may_hold(sight, partition=table.partition):
        return Stand(Word(leaving=leaving, aground=aground), frozenset(), False)
    able = tenure.serving(sight)
    leaving = leaving or any(sight.me in berth.leaving for berth in table.berths)
    going = {name for name, word in words.items() if word.leaving}
    going |= {sight.me} if leaving else set()
    others = {name: word for name, word in words.items() if name in able and name != sight.me}
    fit = _Fitness(able, {sight.me: aground, **{n: word.aground for n, word in others.items()}})
    next_ones = {b.mark: chosen(b, fit.of(b), going) for b in table.berths}
    wants = frozenset(mark for mark, names in next_ones.items() if sight.me in names)
    keep = frozenset(
        b.mark
        for b in table.berths
        if b.mark in holds
        and (b.mark in wants or _keeps(b, next_ones[b.mark], others, leaving=leaving))
    )
    unheard = (able & sight.rows.keys()) - others.keys()  # known through a third one only
    if patient and len(able) > 1:
        wants &= keep  # and nobody yields to it yet
    take = frozenset(
        b.mark
        for b in table.berths
        if b.mark in wants - keep and unheard.isdisjoint(b.candidates) and _free(b, others)
    )
    now = keep | take
    return Stand(
        Word(now, wants, leaving, aground),
        frozenset().union(*(b.addresses for b in table.berths if b.mark in now)),
        True,
    )


class _Fitness:
    """Who of the able may have a berth: not those who are aground with it, unless all are."""

    def __init__(self, able: Marks, aground: Mapping[str, Marks]) -> None:
        self._able = able
        self._aground = {name: marks for name, marks in aground.items() if marks}

    def of(self, berth: Berth) -> Marks:
        """By name."""
        without = {name for name, marks in self._aground.items() if berth.mark in marks}
        if not without or without.issuperset(self._able.intersection(berth.candidates)):
            return self._able
        return self._able - without


def chosen(berth: Berth, able: Collection[str], going: Collection[str]) -> tuple[str, ...]:
    """Who should hold a berth: the first who are able, those who leave last."""
    there = tuple(name for name in berth.candidates if name in able)
    return leaving_last(there, berth.leaving.union(going))[: berth.engines]


def _keeps(
    berth: Berth, next_ones: Collection[str], others: Mapping[str, Word], *, leaving: bool
) -> bool:
    """Whether a holder that should not hold a berth any more keeps it yet: one that leaves until
    the next ones have it, any other until they want it."""
    words = [others[name] for name in next_ones if name in others]
    said = (word.holds if leaving else word.wants for word in words)
    return not (words and all(berth.mark in marks for marks in said))


def _free(berth: Berth, others: Mapping[str, Word]) -> bool:
    """Whether a berth may be taken: fewer than its number hold it, not counting who leaves."""
    holders = sum(berth.mark in word.holds and not word.leaving for word in others.values())
    return holders < berth.engines


def leave(candidates: Order, leaving: Collection[str]) -> Order:
    """The order of a berth some of whose candidates are to leave it."""
    return (*candidates, *(name for name in candidates if name in leaving))


def berths_of(
    orders: Iterable[tuple[Order, int, IPAddress]], places: Mapping[IPAddress, str] = NOWHERE
) -> tuple[Berth, ...]:
    """VIPs with their candidates, put together by candidates, and by the interface that is asked
    for, if one is (``places``)."""
    found: dict[tuple[Order, int, str], set[IPAddress]] = {}
    for order, engines, address in orders:
        found.setdefault((order, engines, places.get(address, "")), set()).add(address)
    return tuple(
        Berth(order, frozenset(addresses), engines, place)
        for (order, engines, place), addresses in sorted(found.items())
    )
