"""A group's VIPs, listeners and verdicts, once its members and addresses are known."""

from collections.abc import Sequence

from fairlead.model.addresses import IPAddress
from fairlead.model.claim import Claim, Pool
from fairlead.model.dhcp import LeaseOrder
from fairlead.model.forward import FORWARDED
from fairlead.model.ledger import EXTERNAL, Assignment, Holding
from fairlead.model.names import Ref
from fairlead.model.objects import Announce
from fairlead.model.peers import BgpPeer
from fairlead.model.plan import Listener, Outcome, Translation, Vip
from fairlead.model.verdict import Reason, State, Verdict
from fairlead.planner import reasons
from fairlead.planner.allocate import INTERNAL, Case
from fairlead.planner.compile_bgp import heard
from fairlead.planner.lease import identifier, orders_of


def outcome_of(
    case: Case,
    holding: Holding,
    pools: dict[str, Pool],
    peers: Sequence[BgpPeer],
    namesakes: Sequence[Claim] = (),
) -> Outcome:
    """What became of one group that now has this holding. ``namesakes``: all who want a lease under
    its hostname."""
    vips = _vips(case, holding, pools) if case.members else ()
    addresses = vips[0].addresses if vips else ()
    silent = next((vip for vip in vips if vip.announce == "bgp" and not heard(vip, peers)), None)
    warnings = case.warnings
    if silent is not None:
        warnings = (*warnings, reasons.not_announced(silent.peer_labels))
    if vips and vips[0].scale > 1 and vips[0].announce == "l2":
        warnings = (*warnings, reasons.one_holder(vips[0].scale))
    others = {c.interface for c in case.members} - {"", vips[0].interface} if vips else ()
    if others:
        warnings = (*warnings, reasons.one_interface(vips[0].interface, sorted(others)))
    leases, told = _leases(case, holding, namesakes)
    warnings += told
    verdicts = tuple(_verdict(case, c, addresses, warnings, told) for c in case.admission.claims)
    return Outcome(
        group=case.group,
        claims=case.admission.claims,
        verdicts=verdicts,
        vips=vips,
        holding=holding if holding.assignments else None,
        waits=case.waits,
        leases=leases,
    )


def _leases(
    case: Case, holding: Holding, namesakes: Sequence[Claim]
) -> tuple[tuple[LeaseOrder, ...], tuple[Reason, ...]]:
    """What DHCP servers are asked for, also while the group is not served for another reason: a
    lease that came and went with every conflict would be another one each time."""
    asking = [c for c in case.admission.claims if c.dhcp is not None and not _ignored(case, c)]
    if not asking:
        return (), ()
    client_id, taken = identifier(case.group, asking, namesakes)
    orders = orders_of(case.group, asking, holding, client_id)
    if taken is None:
        return orders, ()
    return orders, (reasons.hostname_taken(orders[0].hostname, client_id, taken),)


def _ignored(case: Case, claim: Claim) -> bool:
    refusal = case.refused.get(claim.key)
    return refusal is not None and refusal.state is State.IGNORED


def _verdict(
    case: Case,
    claim: Claim,
    addresses: tuple[IPAddress, ...],
    warnings: tuple[Reason, ...],
    of_lease: tuple[Reason, ...],
) -> Verdict:
    refusal = case.refused.get(claim.key)
    if refusal is not None:
        return Verdict(
            ref=claim.ref,
            state=refusal.state,
            reason=refusal.reason,
            dialect=claim.dialect,
            group=case.group,
            hostname=claim.hostname,
            warnings=claim.warnings + of_lease,
        )
    return Verdict(
        ref=claim.ref,
        state=State.SERVED,
        reason=_weakness(claim),
        dialect=claim.dialect,
        group=case.group,
        addresses=_own(claim, addresses),
        hostname=claim.hostname,
        warnings=claim.warnings + warnings,
    )


def _weakness(claim: Claim) -> Reason | None:
    """Served, but nothing can answer."""
    return None if any(p.backends for p in claim.listeners) else reasons.no_backend()


