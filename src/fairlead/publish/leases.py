"""Leases from DHCP servers as people read them."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from msgspec import Struct

from fairlead.model.addresses import canonical
from fairlead.model.dhcp import FAMILY_NAMES, LeaseOrder
from fairlead.model.plan import Plan
from fairlead.planner.lease import asker
from fairlead.publish.tables import table


class LeaseEntry(Struct, frozen=True, gc=False):
    """A lease. ``engine``: who holds it or asks for it. Times are RFC 3339, empty while there is
    none; without ``expires`` a bound lease never ends, or its end is not known."""

    family: str
    state: str
    address: str = ""
    server: str = ""
    message: str = ""
    engine: str = ""
    mac: str = ""
    client_id: str = ""
    bound: str = ""
    renew: str = ""
    rebind: str = ""
    expires: str = ""


def lease_entries(plan: Plan, orders: Iterable[LeaseOrder]) -> list[LeaseEntry]:
    """The leases of a group; one of which nothing is known is ``Waiting``."""
    return [_entry(order, asker(plan, order)) for order in orders]


def _entry(order: LeaseOrder, engine: str) -> LeaseEntry:
    known = order.known
    entry = {
        "family": FAMILY_NAMES[order.key.family],
        "engine": engine,
        "mac": order.mac if order.key.family == 4 else "",
        "client_id": order.client_id,
    }
    if known is None:
        return LeaseEntry(state="Waiting", **entry)
    return LeaseEntry(
        state=known.state,
        address=canonical(known.address) if known.address else "",
        server=known.server,
        message=known.message,
        bound=_time(known.bound),
        renew=_time(known.renew),
        rebind=_time(known.rebind),
        expires=_time(known.expires),
        **entry,
    )


def _time(when: float | None) -> str:
    return datetime.fromtimestamp(int(when), UTC).isoformat() if when is not None else ""


def leases_table(entries: Iterable[LeaseEntry]) -> str:
    """The leases for people."""
    columns = ["LEASE", "STATE", "ADDRESS", "SERVER", "ENGINE", "AS", "RENEWS", "REBINDS", "ENDS"]
    return table(columns, (list(_row(entry)) for entry in entries))


def _row(entry: LeaseEntry) -> Iterator[str]:
    yield entry.family
    yield entry.state
    for text in (entry.address, entry.server, entry.engine):
        yield text or "<none>"
    yield " ".join(filter(None, (entry.client_id, entry.mac)))
    for text in (entry.renew, entry.rebind, entry.expires):
        yield text.removesuffix("+00:00") + "Z" if text else "<none>"
