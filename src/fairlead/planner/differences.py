"""What a plan would change, address by address: the ``changes`` of ``fairlead plan``."""

from typing import Literal

from msgspec import Struct

from fairlead.model.addresses import IPAddress
from fairlead.model.ledger import EXTERNAL, Assignment, Holding, Ledger
from fairlead.model.names import GroupKey, Ref
from fairlead.model.plan import Plan
from fairlead.planner import reasons

Action = Literal["create", "update", "delete"]


class PlanChange(Struct, frozen=True, order=True):
    """One address that comes, goes, or changes its members, and why."""

    object: str
    action: Action
    because: str


def differences(ledger: Ledger, after: Plan) -> tuple[PlanChange, ...]:
    """The changes from what the ledger says to what the plan says, sorted."""
    if after.ledger is ledger:
        return ()
    changes: list[PlanChange] = []
    for key, now in after.ledger.holdings.items():
        if ledger.holdings.get(key) is not now:
            changes += _arrivals(ledger, now)
    for key, was in ledger.holdings.items():
        if after.ledger.holdings.get(key) is not was:
            changes += _departures(after, key, was)
    return tuple(sorted(changes))


def _name(address: IPAddress) -> str:
    return f"VirtualIP/{address.compressed}"


def _arrivals(ledger: Ledger, now: Holding) -> list[PlanChange]:
    changes = []
    for assignment in now.assignments:
        name = _name(assignment.spot.address)
        holder = ledger.holders.get(assignment.spot)
        was = ledger.holdings.get(holder) if holder else None
        if was is None:
            changes.append(PlanChange(name, "create", _for_whom(now, assignment)))
        elif was.group != now.group or was.members != now.members or was.owners != now.owners:
            changes.append(PlanChange(name, "update", _what_changed(was, now)))
    return changes


def _departures(after: Plan, key: GroupKey, was: Holding) -> list[PlanChange]:
    return [
        PlanChange(_name(a.spot.address), "delete", _why_gone(after, key, was, a))
        for a in was.assignments
        if a.spot not in after.ledger.holders
    ]


def _for_whom(now: Holding, assignment: Assignment) -> str:
    what = "address" if assignment.slot == EXTERNAL else "internal address"
    where = f"from pool {assignment.pool}" if assignment.pool else "as they ask for it"
    return f"{what} for {reasons.named(sorted(now.members))} {where}"


def _what_changed(was: Holding, now: Holding) -> str:
    joined, left = sorted(now.members - was.members), sorted(was.members - now.members)
    parts = []
    if joined:
        parts.append(f"{reasons.named(joined)} joined")
    if left:
        parts.append(f"{reasons.named(left)} left")
    return ", ".join(parts) or "its ports changed"


def _why_gone(after: Plan, key: GroupKey, was: Holding, assignment: Assignment) -> str:
    now = after.ledger.holdings.get(key)
    members: list[Ref] = sorted(was.members)
    if now is None:
        return f"nothing asks for it any more (it was for {reasons.named(members)})"
    pool = next((p for p in after.claims.pools if p.name == assignment.pool), None)
    if assignment.pool and (pool is None or assignment.spot.address not in pool):
        return f"it left pool {assignment.pool}"
    return f"{reasons.named(members)} moved to another address"
