"""What the ledger file promises: one of the committed states, whatever happens."""

import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from immutables import Map

from fairlead.model.ledger import Assignment, Holding, Ledger, Owner
from fairlead.model.names import GroupKey, Ref
from fairlead.runtime import schema
from fairlead.runtime.lock import StateError, StateInUse, writer_of
from fairlead.runtime.store import FILE, LedgerStore, StateUnreadable, WriteFailed

from .ledgers import FIRST, holding, key, ledger, numbered, spot

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


def test_what_is_committed_is_what_is_loaded(tmp_path: Path) -> None:
    kept = ledger(
        holding("a", "192.0.2.1", "2001:db8::1"), holding("b", "192.0.2.2"), released=("192.0.2.9",)
    )
    with LedgerStore.open(tmp_path) as store:
        store.commit(Ledger(), kept, NOW)
        assert store.load() == kept
    with LedgerStore.open(tmp_path) as store:
        assert store.load() == kept
    assert LedgerStore.read(tmp_path) == kept


def test_one_address_in_two_spaces_is_two_addresses(tmp_path: Path) -> None:
    def in_space(name: str, space: str) -> Holding:
        return Holding(key(name), (Assignment(spot("192.0.2.1", space)),))

    kept = ledger(in_space("a", "vpc-1"), in_space("b", "vpc-2"))
    with LedgerStore.open(tmp_path) as store:
        store.commit(Ledger(), kept, NOW)
        assert store.load() == kept


def test_an_address_passes_from_one_group_to_another_in_one_commit(tmp_path: Path) -> None:
    first = ledger(holding("a", "192.0.2.1"), holding("b", "192.0.2.2"))
    swapped = ledger(holding("a", "192.0.2.2"), holding("b", "192.0.2.1"))
    with LedgerStore.open(tmp_path) as store:
        store.commit(Ledger(), first, NOW)
        store.commit(first, swapped, LATER)
        assert store.load() == swapped
        store.commit(swapped, Ledger(), LATER)
        assert store.load() == Ledger()


def test_since_is_when_the_group_got_the_address(tmp_path: Path) -> None:
    first = ledger(holding("a", "192.0.2.1"), holding("b", "192.0.2.2"))
    moved = ledger(
        holding("a", "192.0.2.1", "192.0.2.3", pool="renamed"),
        holding("c", "192.0.2.2"),
        released=("192.0.2.7",),
    )
    with LedgerStore.open(tmp_path) as store:
        store.commit(Ledger(), first, NOW)
        store.commit(first, moved, LATER)
    times = LedgerStore.times(tmp_path)
    assert times.since == {
        spot("192.0.2.1"): NOW,
        spot("192.0.2.2"): LATER,
        spot("192.0.2.3"): LATER,
    }
    assert times.released == {spot("192.0.2.7"): LATER}


def test_times_are_kept_in_utc_and_naive_ones_refused(tmp_path: Path) -> None:
    kept = ledger(holding("a", "192.0.2.1"))
    with LedgerStore.open(tmp_path) as store:
        with pytest.raises(ValueError, match="zone"):
            store.commit(Ledger(), kept, datetime(2026, 11, 20))
        store.commit(Ledger(), kept, NOW.astimezone(timezone(timedelta(hours=5))))
    (text,) = _sql(tmp_path, "SELECT since FROM assignments")
    assert text == "2026-11-20T12:00:00.000Z"


def test_only_the_groups_named_are_compared(tmp_path: Path) -> None:
    first = ledger(holding("a", "192.0.2.1"), holding("b", "192.0.2.2"))
    second = ledger(holding("a", "192.0.2.3"), holding("b", "192.0.2.4"))
    with LedgerStore.open(tmp_path) as store:
        store.commit(Ledger(), first, NOW)
        store.commit(first, second, NOW, changed=frozenset([key("b")]))
        assert store.load() == ledger(holding("a", "192.0.2.1"), holding("b", "192.0.2.4"))


def test_nothing_is_written_when_nothing_differs(tmp_path: Path) -> None:
    kept = numbered(1, 2)
    with LedgerStore.open(tmp_path) as store:
        store.commit(Ledger(), kept, NOW)
        before = _stamps(tmp_path)
        store.commit(kept, numbered(1, 2), NOW)
        assert _stamps(tmp_path) == before


NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
GROUPS = st.builds(GroupKey, NAMES, NAMES, NAMES, NAMES)
REFS = st.builds(Ref, NAMES, NAMES, NAMES)


