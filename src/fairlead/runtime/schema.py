"""The tables of the ledger file, and how an older file becomes a newer one.

A row per address, with the parts of its group's key as columns of their own: a joined key would
let (``a``, ``b-c``) and (``a-b``, ``c``) collide, here as everywhere. The owners of a group's
listeners are one column, because they are only read together. The application id tells a ledger
from any other SQLite file, so that a mistyped ``--state`` never damages somebody's data.
"""

import sqlite3
from collections.abc import Mapping

APPLICATION = 0x464C4447
"""``PRAGMA application_id`` of a ledger: "FLDG"."""

VERSION = 1
"""``PRAGMA user_version`` of the tables below."""

_GROUP = """
    dialect TEXT NOT NULL, scope TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL"""

TABLES = (
    f"""CREATE TABLE holdings ({_GROUP},
    setting TEXT NOT NULL,
    owners TEXT NOT NULL,  -- [["TCP", 80, ["Service", namespace, name]], ...]
    PRIMARY KEY (dialect, scope, namespace, name)) STRICT, WITHOUT ROWID""",
    f"""CREATE TABLE assignments (
    space TEXT NOT NULL, address TEXT NOT NULL,{_GROUP},
    slot TEXT NOT NULL, pool TEXT NOT NULL, position INTEGER NOT NULL,
    since TEXT NOT NULL,
    PRIMARY KEY (space, address),
    FOREIGN KEY (dialect, scope, namespace, name)
        REFERENCES holdings (dialect, scope, namespace, name) ON DELETE CASCADE
    ) STRICT, WITHOUT ROWID""",
    """CREATE INDEX assignments_of ON assignments (dialect, scope, namespace, name)""",
    """CREATE TABLE released (
    space TEXT NOT NULL, address TEXT NOT NULL,
    ordinal INTEGER NOT NULL, at TEXT NOT NULL,
    PRIMARY KEY (space, address)) STRICT, WITHOUT ROWID""",
    """CREATE TABLE counters (
    releases INTEGER NOT NULL,
    only INTEGER PRIMARY KEY CHECK (only = 1)) STRICT""",
    "INSERT INTO counters (releases, only) VALUES (0, 1)",
)

MIGRATIONS: Mapping[int, tuple[str, ...]] = {}
"""Version -> the statements that lead from it to the next one."""


class ForeignFile(Exception):
    """The file is not a ledger that this version can use; the message says what it is instead."""


def is_blank(db: sqlite3.Connection) -> bool:
    """Whether the file holds nothing at all: new, or left by a crash before the tables were
    made."""
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return not tables and not _pragma(db, "application_id") and not _pragma(db, "user_version")


def check(db: sqlite3.Connection, *, newest: int = VERSION) -> int:
    """The version of a ledger file; raises :class:`ForeignFile` for any other file."""
    if _pragma(db, "application_id") != APPLICATION:
        raise ForeignFile("it is an SQLite file, but not one of Fairlead's ledgers")
    version = _pragma(db, "user_version")
    if version > newest:
        raise ForeignFile(
            f"its format is {version} and this version of Fairlead knows up to {newest}; "
            "use the newer version that wrote it"
        )
    return version


def prepare(
    db: sqlite3.Connection,
    *,
    newest: int = VERSION,
    migrations: Mapping[int, tuple[str, ...]] = MIGRATIONS,
) -> None:
    """Make the tables in a blank file, or bring an older ledger up to date; all of it or nothing.

    Raises :class:`ForeignFile` and leaves the file as it is when it is not a ledger.
    """
    if is_blank(db):
        _run(db, (*TABLES, f"PRAGMA application_id = {APPLICATION}"), version=VERSION)
    for version in range(check(db, newest=newest), newest):
        _run(db, migrations[version], version=version + 1)


def _run(db: sqlite3.Connection, statements: tuple[str, ...], *, version: int) -> None:
    db.execute("BEGIN IMMEDIATE")
    try:
        for statement in statements:
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {version}")
        db.execute("COMMIT")
    except sqlite3.Error:
        db.execute("ROLLBACK")
        raise


def _pragma(db: sqlite3.Connection, name: str) -> int:
    (value,) = db.execute(f"PRAGMA {name}").fetchone()
    return int(value)
