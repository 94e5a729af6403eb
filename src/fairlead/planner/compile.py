"""Plan -> what one engine's drivers must make true.

Every engine of a group has the listeners of all the group's VIPs, so that a take-over is an
address and nothing more; only the holder has the address. An engine that is both the edge and a
server of the internal addresses would have to translate twice, which the kernel does not do (NAT
is decided once per hook): there the two steps are compiled into one.

Where the cluster's own proxy carries the traffic (``dataplane: cluster``), the holder lets through
what is for a listener and refuses the rest. The others have nothing, unless they have a fence,
which must find everything ready (``standby``).
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from fairlead.model.addresses import IPAddress
from fairlead.model.claim import Backend, Engine, EngineRule
from fairlead.model.desired import (
    PASSED,
    L2Changes,
    L2Desired,
    L4Backend,
    L4Changes,
    L4Desired,
    L4Key,
    L4Listener,
)
from fairlead.model.ledger import EXTERNAL, Ledger, Spot
from fairlead.model.names import GroupKey
from fairlead.model.plan import Listener, Outcome, Plan, Vip
from fairlead.planner.diff import diff_l2, diff_l4
from fairlead.planner.place import eligible

Rows = dict[L4Key, L4Listener]


def compile_l4(plan: Plan, engine: str, *, standby: bool = False) -> L4Desired:
    """Everything the engine's L4 data plane must hold. ``standby``: where the cluster's proxy
    carries the traffic, also for VIPs that this engine may have to take over without being asked
    again."""
    rows: Rows = {}
    vips: set[IPAddress] = set()
    for outcome in plan.outcomes.values():
        _add(plan, outcome, _Here(engine, standby), rows, vips)
    return L4Desired(listeners=rows, vips=frozenset(vips))


def delta_l4(before: Plan, after: Plan, engine: str, *, standby: bool = False) -> L4Changes:
    """What changes for the engine's L4 data plane; its cost follows the change, not the plan."""
    here = _Here(engine, standby)
    if after.changed is None or not _serves_the_same(before, after, engine):
        old_rows, new_rows = (compile_l4(one, engine, standby=standby) for one in (before, after))
        return diff_l4(new_rows, old_rows)
    old: Rows = {}
    new: Rows = {}
    old_vips: set[IPAddress] = set()
    new_vips: set[IPAddress] = set()
    for key in after.changed:
        for plan, rows, vips in ((before, old, old_vips), (after, new, new_vips)):
            outcome = plan.outcomes.get(key)
            if outcome is not None:
                _add(plan, outcome, here, rows, vips)
    return diff_l4(L4Desired(new, frozenset(new_vips)), L4Desired(old, frozenset(old_vips)))


def compile_l2(plan: Plan, engine: str, known: Ledger | None = None) -> L2Desired:
    """The addresses the engine holds on its LANs. ``known``: the ledger before; an address that it
    never saw is fresh."""
    owned = {
        Spot(_space(plan, vip), address)
        for vip in plan.vips()
        for address in _owned(plan, vip, engine)
    }
    return L2Desired(
        owned=frozenset(spot.address for spot in owned),
        fresh=frozenset() if known is None else _fresh(owned, known),
        places=_places(plan, plan.outcomes, engine),
    )


def delta_l2(before: Plan, after: Plan, engine: str) -> L2Changes:
    """What changes for the engine's LAN addresses."""
    if after.changed is None:
        return diff_l2(compile_l2(after, engine, before.ledger), compile_l2(before, engine))
    old, new = (
        {
            Spot(_space(plan, vip), address)
            for key in after.changed or ()
            for vip in _vips(plan.outcomes.get(key))
            for address in _owned(plan, vip, engine)
        }
        for plan in (before, after)
    )
    there = _places(before, after.changed, engine)
    here = _places(after, after.changed, engine)
    return diff_l2(
        L2Desired(frozenset(s.address for s in new), _fresh(new, before.ledger), here),
        L2Desired(frozenset(s.address for s in old), places=there),
    )


def _places(plan: Plan, keys: Iterable[GroupKey], engine: str) -> dict[IPAddress, str]:
    return {
        address: vip.interface
        for key in keys
        for vip in _vips(plan.outcomes.get(key))
        if vip.interface
        for address in _owned(plan, vip, engine)
    }


def _vips(outcome: Outcome | None) -> tuple[Vip, ...]:
    return outcome.vips if outcome else ()


def _space(plan: Plan, vip: Vip) -> str:
    outcome = plan.outcomes[vip.group]
    return outcome.claims[0].space if outcome.claims else ""


def _owned(plan: Plan, vip: Vip, engine: str) -> tuple[IPAddress, ...]:
    active = plan.placement.active.get(vip.key, ())
    return vip.addresses if vip.announce == "l2" and engine in active else ()


