"""What DHCP servers say, on its way into the next plan of ``up``.

On a cluster an engine writes what it heard into AddressLeases, and whoever decides reads them. Here
one process is both, so the same objects go from the driver into the world directly.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from time import time

import msgspec
from msgspec.structs import replace

from fairlead.model.addresslease import AddressLease, lease_object, leased_of, order_of
from fairlead.model.dhcp import Leased, LeaseKey
from fairlead.model.plan import Plan
from fairlead.model.world import Change, World
from fairlead.runtime.planes import Leaser
from fairlead.runtime.snapshot import last

LATE = "it ended while nobody held it"


class Hearing:
    """Collects what a driver tells from its thread; made inside the loop that reads it. ``heard``
    is called in that loop when there is something."""

    def __init__(self, driver: Leaser | None, heard: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._news: dict[LeaseKey, Leased] = {}
        self._heard = heard
        if driver is not None:
            driver.listen(self._tell)

    def take(self) -> dict[LeaseKey, Leased]:
        """What is new, the last word on each lease."""
        news, self._news = self._news, {}
        return news

    def _tell(self, key: LeaseKey, leased: Leased) -> None:
        with suppress(RuntimeError):  # the loop has ended, and nobody wants to know
            self._loop.call_soon_threadsafe(self._put, key, leased)

    def _put(self, key: LeaseKey, leased: Leased) -> None:
        self._news[key] = leased
        self._heard()


def changes_of(news: dict[LeaseKey, Leased], plan: Plan, engine: str) -> Iterator[Change]:
    """The objects that say so; about what nobody wants any more there are none."""
    for key, leased in news.items():
        outcome = plan.outcomes.get(key.group)
        for order in outcome.leases if outcome else ():
            if order.key == key:
                one = lease_object(order, replace(leased, engine=engine))
                yield Change(one.ref, one)


def obsolete(world: World, plan: Plan) -> list[Change]:
    """The leases that nobody wants any more."""
    if AddressLease.KIND not in world.tables:
        return []
    leases = [*world.every(AddressLease)]
    return [Change(one.ref, None) for one in leases if not _wanted(one, plan)]


def _wanted(one: AddressLease, plan: Plan) -> bool:
    outcome = plan.outcomes.get(one.key.group)
    return outcome is not None and any(order.key == one.key for order in outcome.leases)


def remembered(directory: Path, *, now: float | None = None) -> list[Change]:
    """The leases that the run before left. One that ended since is lost."""
    snapshot = last(directory)
    raw = snapshot.objects.get(AddressLease.KIND) if snapshot is not None else None
    if raw is None:
        return []
    try:
        found = msgspec.json.decode(raw, type=list[AddressLease])
    except msgspec.DecodeError:
        return []  # only a hint: the ledger has the addresses
    return [*_still(found, time() if now is None else now)]


def _still(found: Iterable[AddressLease], now: float) -> Iterator[Change]:
    for one in found:
        leased = leased_of(one)
        if leased is None:
            continue
        if leased.expires is not None and leased.expires <= now:
            ended = datetime.fromtimestamp(leased.expires).astimezone()
            text = f"the lease of {leased.address} ended at {ended:%F %T %Z}: {LATE}"
            lost = replace(leased, state="Lost", address=None, message=text)
            one = lease_object(order_of(one), lost)
        yield Change(one.ref, one)