@st.composite
def ledgers(draw: st.DrawFn) -> Ledger:
    groups = draw(st.lists(GROUPS, max_size=6, unique=True))
    spots = [spot(FIRST + n, space) for n in range(6) for space in ("", "vpc")]
    free = draw(st.permutations(spots))
    holdings = {}
    for group in groups:
        count = draw(st.integers(0, 2))
        mine, free = free[:count], free[count:]
        assignments = tuple(Assignment(s, draw(NAMES), draw(NAMES)) for s in mine)
        owners = draw(st.lists(st.builds(Owner, st.just("SCTP"), st.integers(1, 65535), REFS)))
        holdings[group] = Holding(group, assignments, draw(NAMES), tuple(owners))
    released = draw(st.lists(st.sampled_from(free), unique=True)) if free else []
    start = draw(st.integers(0, 5))
    return Ledger(
        holdings=Map(holdings),
        holders=Map((a.spot, k) for k, h in holdings.items() for a in h.assignments),
        released=Map((s, start + n) for n, s in enumerate(released)),
        releases=start + len(released),
    )


@settings(max_examples=40, deadline=None)
@given(st.lists(ledgers(), min_size=1, max_size=4))
def test_any_ledger_follows_any_other(
    tmp_path_factory: pytest.TempPathFactory, kept: list[Ledger]
) -> None:
    directory = tmp_path_factory.mktemp("state")
    before = Ledger()
    with LedgerStore.open(directory) as store:
        for after in kept:
            store.commit(before, after, NOW)
            loaded = store.load()
            same = after if _differ(before, after) else before
            assert loaded == Ledger(
                holdings=same.holdings,
                holders=same.holders,
                released=same.released,
                releases=loaded.releases,
            )
            before = loaded
    shutil.rmtree(directory)


def _differ(before: Ledger, after: Ledger) -> bool:
    return (before.holdings, before.released) != (after.holdings, after.released)


def test_a_second_writer_is_refused_with_the_pid(tmp_path: Path) -> None:
    assert writer_of(tmp_path) is None
    with LedgerStore.open(tmp_path):
        assert writer_of(tmp_path) == os.getpid()
        with pytest.raises(StateInUse, match=f"process {os.getpid()}") as refused:
            LedgerStore.open(tmp_path)
        assert refused.value.pid == os.getpid()
    assert writer_of(tmp_path) is None
    LedgerStore.open(tmp_path).close()


def test_readers_work_beside_a_writer_and_see_only_what_is_committed(tmp_path: Path) -> None:
    with LedgerStore.open(tmp_path) as store:
        assert LedgerStore.read(tmp_path) == Ledger()
        before = Ledger()
        for number in range(1, 20):
            after = numbered(*range(number))
            store.commit(before, after, NOW)
            assert LedgerStore.read(tmp_path) == after
            before = after


def test_reading_leaves_no_trace(tmp_path: Path) -> None:
    assert LedgerStore.read(tmp_path / "nowhere") == Ledger()
    assert not (tmp_path / "nowhere").exists()
    with LedgerStore.open(tmp_path) as store:
        store.commit(Ledger(), numbered(1), NOW)
    before = _stamps(tmp_path)
    assert LedgerStore.read(tmp_path) == numbered(1)
    assert _stamps(tmp_path) == before


def test_a_state_that_a_killed_writer_left_is_read(tmp_path: Path) -> None:
    code = _CHILD.format(steps=3, end="os.kill(os.getpid(), 9)")
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], check=False, stdout=subprocess.PIPE, cwd=ROOT
    )
    assert (tmp_path / f"{FILE}-wal").stat().st_size > 0
    assert LedgerStore.read(tmp_path) == numbered(*_members(3))
    with LedgerStore.open(tmp_path) as store:
        assert store.load() == numbered(*_members(3))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            b"this is somebody's letter, and it is long enough to be looked at" * 20,
            "not a database",
        ),
        (b"SQLite format 3\x00" + b"\xff" * 4080, "cannot be used"),
    ],
    ids=["letter", "garbage"],
)
def test_a_damaged_file_is_refused_and_left_alone(
    tmp_path: Path, content: bytes, says: str
) -> None:
    (tmp_path / FILE).write_bytes(content)
    for attempt in (LedgerStore.open, LedgerStore.read, LedgerStore.times):
        with pytest.raises(StateUnreadable, match=says):
            attempt(tmp_path)
    assert (tmp_path / FILE).read_bytes() == content


def test_the_database_of_another_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE) as db:
        db.execute("CREATE TABLE recipes (name TEXT)")
    db.close()
    before = (tmp_path / FILE).read_bytes()
    for attempt in (LedgerStore.open, LedgerStore.read):
        with pytest.raises(StateUnreadable, match="not one of Fairlead's"):
            attempt(tmp_path)
    assert (tmp_path / FILE).read_bytes() == before
    assert writer_of(tmp_path) is None


def test_a_ledger_from_the_future_is_refused(tmp_path: Path) -> None:
    LedgerStore.open(tmp_path).close()
    _sql(tmp_path, f"PRAGMA user_version = {schema.VERSION + 1}")
    with pytest.raises(StateUnreadable, match="newer version"):
        LedgerStore.open(tmp_path)


