"""Who may hold VIPs, in every partition: the rule by which a fence lets go or takes over.

A side is the engines that are connected with each other, directly or through others. A link counts
when neither end denies it, so the crash of an engine shows as soon as its neighbours have noticed,
and a single broken cable between two engines that both reach a third moves nothing.

A side may hold VIPs when it has more than half of the roster. Two sides cannot both have that. The
roster shrinks to a ruling side once everybody in it has taken the new one, so engines may die one
after the other. Exactly half goes on only with exclusive evidence: the next roster written to the
API by compare-and-swap (then it is more than half of that), or, while the API is away, the proof
that no machine of the other half answers on the LAN while the gateway does (``alone``). The proof
sketch, and the cases that are left over, are in docs/adr.
"""

from collections.abc import Iterable, Mapping

from fairlead.model.cell import Partition, Roster, Row, Sight

FRESH = 0.6
"""Seconds for which a row speaks for its engine; messages come every 0.1 s."""
MUTE = 2.5
"""Seconds of silence after which an engine's own switch has certainly lapsed (it lasts 2 s), so
that its VIPs may be taken although its machine still answers."""


def side(sight: Sight) -> frozenset[str]:
    """The engines that are alive and connected with this one, itself included."""
    rows = fresh(sight)
    found, todo = {sight.me}, [sight.me]
    while todo:
        here = todo.pop()
        links = sight.links if here == sight.me else rows[here].links if here in rows else ()
        for other in links:
            if other not in found and _accepts(sight, rows, other, here):
                found.add(other)
                todo.append(other)
    return frozenset(found)


def fresh(sight: Sight) -> Mapping[str, Row]:
    """The rows that still speak for their engines."""
    return {name: row for name, row in sight.rows.items() if sight.now - row.heard <= FRESH}


def _accepts(sight: Sight, rows: Mapping[str, Row], name: str, other: str) -> bool:
    """Whether the far end does not deny a link. One that says nothing does not."""
    if name == sight.me:
        return other in sight.links
    row = rows.get(name)
    return row is None or other in row.links


def cut_off(sight: Sight) -> frozenset[str]:
    """Engines of this side that somebody else of it may not hear: the cable between them is broken,
    in one direction at least."""
    here, rows = side(sight), fresh(sight)
    return frozenset(
        name for name in here & rows.keys() if not here - {name, *rows[name].links} <= {sight.me}
    )


def serving(sight: Sight) -> frozenset[str]:
    """The engines of this side that may hold VIPs: this one, and those that spoke so lately that
    their switch may be on, unless they said that they have let go. Who just began to listen cannot
    know that one that is silent has been so for long."""
    return frozenset(name for name in side(sight) if _serves(sight, name))


def _serves(sight: Sight, name: str) -> bool:
    if name == sight.me:
        return True
    row = sight.rows.get(name)
    if row is None:
        return sight.now - sight.since <= MUTE
    return sight.now - row.heard <= MUTE and row.serving


def may_hold(sight: Sight, *, partition: Partition = "consistent") -> bool:
    """Whether this engine may hold VIPs now."""
    if partition == "available":
        return True
    votes, whole = votes_of(sight)
    return 2 * votes > whole or (2 * votes == whole and sight.now < sight.alone)


def needs_evidence(sight: Sight) -> bool:
    """Whether exactly half is on this side, so that exclusive evidence decides."""
    votes, whole = votes_of(sight)
    return 2 * votes == whole


def votes_of(sight: Sight) -> tuple[int, int]:
    """How many of how many are on this side, by the strictest of the rosters that may be in force:
    the newest that anybody here knows to be agreed, and every newer one that anybody has taken.

    Who is silent has no vote: it may have taken a roster that it does not tell of."""
    rows = fresh(sight)
    here = side(sight) & {sight.me, *rows}
    newest = base(sight)
    taken = {sight.roster, *(row.roster for row in rows.values())}
    binding = [newest, *(one for one in taken if one.generation > newest.generation)]
    counts = [(len(here & one.members), len(one.members)) for one in binding]
    return min(counts, key=lambda count: count[0] / count[1])


def base(sight: Sight) -> Roster:
    """The newest roster that anybody here knows to be agreed."""
    return _newest((sight.agreed, *(row.agreed for row in fresh(sight).values())))


def _newest(rosters: Iterable[Roster]) -> Roster:
    return max(rosters, key=lambda one: (one.generation, sorted(one.members)))


def taken(sight: Sight) -> Roster:
    """The roster that this engine should have taken: the newest that it has heard of."""
    rows = fresh(sight).values()
    newest = max((sight.roster, *(row.roster for row in rows)), key=lambda one: one.generation)
    return newest if newest.generation > sight.roster.generation else sight.roster


def agreed(sight: Sight) -> Roster:
    """The newest roster that this engine may know to be agreed: its own, if all its members have
    taken it, or what another one knows."""
    rows = fresh(sight)
    known = base(sight)
    mine = sight.roster
    everybody = all(
        name == sight.me or (name in rows and rows[name].roster == mine) for name in mine.members
    )
    return mine if everybody and mine.generation > known.generation else known


def proposal(sight: Sight) -> Roster | None:
    """The roster to go on with: this side, when it rules and has not taken that already. Only the
    first of a side proposes."""
    here, rows = side(sight), fresh(sight)
    others = [rows[name].roster for name in here if name in rows and name != sight.me]
    if sight.me != min(here) or len(others) < len(here) - 1 or not may_hold(sight):
        return None
    latest = max(one.generation for one in (sight.roster, *others))
    rivals = (one for one in others if one.generation == latest and one != sight.roster)
    if sight.roster.members == here and sight.roster.generation == latest and not any(rivals):
        return None
    return Roster(latest + 1, here)


def claim(sight: Sight, recorded: Roster) -> Roster | None:
    """The roster to write to the API by compare-and-swap when exactly half is here. None when what
    is ``recorded`` there is younger than the roster that this is half of: the other half was first.
    """
    here, rows = side(sight), fresh(sight).values()
    if not needs_evidence(sight) or sight.me != min(here):
        return None
    if recorded.generation > base(sight).generation:
        return None
    taken_here = (sight.roster, *(row.roster for row in rows))
    return Roster(max(one.generation for one in taken_here) + 1, here)
