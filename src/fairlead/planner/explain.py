"""Why an object has what it has: every candidate pool, address and engine, and why it was taken."""

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

from fairlead.model.addresses import IPAddress
from fairlead.model.claim import Claim, Engine, Pool
from fairlead.model.ledger import EXTERNAL, Spot
from fairlead.model.names import GroupKey, Ref
from fairlead.model.plan import Outcome, Plan, Vip
from fairlead.model.verdict import Verdict
from fairlead.planner import reasons
from fairlead.planner.place import candidates, eligible, ready, roster_of
from fairlead.planner.verdicts import message, verdict
from fairlead.planner.want import admits

MOST = 8
"""Addresses of a pool that are listed one by one."""


class Candidate(Struct, frozen=True):
    """One pool, address or engine that was considered."""

    kind: Literal["pool", "address", "engine"]
    name: str
    chosen: bool
    why: str


class Explanation(Struct, frozen=True):
    """Everything there is to say about one object."""

    verdict: Verdict
    message: str
    members: tuple[Ref, ...] = ()
    candidates: tuple[Candidate, ...] = ()


def explain(plan: Plan, ref: Ref) -> Explanation | None:
    """The verdict of an object and how it came about; None for an object that asks for no VIP."""
    found = verdict(plan, ref)
    if found is None:
        return None
    text = message(plan, found.reason) if found.reason else ""
    claim = next(iter(plan.claims.by_ref.get(ref, ())), None)
    keys = plan.groups_of.get(ref, ())
    outcome = plan.outcomes.get(keys[0]) if keys else None
    if claim is None or outcome is None:
        return Explanation(found, text)
    return Explanation(
        verdict=found,
        message=text,
        members=tuple(c.ref for c in outcome.claims),
        candidates=(
            *_pools(plan, claim, outcome),
            *_addresses(plan, claim, outcome),
            *_engines(plan, outcome),
        ),
    )


def _held(outcome: Outcome) -> tuple[Spot, ...]:
    holding = outcome.holding
    return tuple(a.spot for a in holding.in_slot(EXTERNAL)) if holding else ()


def _pools(plan: Plan, claim: Claim, outcome: Outcome) -> Iterator[Candidate]:
    mine = {a.pool for a in outcome.holding.assignments} if outcome.holding else set()
    for pool in plan.claims.pools:
        chosen = pool.name in mine
        yield Candidate("pool", pool.name, chosen, _why_pool(plan, claim, pool, chosen))
    for name in claim.pools:
        if not plan.claims.pools_named(name):
            yield Candidate("pool", name, False, "no AddressPool has this name or network")


def _why_pool(plan: Plan, claim: Claim, pool: Pool, chosen: bool) -> str:
    size = sum(span.size for span in pool.ranges)
    used = f"{_used(plan, pool)} of {size} addresses are held"
    if chosen:
        return f"priority {pool.priority}; {used}"
    if claim.pools and not any(pool.answers_to(name) for name in claim.pools):
        return f"the Service is confined to {', '.join(claim.pools)}"
    if not admits(pool, claim):
        return "it is restricted to other namespaces or labels"
    if claim.dhcp is not None:
        return "its address comes from DHCP"
    if claim.addresses:
        return "the Service asks for a static address"
    if not pool.auto_assign:
        return "autoAssign is false: it is used only when named"
    return f"another pool comes first, or it has no free address; {used}"


def _used(plan: Plan, pool: Pool) -> int:
    """Counted over the holders, or over the pool where that is shorter."""
    size = sum(span.size for span in pool.ranges)
    holders = plan.ledger.holders
    if size < len(holders):
        return sum(
            Spot(pool.space, span.first + i) in holders
            for span in pool.ranges
            for i in range(span.size)
        )
    return sum(spot.space == pool.space and spot.address in pool for spot in holders)


def _addresses(plan: Plan, claim: Claim, outcome: Outcome) -> Iterator[Candidate]:
    held = _held(outcome)
    for address in claim.addresses:
        chosen = any(spot.address == address for spot in held)
        why = "leased from DHCP" if _is_leased(claim, address) else "asked for"
        yield _candidate(plan, Spot(claim.space, address), outcome.group, chosen, why)
    for spot in held:
        if spot.address in claim.addresses:
            continue
        yield _candidate(plan, spot, outcome.group, True, "held by this group")
        yield from _passed_over(plan, spot, outcome)


def _is_leased(claim: Claim, address: IPAddress) -> bool:
    known = claim.dhcp.of(address.version) if claim.dhcp is not None else None
    return known is not None and known.address == address


def _passed_over(plan: Plan, spot: Spot, outcome: Outcome) -> Iterator[Candidate]:
    """The addresses before the chosen one, and who has them."""
    for pool in plan.claims.pools:
        for span in pool.ranges:
            if spot.address not in span or pool.space != spot.space:
                continue
            before = int(spot.address) - int(span.first)
            for offset in range(min(before, MOST)):
                other = Spot(spot.space, span.first + offset)
                yield _candidate(plan, other, outcome.group, False, "")
            if before > MOST:
                name = f"{span.first + MOST}-{spot.address - 1}"
                yield Candidate("address", name, False, f"{before - MOST} more that come before it")


def _candidate(plan: Plan, spot: Spot, group: GroupKey, chosen: bool, why: str) -> Candidate:
    return Candidate(
        "address", spot.address.compressed, chosen, why_address(plan, spot, group, why)
    )


def why_address(plan: Plan, spot: Spot, group: GroupKey, chosen: str) -> str:
    """Who has an address, or why nobody may."""
    holder = plan.ledger.holders.get(spot)
    if holder == group:
        return chosen or "held by this group"
    if holder is not None:
        holding = plan.ledger.holdings.get(holder)
        return f"held for {reasons.named(sorted(holding.members if holding else ()))}"
    node = plan.claims.node_addresses.get(spot.address)
    if node is not None:
        return f"the own address of {node}" if node.kind == "Node" else f"reserved by {node}"
    if spot in plan.ledger.released:
        return "released before; handed out again last"
    return "free"


def _engines(plan: Plan, outcome: Outcome) -> Iterator[Candidate]:
    for vip in outcome.vips[:1]:
        rule = plan.claims.engine_rules.get(vip.engine_group)
        if rule is None:
            yield Candidate("engine", vip.engine_group, False, "no such engine group")
            continue
        roster = roster_of(rule, vip.role)
        order, _ = candidates(vip, roster)
        names = eligible(rule.engines, vip.role)
        active = plan.placement.active.get(vip.key, ())
        for engine in sorted(rule.engines):
            why = _why_engine(engine, vip, names, ready(rule.engines), order)
            if engine.name in roster.buffer:
                why += "; of the buffer: it takes over what another one loses"
            yield Candidate("engine", engine.name, engine.name in active, why)


def _why_engine(
    engine: Engine, vip: Vip, names: tuple[str, ...], alive: frozenset[str], order: tuple[str, ...]
) -> str:
    if engine.name not in names:
        return f"its role is {engine.role}; this VIP is for role {vip.role}"
    if engine.name not in alive:
        return "not ready"
    if engine.leaving:
        return "its Node is cordoned: it keeps only what nobody else can hold"
    if vip.nodes is not None and engine.node and engine.name not in vip.nodes:
        return "externalTrafficPolicy is Local and it has no ready endpoint"
    return f"number {order.index(engine.name) + 1} in this VIP's order of preference"