def test_damaged_pages_are_found_before_anything_is_written(tmp_path: Path) -> None:
    with LedgerStore.open(tmp_path) as store:
        store.commit(Ledger(), numbered(*range(2000)), NOW)
    data = bytearray((tmp_path / FILE).read_bytes())
    for page in range(2, len(data) // 4096):
        data[page * 4096 : page * 4096 + 64] = b"\x55" * 64
    (tmp_path / FILE).write_bytes(data)
    with pytest.raises(StateUnreadable):
        LedgerStore.open(tmp_path)
    assert (tmp_path / FILE).read_bytes() == data


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE assignments SET address = 'nowhere'",
        'UPDATE holdings SET owners = \'[["XTP", 80, ["Service", "a", "b"]]]\'',
    ],
)
def test_rows_that_make_no_sense_are_refused(tmp_path: Path, damage: str) -> None:
    with LedgerStore.open(tmp_path) as store:
        store.commit(Ledger(), numbered(1), NOW)
    _sql(tmp_path, damage)
    with pytest.raises(StateUnreadable, match=r"nowhere|XTP"):
        LedgerStore.read(tmp_path)


def test_a_directory_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="cannot be used"):
        LedgerStore.open(tmp_path / "file" / "state")


def test_a_full_disk_fails_the_commit_and_keeps_what_was_committed(tmp_path: Path) -> None:
    with LedgerStore.open(tmp_path) as store:
        store.commit(Ledger(), numbered(1), NOW)
        with disk_full(tmp_path), pytest.raises(WriteFailed, match="cannot be written"):
            store.commit(numbered(1), numbered(*range(5000)), NOW)
        assert store.load() == numbered(1)
        store.commit(numbered(1), numbered(*range(5000)), NOW)
        assert store.load() == numbered(*range(5000))


def test_migrations_are_run_in_order_and_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / FILE
    with LedgerStore.open(tmp_path) as store:
        store.commit(Ledger(), numbered(1), NOW)
    db = sqlite3.connect(path, isolation_level=None)
    steps = {
        1: ("CREATE TABLE extra (a TEXT)", "INSERT INTO extra VALUES ('one')"),
        2: ("UPDATE extra SET a = a || ' two'",),
    }
    broken = steps | {2: ("UPDATE extra SET a = 'half'", "UPDATE nothing SET a = 1")}
    with pytest.raises(sqlite3.OperationalError):
        schema.prepare(db, newest=3, migrations=broken)
    assert db.execute("SELECT a FROM extra").fetchall() == [("one",)]
    schema.prepare(db, newest=3, migrations=steps)
    assert db.execute("SELECT a FROM extra").fetchall() == [("one two",)]
    assert db.execute("PRAGMA user_version").fetchone() == (3,)
    db.close()


_CHILD = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
from fairlead.model.ledger import Ledger
from fairlead.runtime.store import LedgerStore
from tests.runtime.ledgers import numbered
from tests.runtime.test_store import _members
store = LedgerStore.open(Path(sys.argv[1]))
before = store.load()
for step in range({steps}):
    after = numbered(*_members(step + 1))
    store.commit(before, after, datetime.now(UTC))
    before = after
    print(step + 1, flush=True)
{end}
"""


def _members(step: int) -> list[int]:
    """The groups after so many commits: each commit takes some away and adds some."""
    return [n for n in range(40) if (n * 7 + step) % 5 != 0]


def test_killed_at_any_instant_the_ledger_is_one_of_the_committed(tmp_path: Path) -> None:
    """Sixteen writers are killed after 0 to 40 ms of committing."""
    random = Random(3)
    for attempt in range(16):
        directory = tmp_path / str(attempt)
        code = _CHILD.format(steps=1_000_000, end="")
        with subprocess.Popen(
            [sys.executable, "-c", code, str(directory)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        ) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "1\n"
            time.sleep(random.random() * 0.04)
            child.send_signal(signal.SIGKILL)
            said = [1, *map(int, child.stdout.read().split())]
        with LedgerStore.open(directory) as store:
            assert store.load() in (
                numbered(*_members(said[-1])),
                numbered(*_members(said[-1] + 1)),
            )


@contextmanager
def disk_full(directory: Path) -> Iterator[None]:
    """No file grows beyond the largest that is there: what the kernel refuses is a real write."""
    largest = max(file.stat().st_size for file in directory.iterdir())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def _stamps(directory: Path) -> dict[str, tuple[int, int]]:
    found = {file.name: file.stat() for file in directory.iterdir()}
    return {name: (stat.st_mtime_ns, stat.st_size) for name, stat in found.items()}


def _sql(directory: Path, statement: str) -> list[object]:
    db = sqlite3.connect(directory / FILE)
    with db:
        rows = [row[0] for row in db.execute(statement)]
    db.close()
    return rows
