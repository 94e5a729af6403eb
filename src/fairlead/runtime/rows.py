"""The ledger as rows, and back.

Pure: :func:`difference` compares two ledgers, :func:`holdings_of` puts rows together again. The
store only runs the statements. Persistent maps make the comparison cheap: a group that did not
change is the same object in both ledgers.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from msgspec import DecodeError
from msgspec.json import Decoder, Encoder

from fairlead.model.addresses import canonical, parse_address
from fairlead.model.ledger import Assignment, Holding, Ledger, Owner, Spot
from fairlead.model.names import GroupKey

Row = tuple[Any, ...]
"""Columns as SQLite keeps them: the tables are STRICT, so a text column holds text."""
_ENCODER = Encoder()
_OWNERS = Decoder(tuple[Owner, ...])


@dataclass(slots=True)
class Difference:
    """What must be written to get from one ledger to another, as rows per table.

    Assignments that end are named with their group, because the address may be another group's by
    then.
    """

    releases: int
    holdings_gone: list[Row] = field(default_factory=list)
    holdings: list[Row] = field(default_factory=list)
    assignments_gone: list[Row] = field(default_factory=list)
    assignments: list[Row] = field(default_factory=list)
    released_gone: list[Row] = field(default_factory=list)
    released: list[Row] = field(default_factory=list)


class RowError(ValueError):
    """A row of the ledger makes no sense."""


def difference(
    before: Ledger, after: Ledger, *, now: str, changed: frozenset[GroupKey] | None
) -> Difference:
    """The rows to delete and to write.

    ``changed`` names the groups that may differ; None = compare all of them.
    """
    found = Difference(after.releases)
    if changed is None:
        changed = frozenset(before.holdings) | frozenset(after.holdings)
    for key in changed:
        old, new = before.holdings.get(key), after.holdings.get(key)
        if old is not new:
            _holding(key, old, new, found=found, now=now)
    if before.released is not after.released:
        _released(before, after, found=found, now=now)
    return found


def _holding(
    key: GroupKey, old: Holding | None, new: Holding | None, *, found: Difference, now: str
) -> None:
    if old is not None and new is None:
        found.holdings_gone.append(key)
        return
    if new is None:
        return
    if old is None or (old.setting, old.owners) != (new.setting, new.owners):
        found.holdings.append((*key, new.setting, _ENCODER.encode(new.owners).decode()))
    had = dict(_numbered(old.assignments)) if old else {}
    has = dict(_numbered(new.assignments))
    kept = {a.spot for a, _ in has.items()}
    found.assignments_gone += [
        (a.spot.space, canonical(a.spot.address), *key) for a in had if a.spot not in kept
    ]
    found.assignments += [
        (a.spot.space, canonical(a.spot.address), *key, a.slot, a.pool, position, now)
        for a, position in has.items()
        if had.get(a) != position
    ]


def _numbered(assignments: tuple[Assignment, ...]) -> Iterator[tuple[Assignment, int]]:
    return ((assignment, position) for position, assignment in enumerate(assignments))


def _released(before: Ledger, after: Ledger, *, found: Difference, now: str) -> None:
    found.released_gone.extend(
        (spot.space, canonical(spot.address))
        for spot in before.released
        if spot not in after.released
    )
    found.released.extend(
        (spot.space, canonical(spot.address), ordinal, now)
        for spot, ordinal in after.released.items()
        if before.released.get(spot) != ordinal
    )


def holdings_of(holdings: Iterable[Row], assignments: Iterable[Row]) -> dict[GroupKey, Holding]:
    """The holdings from their rows; assignments are sorted by position.

    Raises :class:`RowError` for a row that makes no sense.
    """
    held: dict[Row, list[Assignment]] = {}
    for space, address, slot, pool, *group in assignments:
        entry = Assignment(spot_of(space, address), pool, slot)
        held.setdefault(tuple(group), []).append(entry)
    result = {}
    for dialect, scope, namespace, name, setting, owners in holdings:
        key = GroupKey(dialect, scope, namespace, name)
        result[key] = Holding(key, tuple(held.get(key, ())), setting, _owners(owners))
    return result


def _owners(text: str) -> tuple[Owner, ...]:
    try:
        return _OWNERS.decode(text)
    except DecodeError as error:
        raise RowError(f"owners {text[:96]!r}: {error}") from None


def spot_of(space: str, address: str) -> Spot:
    """A spot from its columns."""
    try:
        return Spot(space, parse_address(address))
    except ValueError as error:
        raise RowError(str(error)) from None


def time_text(moment: datetime) -> str:
    """A moment as the ledger keeps it: UTC, RFC 3339. A time without a zone is a ValueError."""
    if moment.tzinfo is None:
        raise ValueError("a time without a zone does not say when")
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"


def time_of(text: str) -> datetime:
    """The inverse of :func:`time_text`; raises :class:`RowError`."""
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise RowError(str(error)) from None
