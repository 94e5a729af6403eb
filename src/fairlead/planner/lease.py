"""Which leases are to be held, as which client, and by which engine.

The holder of a VIP holds its lease. Before there is an address, the first able engine in the order
of preference of the group asks for one; that order follows from the group and the names of the
engines, so everybody who looks at the same engines says the same. Two groups that give one hostname
would be one client to a server, and get one address between them: the first keeps the hostname for
its identifier, and the others get identifiers of their own.
"""

from collections.abc import Iterable, Sequence
from hashlib import blake2b

from immutables import Map

from fairlead.model.addresses import Family
from fairlead.model.claim import Claim, EngineRule
from fairlead.model.desired import DhcpChanges, DhcpDesired, DhcpRow
from fairlead.model.dhcp import DhcpWish, Leased, LeaseKey, LeaseOrder, duid_of, mac_of, own_id
from fairlead.model.ledger import EXTERNAL, Holding
from fairlead.model.names import GroupKey, Ref
from fairlead.model.plan import Outcome, Plan, VipKey
from fairlead.planner.order import leaving
from fairlead.planner.place import eligible, ready

Hostnames = Map[str, frozenset[Ref]]
"""Who wants a lease under which hostname."""
Order = tuple[str, ...]


# -- what is to be leased --------------------------------------------------------------------------


def orders_of(
    group: GroupKey, claims: Sequence[Claim], holding: Holding | None, client_id: str
) -> tuple[LeaseOrder, ...]:
    """The leases of a group, as its oldest claim wishes; an address that it holds is gone on with
    while nobody says otherwise."""
    asking = [claim for claim in claims if claim.dhcp is not None]
    if not asking:
        return ()
    lead = min(asking, key=lambda claim: claim.order)
    families = sorted({f for claim in asking if claim.dhcp for f in claim.dhcp.families})
    return tuple(_order(group, lead, family, holding, client_id) for family in families)


def _order(
    group: GroupKey, lead: Claim, family: Family, holding: Holding | None, client_id: str
) -> LeaseOrder:
    wish = lead.dhcp
    assert wish is not None
    requested = next((a for a in wish.requested if a.version == family), None)
    return LeaseOrder(
        key=LeaseKey(group, family),
        mac=wish.mac or mac_of(group),
        client_id=client_id if family == 4 else duid_of(group),
        hostname=wish.hostname,
        requested=requested,
        broadcast=wish.broadcast,
        engine_group=lead.engine_group,
        interface=lead.interface,
        known=wish.of(family) or _held(family, holding),
    )


def _held(family: Family, holding: Holding | None) -> Leased | None:
    """What the ledger remembers of a lease of which nobody says anything."""
    for assignment in holding.in_slot(EXTERNAL) if holding else ():
        if assignment.spot.address.version == family:
            return Leased(family=family, state="Bound", address=assignment.spot.address)
    return None


# -- hostnames -------------------------------------------------------------------------------------


def renamed(names: Hostnames, old: Iterable[Claim], new: Iterable[Claim]) -> Hostnames:
    """Who wants which hostname, after ``old`` claims became ``new``."""
    index = names.mutate()
    for claim in old:
        if claim.dhcp is not None and claim.dhcp.hostname:
            rest = index.get(claim.dhcp.hostname, frozenset()) - {claim.ref}
            if rest:
                index[claim.dhcp.hostname] = rest
            else:
                index.pop(claim.dhcp.hostname, None)
    for claim in new:
        if claim.dhcp is not None and claim.dhcp.hostname:
            name = claim.dhcp.hostname
            index[name] = index.get(name, frozenset()) | {claim.ref}
    return index.finish()


def namesakes(names: Hostnames, claims: Iterable[Claim]) -> set[Ref]:
    """Everybody with the hostname of one of these."""
    wishes = (claim.dhcp for claim in claims if claim.dhcp is not None)
    return {ref for wish in wishes for ref in names.get(wish.hostname, ())}


