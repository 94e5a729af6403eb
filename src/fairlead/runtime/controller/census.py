"""What a plan comes to in numbers, and which verdicts are news.

Kept up from plan to plan by what changed between them, because counting 50 000 Services anew for
every one that comes would cost more than planning it. Nothing is remembered but the plan before:
plans share what they have in common.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from fairlead.model.ledger import EXTERNAL, Holding, Spot
from fairlead.model.names import GroupKey, Ref
from fairlead.model.plan import Plan
from fairlead.model.verdict import State
from fairlead.planner import verdict
from fairlead.runtime.verdicts import VerdictChange, touched

TOLD = (State.REJECTED, State.PENDING)
"""The states that are worth a line in a log."""


class Standing(NamedTuple):
    """``state`` and reason code of an object."""

    state: str
    reason: str


class PoolUse(NamedTuple):
    """A pool's addresses of one family."""

    pool: str
    family: str


class Census:
    """``verdicts``: objects by state and reason. ``vips``: addresses clients use, a dual-stack pair
    counted once; ``members``: the objects behind them. ``assigned``: addresses by pool. ``moves``:
    VIPs that got another address, since the process started."""

    def __init__(self) -> None:
        self.verdicts: Counter[Standing] = Counter()
        self.assigned: Counter[PoolUse] = Counter()
        self.vips = 0
        self.members = 0
        self.moves = 0
        self.plan: Plan | None = None
        self._newest: Plan | None = None
        self._refs: set[Ref] | None = None
        self._groups: set[GroupKey] | None = None

    def offer(self, plan: Plan) -> None:
        """There is a newer plan (:data:`NOTHING`: none any more). Cheap: it is counted by
        :meth:`count`."""
        if self._newest is None or plan.changed is None:
            self._refs = self._groups = None
        elif self._refs is not None and self._groups is not None:
            refs = touched(self._newest, plan)
            self._refs = None if refs is None else self._refs | refs
            self._groups = None if refs is None else self._groups | plan.changed
        self._newest = plan

    def take(self) -> "Task | None":
        """What is to be counted, None when that was done."""
        if self._newest is None or self._newest is self.plan:
            return None
        task = Task(self.plan, self._newest, self._refs, self._groups)
        self._refs, self._groups = set(), set()
        return task

    def count(self, task: "Task") -> list[VerdictChange]:
        """Count it; the verdicts that are worth telling. Nobody else may count meanwhile."""
        before, after = task.before, task.after
        refs, groups = task.refs, task.groups
        if refs is None or groups is None or before is None:
            refs = _all_refs(after) | (_all_refs(before) if before else set())
            groups = {*after.outcomes, *(before.outcomes if before else ())}
        changes = [c for c in self._verdicts(before or NOTHING, after, refs) if _is_told(c)]
        for key in groups:
            self._group(before or NOTHING, after, key)
        self.plan = after
        return changes

    def _verdicts(self, before: Plan, after: Plan, refs: Iterable[Ref]) -> Iterator[VerdictChange]:
        for ref in refs:
            old, new = verdict(before, ref), verdict(after, ref)
            if old is not None:
                self.verdicts[Standing(old.state.value, old.code.value)] -= 1
            if new is not None:
                self.verdicts[Standing(new.state.value, new.code.value)] += 1
            if old != new:
                yield VerdictChange(ref, old, new)

    def _group(self, before: Plan, after: Plan, key: GroupKey) -> None:
        for plan, sign in ((before, -1), (after, 1)):
            outcome = plan.outcomes.get(key)
            outer = [v for v in outcome.vips if v.slot == EXTERNAL] if outcome else []
            self.vips += sign * len(outer)
            self.members += sign * sum(len(vip.members) for vip in outer)
            holding = plan.ledger.holdings.get(key)
            for assignment in holding.assignments if holding else ():
                family = f"IPv{assignment.spot.address.version}"
                self.assigned[PoolUse(assignment.pool, family)] += sign
        gone, came = _spots(before.ledger.holdings, key), _spots(after.ledger.holdings, key)
        self.moves += bool(gone - came and came - gone)


class Task(NamedTuple):
    """Two plans, and the objects and groups that may differ between them (None: any)."""

    before: Plan | None
    after: Plan
    refs: set[Ref] | None
    groups: set[GroupKey] | None


NOTHING = Plan()


def _all_refs(plan: Plan) -> set[Ref]:
    return {*plan.groups_of, *plan.claims.verdicts}


def _spots(holdings: Mapping[GroupKey, Holding], key: GroupKey) -> set[Spot]:
    holding = holdings.get(key)
    return {a.spot for a in holding.in_slot(EXTERNAL)} if holding else set()


def _is_told(change: VerdictChange) -> bool:
    """Whether somebody has to wait or to edit, or no longer has to."""
    old, new = change.before, change.after
    was = old is not None and old.state in TOLD
    if new is None:
        return False
    if new.state in TOLD:
        return not was or old is None or (old.state, old.reason) != (new.state, new.reason)
    return was
