"""What is said of objects: the plan's verdicts, and what only the running data plane knows.

The planner cannot see that somebody else on the LAN uses an address, or that an interface is down.
Such an impediment is laid over the verdicts of the members concerned, never fed back into planning:
the address stays theirs, and is served as soon as the impediment is gone.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from msgspec.structs import replace

from fairlead.model.addresses import IPAddress
from fairlead.model.claim import DEFAULT_SPACE
from fairlead.model.ledger import Spot
from fairlead.model.names import GroupKey, Ref
from fairlead.model.plan import Plan
from fairlead.model.verdict import Code, Forward, Reason, State, Verdict
from fairlead.planner import verdict
from fairlead.publish.forwards import by_service, with_forwards


class Impediment(NamedTuple):
    """Why an address that is placed here is not served. ``message`` is for people."""

    address: IPAddress
    code: Code
    message: str


class VerdictChange(NamedTuple):
    """What is said of an object now, and was said before; None: nothing."""

    ref: Ref
    before: Verdict | None
    after: Verdict | None


def overlaid(
    plan: Plan, impediments: Iterable[Impediment], forwards: Iterable[Forward] = ()
) -> Plan:
    """The plan with the impediments, and the ports on a gateway, on the verdicts of the members
    concerned."""
    outcomes = plan.outcomes.mutate()
    for ref, ports in by_service(forwards).items():
        for key in plan.groups_of.get(ref, ()):
            mine = outcomes[key]
            said = (with_forwards(v, ports) if v.ref == ref else v for v in mine.verdicts)
            outcomes[key] = replace(mine, verdicts=tuple(said))
    for impediment in impediments:
        for key in _groups_of(plan, impediment.address):
            outcome = outcomes.get(key)
            if outcome is not None:
                impeded = tuple(_impeded(verdict, impediment) for verdict in outcome.verdicts)
                outcomes[key] = replace(outcome, verdicts=impeded)
    return replace(plan, outcomes=outcomes.finish())


def concerned(plan: Plan, impediments: Iterable[Impediment]) -> set[Ref]:
    """The objects that impediments are about."""
    keys = {key for one in impediments for key in _groups_of(plan, one.address)}
    return set(_refs(plan, keys))


def touched(before: Plan | None, after: Plan) -> set[Ref] | None:
    """The objects whose verdict may differ between a plan and the next; None = any."""
    if before is None or after.changed is None:
        return None
    refs = {*_refs(before, after.changed), *_refs(after, after.changed)}
    old, new = before.claims.verdicts, after.claims.verdicts
    if old is not new:
        follows = after.claims.base == before.claims.revision
        known = after.claims.touched if follows else None
        refs |= {*old, *new} if known is None else known
    return refs


class News:
    """Remembers what was said, so that only changes are told."""

    def __init__(self) -> None:
        self._said: dict[Ref, Verdict] = {}

    def about(self, plan: Plan, refs: Collection[Ref] | None) -> list[VerdictChange]:
        """The changes among these objects (None: among all), in order."""
        if refs is None:
            refs = {*self._said, *plan.groups_of, *plan.claims.verdicts}
        found = (VerdictChange(r, self._said.get(r), verdict(plan, r)) for r in sorted(refs))
        changes = [change for change in found if change.before != change.after]
        for change in changes:
            if change.after is None:
                del self._said[change.ref]
            else:
                self._said[change.ref] = change.after
        return changes


def _refs(plan: Plan, keys: Iterable[GroupKey]) -> Iterator[Ref]:
    for key in keys:
        outcome = plan.outcomes.get(key)
        if outcome is not None:
            yield from (claim.ref for claim in outcome.claims)


def _groups_of(plan: Plan, address: IPAddress) -> Iterator[GroupKey]:
    for space in {DEFAULT_SPACE, *(pool.space for pool in plan.claims.pools)}:
        key = plan.ledger.holders.get(Spot(space, address))
        if key is not None:
            yield key


def _impeded(said: Verdict, impediment: Impediment) -> Verdict:
    """A member with an impediment: Pending when it is left without an address that is its own."""
    address, code, message = impediment
    if said.state is not State.SERVED:
        return said
    reason = Reason(code, message)
    left = said.addresses
    if code is Code.ADDRESS_IN_USE:
        left = tuple(a for a in said.addresses if a != address)
        if not left:
            return replace(said, state=State.PENDING, reason=reason, addresses=())
    weaker = (said.reason,) if said.reason is not None else ()
    return replace(said, reason=reason, addresses=left, warnings=(*weaker, *said.warnings))
