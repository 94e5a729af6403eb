"""The ledger file, read: what it holds, beside a live writer or without one, leaving no trace."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, TypeVar
from urllib.parse import quote

from immutables import Map

from fairlead.model.ledger import Ledger, Spot
from fairlead.runtime import schema
from fairlead.runtime.lock import StateError
from fairlead.runtime.rows import RowError, holdings_of, spot_of, time_of
from fairlead.sources.collection import uncollected

BUSY_SECONDS = 5.0
Read = TypeVar("Read")


class StateUnreadable(StateError):
    """A file of the state directory is damaged or not ours. It is never overwritten."""


class Times(NamedTuple):
    """When each held address was assigned and each released one let go (UTC)."""

    since: dict[Spot, datetime]
    released: dict[Spot, datetime]


def load(db: sqlite3.Connection) -> Ledger:
    holdings = holdings_of(
        db.execute("SELECT dialect, scope, namespace, name, setting, owners FROM holdings"),
        db.execute(
            """SELECT space, address, slot, pool, dialect, scope, namespace, name
            FROM assignments ORDER BY position"""
        ),
    )
    (releases,) = db.execute("SELECT releases FROM counters").fetchone()
    return Ledger(
        holdings=Map(holdings),
        holders=Map((a.spot, key) for key, h in holdings.items() for a in h.assignments),
        released=Map(
            (spot_of(space, address), ordinal)
            for space, address, ordinal in db.execute(
                "SELECT space, address, ordinal FROM released"
            )
        ),
        releases=releases,
    )


def times(db: sqlite3.Connection) -> Times:
    since, released = (
        {spot_of(space, address): time_of(at) for space, address, at in db.execute(statement)}
        for statement in (
            "SELECT space, address, since FROM assignments",
            "SELECT space, address, at FROM released",
        )
    )
    return Times(since, released)


def read(path: Path, query: Callable[[sqlite3.Connection], Read], nothing: Read) -> Read:
    """Run a query on a snapshot of the file.

    Without a WAL nobody has written since the last clean close, so the file is read as immutable,
    which makes no files beside it and needs no right to; if a writer comes meanwhile, it is read
    again.
    """
    wal = path.with_name(path.name + "-wal")
    with explained(path), uncollected():
        while not wal.exists():
            try:
                before = path.stat()
            except FileNotFoundError:
                return nothing
            try:
                found = _query(path, "immutable=1", query, nothing)
            except sqlite3.DatabaseError:
                if _same(path, before) and not wal.exists():
                    raise
                continue
            if _same(path, before) and not wal.exists():
                return found
        return _query(path, "mode=ro", query, nothing)


def _same(path: Path, before: os.stat_result) -> bool:
    now = path.stat()
    return (now.st_mtime_ns, now.st_size, now.st_ino) == (
        before.st_mtime_ns,
        before.st_size,
        before.st_ino,
    )


def _query(
    path: Path, how: str, query: Callable[[sqlite3.Connection], Read], nothing: Read
) -> Read:
    uri = f"file:{quote(str(path.absolute()))}?{how}"
    with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)) as db:
        db.execute("BEGIN")  # one snapshot for all statements
        if schema.is_blank(db):
            return nothing
        schema.check(db)
        return query(db)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what SQLite says about a file into what to do about it."""
    try:
        yield
    except (schema.ForeignFile, sqlite3.Error, RowError) as error:
        raise StateUnreadable(
            f"{path} cannot be used: {error}. It is left as it is: restore it from a backup, "
            "or give another --state"
        ) from error