def _own(claim: Claim, addresses: tuple[IPAddress, ...]) -> tuple[IPAddress, ...]:
    """The addresses of a shared VIP that a member asked for: its families."""
    if not claim.families or claim.family_policy != "SingleStack":
        return addresses
    own = tuple(a for a in addresses if a.version in claim.families)
    return addresses if own == addresses else own


def _listeners(claim: Claim) -> tuple[Listener, ...]:
    return tuple(
        Listener(
            protocol=p.protocol,
            port=p.port,
            service=claim.ref,
            backends=p.backends,
            affinity_seconds=claim.affinity_seconds,
            source_ranges=claim.source_ranges,
            local=claim.local,
            pods=p.pods,
            via=claim.via,
            forward=claim.forward if p.protocol in FORWARDED else None,
        )
        for p in claim.listeners
    )


def _announce(claim: Claim, pool: Pool | None) -> Announce:
    return claim.announce or (pool.announce if pool else "l2")


def _refs(members: Sequence[Claim]) -> tuple[Ref, ...]:
    if len(members) == 1:
        return (members[0].ref,)
    return tuple(sorted({claim.ref for claim in members}))


def _pools(assignments: Sequence[Assignment]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(a.pool for a in assignments if a.pool))


def _vips(case: Case, holding: Holding, pools: dict[str, Pool]) -> tuple[Vip, ...]:
    """The VIP of the group; with an internal tier it translates to internal VIPs that follow it."""
    first = case.lead
    external = holding.in_slot(EXTERNAL)
    names = _pools(external)
    listeners = [entry for claim in case.members for entry in _listeners(claim)]
    if len(listeners) > 1:
        listeners.sort(key=lambda entry: (entry.protocol, entry.port))
    vip = Vip(
        group=case.group,
        addresses=tuple(a.spot.address for a in external),
        pools=names,
        members=_refs(case.members),
        listeners=tuple(listeners),
        engine_group=first.engine_group,
        announce=_announce(first, pools.get(names[0]) if names else None),
        peer_labels=first.peer_labels,
        nodes=case.admission.nodes if any(c.local for c in case.members) else None,
        scale=max(c.scale for c in case.members),
        interface=next((c.interface for c in case.members if c.interface), ""),
    )
    return (vip,) if first.internal is None else _translated(vip, holding, pools)


def _translated(vip: Vip, holding: Holding, pools: dict[str, Pool]) -> tuple[Vip, ...]:
    """The same listeners on internal addresses, and the DNAT that leads to them."""
    internal: dict[str, list[Assignment]] = {}
    for assignment in holding.assignments:
        if assignment.slot != EXTERNAL:
            internal.setdefault(assignment.slot, []).append(assignment)
    inner: list[Vip] = []
    translations: list[Translation] = []
    for slot, assignments in sorted(internal.items()):
        mine = [p for p in vip.listeners if slot in (INTERNAL, f"{INTERNAL}/{p.protocol}/{p.port}")]
        inside = tuple(a.spot.address for a in assignments)
        translations += [
            Translation(p.protocol, outer, address, p.port)
            for p in mine
            for outer in vip.addresses
            for address in inside
            if outer.version == address.version
        ]
        inner.append(_inner(vip, slot, mine, assignments))
    outer = Vip(
        group=vip.group,
        addresses=vip.addresses,
        pools=vip.pools,
        members=vip.members,
        translations=tuple(sorted(translations)),
        engine_group=vip.engine_group,
        announce=vip.announce,
        peer_labels=vip.peer_labels,
        role="edge",
        nodes=None,
        scale=vip.scale,
        interface=vip.interface,
    )
    return (outer, *inner)


def _inner(vip: Vip, slot: str, mine: list[Listener], assignments: list[Assignment]) -> Vip:
    return Vip(
        group=vip.group,
        addresses=tuple(a.spot.address for a in assignments),
        pools=_pools(assignments),
        members=vip.members,
        listeners=tuple(mine),
        slot=slot,
        engine_group=vip.engine_group,
        announce="l2",
        nodes=vip.nodes,
    )
