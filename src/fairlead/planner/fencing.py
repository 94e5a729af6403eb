"""A plan as a table for the fence: for every VIP, who holds it while whom else is alive.

The order of candidates is the one by which agents place VIPs, with nobody's readiness in it: that
is what the fence knows better. Who leaves keeps its place in it, and is named as such: an order
that changed would be another berth, which nobody could hand over. A fence's cell is at most sixteen
engines; with more, each VIP has its candidates in one cell.
"""

from collections.abc import Collection, Iterator, Mapping

from fairlead.model.addresses import IPAddress
from fairlead.model.berth import Table
from fairlead.model.cell import Partition
from fairlead.model.plan import Plan
from fairlead.model.served import Served, ServedVip
from fairlead.planner.berth import berths_of, leave
from fairlead.planner.order import Order, cells
from fairlead.planner.serve import Roster, order_of, roster_of


def cell_of(me: str, engines: Collection[str]) -> tuple[str, ...]:
    """The cell of an engine among all: the same that :func:`fairlead.planner.place.orders` has."""
    return next((cell for cell in cells(tuple(sorted(engines))) if me in cell), (me,))


def table_of(
    plan: Plan,
    me: str,
    *,
    addresses: Mapping[str, IPAddress],
    ready: Collection[IPAddress] | None = None,
    partition: Partition = "consistent",
) -> Table | None:
    """What this engine's fence is to go by. ``addresses``: where each engine is reached; an engine
    without one is in no cell. ``ready``: only these VIPs may be held yet (None: all). None for an
    engine that is none."""
    if me not in addresses or not isinstance(plan.claims, Served):
        return None
    rules = plan.claims.engine_rules.values()
    groups = ({e.name for e in rule.engines} for rule in rules)
    near = {me}.union(*(names for names in groups if me in names))
    cell = cell_of(me, near & addresses.keys())
    return Table(
        me=me,
        address=addresses[me],
        peers={name: addresses[name] for name in cell if name != me},
        berths=berths_of(_orders(plan, me, cell, ready), _places(plan)),
        partition=partition,
    )


def _places(plan: Plan) -> dict[IPAddress, str]:
    return {
        address: vip.interface for vip in plan.vips() if vip.interface for address in vip.addresses
    }


def _orders(
    plan: Plan, me: str, cell: Collection[str], ready: Collection[IPAddress] | None
) -> Iterator[tuple[Order, int, IPAddress]]:
    rosters: dict[tuple[str, str], Roster | None] = {}
    for vip in plan.vips():
        if vip.announce != "l2" or not isinstance(vip, ServedVip):
            continue
        kind = vip.engine_group, vip.role
        if kind not in rosters:
            rule = plan.claims.engine_rules.get(vip.engine_group)
            rosters[kind] = roster_of(rule, vip.role) if rule is not None else None
        roster = rosters[kind]
        if roster is None:
            continue
        order = order_of(vip, roster)
        near = tuple(name for name in order if name in cell)
        if order and order[0] in cell and me in near:
            for address in vip.addresses:
                if ready is None or address in ready:
                    yield leave(near, roster.leaving), vip.engines, address
