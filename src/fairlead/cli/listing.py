"""What ``fairlead get`` lists: the values for programs, and their table for people."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from fairlead.cli.inputs import Decision
from fairlead.cli.what import What
from fairlead.publish import inventory, tables
from fairlead.publish.contract import ServiceEntry
from fairlead.publish.document import document


class Listing(NamedTuple):
    """A list, and how to show it."""

    value: object
    table: Callable[[], str]


def listed(
    what: What, decision: Decision, since: Mapping[str, datetime], namespace: str
) -> Listing:
    """A list. ``since``: how long addresses have been held. ``namespace`` empty = all of them."""
    now = datetime.now(UTC)
    plan, world = decision.plan, decision.world
    result = document(plan, world)
    match what:
        case What.SERVICES:
            chosen = _within(result.services, namespace)
            wide = not namespace
            return Listing(
                chosen, lambda: tables.services(chosen, world.service, now=now, namespaced=wide)
            )
        case What.VIPS:
            return Listing(result.vips, lambda: tables.vips(result.vips, since, now=now))
        case What.POOLS:
            pools = inventory.pools(plan)
            return Listing(pools, lambda: tables.pools(pools))
        case What.ENGINES:
            engines = inventory.engines(plan, result.vips, decision.reports)
            return Listing(engines, lambda: tables.engines(engines))
        case What.REJECTIONS:
            return Listing(result.rejections, lambda: tables.rejections(result.rejections))


def _within(entries: list[ServiceEntry], namespace: str) -> list[ServiceEntry]:
    return [entry for entry in entries if namespace in ("", entry.namespace)]