def _fresh(owned: set[Spot], known: Ledger) -> frozenset[IPAddress]:
    return frozenset(s.address for s in owned if s not in known.holders and s not in known.released)


def _serves_the_same(before: Plan, after: Plan, engine: str) -> bool:
    if before.claims.engine_rules is after.claims.engine_rules:
        return True
    return _serves(before, engine) == _serves(after, engine)


def _serves(plan: Plan, engine: str) -> tuple[tuple[str, EngineRule], ...]:
    """The engine groups an engine belongs to, without who is alive in them."""
    rules = sorted(plan.claims.engine_rules.items())
    return tuple(
        (name, EngineRule(name=name, engines=tuple(map(_at_rest, rule.engines))))
        for name, rule in rules
        if any(e.name == engine for e in rule.engines)
    )


def _at_rest(engine: Engine) -> Engine:
    return engine._replace(ready=True, leaving=False)


class _Here(NamedTuple):
    """An engine, and whether it is ready for VIPs that others hold."""

    engine: str
    standby: bool


def _add(plan: Plan, outcome: Outcome, here: _Here, rows: Rows, vips: set[IPAddress]) -> None:
    """One group's rows on one engine."""
    if plan.claims.config.dataplane == "cluster":
        _let_through(plan, outcome, here, rows, vips)
        return
    engine = here.engine
    for vip in outcome.vips:
        rule = plan.claims.engine_rules.get(vip.engine_group)
        if rule is None or engine not in eligible(rule.engines, vip.role):
            continue
        vips.update(vip.addresses)
        if vip.translations:
            rows.update(_translations(plan, outcome, vip, rule, engine))
        for listener in vip.listeners:
            for address in vip.addresses:
                key = L4Key(address, listener.protocol, listener.port)
                rows[key] = row_of(plan, listener, address, rule, engine)


def _let_through(
    plan: Plan, outcome: Outcome, here: _Here, rows: Rows, vips: set[IPAddress]
) -> None:
    """What the cluster's proxy carries. It knows the addresses that clients use, not internal
    ones."""
    for vip in outcome.vips:
        if here.engine not in plan.placement.active.get(vip.key, ()) and not _stands_by(
            plan, vip, here
        ):
            continue
        vips.update(vip.addresses)
        for step in vip.translations:
            rows[L4Key(step.external, step.protocol, step.port)] = PASSED
        for listener in vip.listeners if vip.slot == EXTERNAL else ():
            for address in vip.addresses:
                rows[L4Key(address, listener.protocol, listener.port)] = PASSED


def _stands_by(plan: Plan, vip: Vip, here: _Here) -> bool:
    rule = plan.claims.engine_rules.get(vip.engine_group)
    if not here.standby or vip.announce != "l2" or rule is None:
        return False
    return here.engine in eligible(rule.engines, vip.role)


def _translations(
    plan: Plan, outcome: Outcome, vip: Vip, rule: EngineRule, engine: str
) -> Iterator[tuple[L4Key, L4Listener]]:
    """The DNAT rows of an edge; where it serves the internal address itself, the listeners."""
    inner = {
        (address, p.protocol, p.port): p
        for v in outcome.vips[1:]
        for address in v.addresses
        for p in v.listeners
    }
    direct = engine in eligible(rule.engines, "engine")
    for step in vip.translations:
        key = L4Key(step.external, step.protocol, step.port)
        listener = inner[step.internal, step.protocol, step.port]
        if direct:
            yield key, row_of(plan, listener, step.external, rule, engine)
        else:
            yield (
                key,
                L4Listener(
                    backends=(L4Backend(step.internal, step.port),),
                    affinity_seconds=listener.affinity_seconds,
                    source_ranges=listener.source_ranges,
                    masquerade=plan.claims.masquerade,
                ),
            )


def row_of(
    plan: Plan, listener: Listener, address: IPAddress, rule: EngineRule, engine: str
) -> L4Listener:
    """A listener as one engine serves it on one address."""
    on_node = any(e.name == engine and e.node for e in rule.engines)
    backends = tuple(
        L4Backend(b.address, b.port, bool(b.node) and b.node == engine)
        for b in _reachable(listener, engine)
        if b.address.version == address.version
        and not (listener.local and on_node and b.node != engine)
    )
    return L4Listener(
        backends=backends,
        affinity_seconds=listener.affinity_seconds,
        source_ranges=listener.source_ranges,
        masquerade="never" if listener.local else plan.claims.masquerade,
    )


def _reachable(listener: Listener, engine: str) -> tuple[Backend, ...]:
    """The backends, with the engine's own NodePort replaced by the pods behind it on this node: the
    node's own rule for it never runs for a flow that our DNAT has translated already."""
    others = tuple(b for b in listener.backends if not (b.node_port and b.node == engine))
    if len(others) == len(listener.backends):
        return others
    return others + tuple(pod for pod in listener.pods if pod.node == engine)