def identifier(
    group: GroupKey, claims: Sequence[Claim], others: Iterable[Claim]
) -> tuple[str, Ref | None]:
    """The client identifier of a group, and who has its hostname, if that is another. ``others``:
    everybody with the same hostname. What a lease is held under stays, so that nobody's address
    changes because somebody else comes or goes."""
    asking = [claim for claim in claims if claim.dhcp is not None]
    lead = min(asking, key=lambda claim: claim.order, default=None)
    if lead is None or lead.dhcp is None or not lead.dhcp.hostname:
        return "", None
    name, rivals = lead.dhcp.hostname, [c for c in others if c.group != group and c.dhcp]
    first = min([lead, *rivals], key=lambda claim: (not _uses(claim.dhcp, name), claim.order))
    own, under = own_id(name, group), {one.client_id for one in lead.dhcp.leased}
    if own in under or (first.group != group and name not in under):
        return own, first.ref if first.group != group else None
    return name, None


def _uses(wish: DhcpWish | None, name: str) -> bool:
    return wish is not None and any(one.client_id == name for one in wish.leased)


# -- who asks --------------------------------------------------------------------------------------


def asker(plan: Plan, order: LeaseOrder) -> str:
    """The engine that holds a lease or asks for one; empty while there is none that could."""
    group = order.key.group
    active = plan.placement.active.get(VipKey(group))
    if active:
        return active[0]
    rule = plan.claims.engine_rules.get(order.engine_group)
    return next(iter(preferred(group, rule, order)), "") if rule is not None else ""


def holder_of(orders: Iterable[LeaseOrder]) -> str:
    """The engine that said last that it has a lease; empty: nobody did."""
    known = (order.known for order in orders if order.known is not None)
    return next((one.engine for one in known if one.address is not None and one.engine), "")


def preferred(group: GroupKey, rule: EngineRule, order: LeaseOrder) -> Order:
    """The able engines by the group's preference (rendezvous hashing); those that are to leave come
    last."""
    names = [n for n in eligible(rule.engines, order.role) if n in ready(rule.engines)]
    away = leaving(rule.engines)
    return tuple(sorted(names, key=lambda name: (name in away, _weight(group, name))))


def _weight(group: GroupKey, engine: str) -> bytes:
    return blake2b("\0".join((*group, engine)).encode(), digest_size=8).digest()


# -- plan -> driver --------------------------------------------------------------------------------


def compile_dhcp(plan: Plan, engine: str) -> DhcpDesired:
    """The leases that an engine holds."""
    return _desired(plan, plan.outcomes, engine)


def delta_dhcp(before: Plan, after: Plan, engine: str) -> DhcpChanges:
    """What changes for an engine's leases; its cost follows the change, unless engines came or
    went."""
    same = before.claims.engine_rules is after.claims.engine_rules
    keys = after.changed if same else None
    old = _desired(before, before.outcomes if keys is None else keys, engine)
    return diff_dhcp(_desired(after, after.outcomes if keys is None else keys, engine), old)


def diff_dhcp(desired: DhcpDesired, observed: DhcpDesired) -> DhcpChanges:
    """The leases to take, to go on with as another client, and to let go of."""
    rows: dict[LeaseKey, DhcpRow | None] = {
        key: row for key, row in desired.rows.items() if observed.rows.get(key) != row
    }
    rows.update({key: None for key in observed.rows if key not in desired.rows})
    gone = {key for key, row in rows.items() if row is None}
    return DhcpChanges(
        rows=rows,
        known={key: leased for key, leased in desired.known.items() if rows.get(key)},
        ended=frozenset(gone - desired.elsewhere),
    )


def _desired(plan: Plan, keys: Iterable[GroupKey], engine: str) -> DhcpDesired:
    rows: dict[LeaseKey, DhcpRow] = {}
    known: dict[LeaseKey, Leased] = {}
    elsewhere: set[LeaseKey] = set()
    for key in keys:
        for order in _leases(plan.outcomes.get(key)):
            if asker(plan, order) != engine:
                elsewhere.add(order.key)
                continue
            rows[order.key] = row_of(order)
            if order.known is not None:
                known[order.key] = order.known
    return DhcpDesired(rows, known, frozenset(elsewhere))


def _leases(outcome: Outcome | None) -> tuple[LeaseOrder, ...]:
    return outcome.leases if outcome else ()


def row_of(order: LeaseOrder) -> DhcpRow:
    """As which client an engine holds a lease."""
    return DhcpRow(
        mac=order.mac,
        client_id=order.client_id,
        hostname=order.hostname,
        requested=order.requested,
        broadcast=order.broadcast,
        interface=order.interface,
    )
