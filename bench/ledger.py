"""The ledger on disk: loading and committing 50 000 holdings, and one more."""

import tempfile
import time
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path

from immutables import Map

from bench.figure import Figure, percentile
from fairlead.model.ledger import Assignment, Holding, Ledger, Owner, Spot, ledger_of
from fairlead.model.names import GroupKey, Ref
from fairlead.runtime.store import LedgerStore

HOLDINGS = 50_000
ONE_BY_ONE = 100


def run() -> list[Figure]:
    """Committed with synchronous FULL: the figures hold the disk's flushes."""
    now = datetime.now(UTC)
    empty = ledger_of({}, [])
    full = ledger_of({h.group: h for h in map(_holding, range(HOLDINGS))}, [])
    with tempfile.TemporaryDirectory() as directory:
        with LedgerStore.open(Path(directory)) as store:
            start = time.perf_counter()
            store.commit(empty, full, now)
            committed = time.perf_counter() - start
            ones = _one_by_one(store, full, now)
        with LedgerStore.open(Path(directory)) as store:
            start = time.perf_counter()
            store.load()
            loaded = time.perf_counter() - start
    return [
        Figure("ledger.commit.50k", committed, "s", 1.5),
        Figure("ledger.load.50k", loaded, "s", 1),
        Figure("ledger.commit.one.p50", percentile(ones, 50), "ms", 5),
        Figure("ledger.commit.one.p99", percentile(ones, 99), "ms"),
    ]


def _holding(number: int) -> Holding:
    group = GroupKey("ako", "service", f"team-{number % 50}", f"svc-{number}")
    spot = Spot("default", IPv4Address("10.0.0.0") + number)
    owner = Owner("TCP", 80, Ref("Service", group.namespace, group.name))
    return Holding(group, (Assignment(spot, "pool"),), "", (owner,))


def _one_by_one(store: LedgerStore, ledger: Ledger, now: datetime) -> list[float]:
    samples = []
    for number in range(HOLDINGS, HOLDINGS + ONE_BY_ONE):
        holding = _holding(number)
        after = Ledger(
            holdings=ledger.holdings.set(holding.group, holding),
            holders=ledger.holders.set(holding.assignments[0].spot, holding.group),
            released=Map(ledger.released),
            releases=ledger.releases,
        )
        start = time.perf_counter()
        store.commit(ledger, after, now, changed=frozenset({holding.group}))
        samples.append((time.perf_counter() - start) * 1000)
        ledger = after
    return samples
