"""The final word on an object: its claims' verdicts together, and what is known only now.

Whether an engine is ready and who fills a pool changes without the object; it is added when
somebody asks, so that such a change does not touch every group.
"""

from collections.abc import Iterator

from msgspec.structs import replace

from fairlead.model.claim import Pool
from fairlead.model.ledger import Spot
from fairlead.model.names import Ref
from fairlead.model.plan import Outcome, Plan, Vip
from fairlead.model.verdict import Reason, State, Verdict
from fairlead.planner import reasons
from fairlead.planner.place import is_full

WORST = (State.REJECTED, State.PENDING, State.SERVED, State.IGNORED)
LOOKED_AT = 256
"""Addresses of a full pool that are looked at to name its holders."""


def verdict(plan: Plan, ref: Ref) -> Verdict | None:
    """What is said of an object; None when nothing is (it asks for no VIP)."""
    found = [v for outcome in _outcomes(plan, ref) for v in _verdicts(plan, outcome, ref)]
    own = plan.claims.verdicts.get(ref)
    if own is None:
        return _merged(found) if found else None
    if not found:
        return own
    served = _merged(found)
    return replace(own, group=served.group, addresses=served.addresses)


def every_verdict(plan: Plan) -> Iterator[Verdict]:
    """All verdicts, in no particular order."""
    for ref in plan.groups_of:
        found = verdict(plan, ref)
        if found is not None:
            yield found
    for ref, own in plan.claims.verdicts.items():
        if ref not in plan.groups_of:
            yield own


def message(plan: Plan, reason: Reason) -> str:
    """The sentence for people; it says who holds a full pool."""
    full = [_fullness(plan, pool) for pool in plan.claims.pools if pool.name in reason.pools]
    return " ".join((*full, reason.message)) if full else reason.message


def _outcomes(plan: Plan, ref: Ref) -> Iterator[Outcome]:
    for key in plan.groups_of.get(ref, ()):
        outcome = plan.outcomes.get(key)
        if outcome is not None:
            yield outcome


def _verdicts(plan: Plan, outcome: Outcome, ref: Ref) -> Iterator[Verdict]:
    unplaced = [v for v in outcome.vips if not plan.placement.active.get(v.key)]
    for found in outcome.verdicts:
        if found.ref != ref:
            continue
        if unplaced and found.state is State.SERVED:
            yield replace(found, reason=_unplaced(plan, unplaced[0]))
        else:
            yield found


def _unplaced(plan: Plan, vip: Vip) -> Reason:
    rule = plan.claims.engine_rules.get(vip.engine_group)
    if rule is not None and is_full(vip, rule):
        return reasons.engines_full(rule.name, rule.max_vips)
    return reasons.no_engine(vip.engine_group)


def _merged(found: list[Verdict]) -> Verdict:
    """One verdict of several claims: the worst state, all addresses."""
    if len(found) == 1:
        return found[0]
    worst = min(found, key=lambda v: WORST.index(v.state))
    addresses = sorted({a for v in found for a in v.addresses}, key=lambda a: (a.version, int(a)))
    warnings = tuple(dict.fromkeys(w for v in found for w in v.warnings))
    return replace(worst, addresses=tuple(addresses), warnings=warnings)


def _fullness(plan: Plan, pool: Pool) -> str:
    size = sum(span.size for span in pool.ranges)
    holders = list(dict.fromkeys(ref for ref in _holders(plan, pool)))
    held = f", held for {reasons.named(holders)}" if holders else ""
    return f"Pool {pool.name} ({size} addresses) is full{held}:"


def _holders(plan: Plan, pool: Pool) -> Iterator[Ref]:
    left = LOOKED_AT
    for span in pool.ranges:
        for offset in range(min(span.size, left)):
            key = plan.ledger.holders.get(Spot(pool.space, span.first + offset))
            holding = plan.ledger.holdings.get(key) if key else None
            yield from sorted(holding.members) if holding else ()
        left -= min(span.size, left)
