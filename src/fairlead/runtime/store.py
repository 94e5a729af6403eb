"""The ledger on disk: SQLite, so that what was promised survives ``kill -9`` and power cuts.

WAL with ``synchronous=FULL`` and one transaction per plan, committed before anything is announced:
the file always holds exactly one of the committed ledgers. Readers (``get``, ``plan --state``)
work beside a live writer and leave no trace in its directory.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from fairlead.model.ledger import Ledger
from fairlead.model.names import GroupKey
from fairlead.runtime import reading, schema
from fairlead.runtime.lock import StateError, StateInUse, WriterLock
from fairlead.runtime.reading import BUSY_SECONDS, StateUnreadable, Times, explained
from fairlead.runtime.rows import Difference, difference, time_text
from fairlead.sources.collection import uncollected

__all__ = ["LedgerStore", "StateError", "StateInUse", "StateUnreadable", "Times", "WriteFailed"]

FILE = "ledger.db"

_IS_GROUP = "dialect = ? AND scope = ? AND namespace = ? AND name = ?"
_DELETES = (
    ("holdings_gone", f"DELETE FROM holdings WHERE {_IS_GROUP}"),
    (
        "assignments_gone",
        f"DELETE FROM assignments WHERE space = ? AND address = ? AND {_IS_GROUP}",
    ),
    ("released_gone", "DELETE FROM released WHERE space = ? AND address = ?"),
)
_WRITES = (
    (
        "holdings",
        """INSERT INTO holdings VALUES (?, ?, ?, ?, ?, ?)
        ON CONFLICT DO UPDATE SET setting = excluded.setting, owners = excluded.owners""",
    ),
    (
        "assignments",
        """INSERT INTO assignments (space, address, dialect, scope, namespace, name,
            slot, pool, position, since) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT DO UPDATE SET
            slot = excluded.slot, pool = excluded.pool, position = excluded.position""",
    ),
    (
        "released",
        """INSERT INTO released VALUES (?, ?, ?, ?)
        ON CONFLICT DO UPDATE SET ordinal = excluded.ordinal, at = excluded.at""",
    ),
)


class WriteFailed(Exception):
    """A commit did not happen (disk full, read-only, damaged); what was committed before stands."""


class LedgerStore:
    """The one writer of a state directory. Use :meth:`open`, or the class methods to only read."""

    def __init__(self, directory: Path, lock: WriterLock, db: sqlite3.Connection) -> None:
        self.directory = directory
        self._lock = lock
        self._db = db

    @classmethod
    def open(cls, directory: Path) -> Self:
        """Open for writing; the directory and the file are made when they are missing.

        Raises :class:`StateInUse` beside another writer, :class:`StateUnreadable` for a file that
        is damaged or not a ledger, :class:`StateError` when the directory cannot be used.
        """
        try:
            directory.mkdir(parents=True, exist_ok=True)
            lock = WriterLock(directory)
        except OSError as error:
            raise StateError(f"{directory} cannot be used: {error.strerror}") from None
        try:
            with explained(directory / FILE):
                return cls(directory, lock, _writer(directory / FILE))
        except BaseException:
            lock.release()
            raise

    @classmethod
    def read(cls, directory: Path) -> Ledger:
        """The ledger as last committed, also beside a live writer; empty where none was ever kept.

        Writes nothing. Raises :class:`StateUnreadable`.
        """
        return reading.read(directory / FILE, reading.load, Ledger())

    @classmethod
    def times(cls, directory: Path) -> Times:
        """Since when each address is held, or has been released. Raises
        :class:`StateUnreadable`."""
        return reading.read(directory / FILE, reading.times, Times({}, {}))

    def load(self) -> Ledger:
        """The ledger as last committed. Raises :class:`StateUnreadable`."""
        with explained(self.directory / FILE), uncollected():
            return reading.load(self._db)

    def commit(
        self,
        before: Ledger,
        after: Ledger,
        now: datetime,
        *,
        changed: frozenset[GroupKey] | None = None,
    ) -> None:
        """Make ``after`` durable, in one transaction; ``before`` is what was committed last.

        ``changed`` names the groups that may differ between the two (None = look at all). Nothing
        is written when nothing differs. Raises :class:`WriteFailed`, and then nothing was written.
        """
        with uncollected():
            rows = difference(before, after, now=time_text(now), changed=changed)
        if not any(getattr(rows, table) for table, _ in _DELETES + _WRITES):
            return
        try:
            with _transaction(self._db):
                _write(self._db, rows)
        except sqlite3.Error as error:
            path = self.directory / FILE
            raise WriteFailed(f"{path} cannot be written: {error}") from error

    def close(self) -> None:
        """Close the file and let another process write. Idempotent."""
        self._db.close()
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _writer(path: Path) -> sqlite3.Connection:
    # The loop commits in worker threads, one at a time.
    db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        if not schema.is_blank(db):
            schema.check(db)  # before the first write: a foreign file is left as it is
            _verify(db)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        schema.prepare(db)
        db.execute("PRAGMA foreign_keys = ON")
    except BaseException:
        db.close()
        raise
    return db


def _verify(db: sqlite3.Connection) -> None:
    (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise sqlite3.DatabaseError(verdict)


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # SQLite has rolled back by itself after some errors
            db.execute("ROLLBACK")
        raise


def _write(db: sqlite3.Connection, rows: Difference) -> None:
    """Deletions first, so that an address may pass from one group to another."""
    for table, statement in _DELETES + _WRITES:
        db.executemany(statement, getattr(rows, table))
    db.execute("UPDATE counters SET releases = ?", (rows.releases,))
