"""Plan -> what one engine's BGP speaker must make true.

A VIP is announced by each engine that holds it *and* has a backend for it (route health injection):
routers spread the load over those (ECMP), and an engine that could only refuse draws no traffic.
Where the cluster's own proxy carries the traffic, nothing is known of backends, and holding counts.
"""

from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2s
from ipaddress import IPv4Address
from typing import TypeVar

from fairlead.model.addresses import IPAddress
from fairlead.model.desired import BgpChanges, BgpDesired, BgpSpeaker
from fairlead.model.kube import Node
from fairlead.model.names import GroupKey
from fairlead.model.peers import BgpPeer, BgpRoute
from fairlead.model.plan import Listener, Outcome, Plan, Vip
from fairlead.planner.compile import row_of

Key = TypeVar("Key")
Row = TypeVar("Row")
Routes = dict[IPAddress, BgpRoute]


def compile_bgp(plan: Plan, engine: str) -> BgpDesired:
    """The engine's routers, and everything it announces to them."""
    peers = _peers(plan, engine)
    if not peers:
        return BgpDesired()
    routes = _announced(plan, engine, peers, plan.outcomes)
    return BgpDesired(_speaker(plan, engine, peers), peers, routes)


def delta_bgp(before: Plan, after: Plan, engine: str) -> BgpChanges:
    """What changes for the engine's BGP speaker; its cost follows the change, not the plan."""
    old, new = before.claims, after.claims
    same = old.peers is new.peers and old.engine_rules is new.engine_rules
    if after.changed is None or not same or old.node_addresses is not new.node_addresses:
        return diff_bgp(compile_bgp(after, engine), compile_bgp(before, engine))
    peers = _peers(after, engine)
    if not peers:
        return BgpChanges()
    found = (_announced(plan, engine, peers, after.changed) for plan in (after, before))
    return BgpChanges(routes=_rows(*found))


def diff_bgp(desired: BgpDesired, observed: BgpDesired) -> BgpChanges:
    """The routers to set or remove, and the addresses to announce or withdraw."""
    return BgpChanges(
        speaker=desired.speaker if desired.speaker != observed.speaker else None,
        peers=_rows(desired.peers, observed.peers),
        routes=_rows(desired.routes, observed.routes),
    )


def heard(vip: Vip, peers: Iterable[BgpPeer]) -> bool:
    """Whether any router learns any address of a VIP."""
    route = BgpRoute(labels=vip.peer_labels)
    return any(_told(address, route, peers) for address in vip.addresses)


def _told(address: IPAddress, route: BgpRoute, peers: Iterable[BgpPeer]) -> bool:
    return any(peer.family == address.version and peer.takes(route) for peer in peers)


def _peers(plan: Plan, engine: str) -> dict[str, BgpPeer]:
    return {
        rule.name: rule.peer
        for rule in plan.claims.peers
        if rule.engines is None or engine in rule.engines
    }


def _speaker(plan: Plan, engine: str, peers: Mapping[str, BgpPeer]) -> BgpSpeaker:
    """An iBGP session is only possible in the speaker's own AS, so such a router decides."""
    ordered = sorted(peers.items(), key=lambda item: (not item[1].internal, item[0]))
    return BgpSpeaker(ordered[0][1].local_asn, _router_id(plan, engine))


def _router_id(plan: Plan, engine: str) -> IPv4Address:
    """The engine's own IPv4 address; without one, a number from its name."""
    own = [
        address
        for address, ref in plan.claims.node_addresses.items()
        if ref.kind == Node.KIND and ref.name == engine and isinstance(address, IPv4Address)
    ]
    return min(own) if own else IPv4Address(blake2s(engine.encode(), digest_size=4).digest())


def _announced(
    plan: Plan, engine: str, peers: Mapping[str, BgpPeer], keys: Iterable[GroupKey]
) -> Routes:
    routes: Routes = {}
    for key in keys:
        outcome = plan.outcomes.get(key)
        for vip in outcome.vips if outcome else ():
            held = engine in plan.placement.active.get(vip.key, ())
            if held and vip.announce == "bgp" and outcome is not None:
                route = BgpRoute(labels=vip.peer_labels)
                for address in _healthy(plan, outcome, vip, engine):
                    if _told(address, route, peers.values()):
                        routes[address] = route
    return routes


def _healthy(plan: Plan, outcome: Outcome, vip: Vip, engine: str) -> Iterator[IPAddress]:
    """The addresses of a VIP behind which somebody answers this engine."""
    if plan.claims.config.dataplane != "nft":
        yield from vip.addresses
        return
    for address in vip.addresses:
        behind = _behind(outcome, vip, address)
        if any(_answers(plan, listener, vip, address, engine) for listener in behind):
            yield address


def _behind(outcome: Outcome, vip: Vip, address: IPAddress) -> Iterator[Listener]:
    """The listeners of an address, or those of the internal addresses that it translates to."""
    yield from vip.listeners
    steps = {
        (step.internal, step.protocol, step.port)
        for step in vip.translations
        if step.external == address
    }
    for inner in outcome.vips if steps else ():
        for listener in inner.listeners:
            if any((one, listener.protocol, listener.port) in steps for one in inner.addresses):
                yield listener


def _answers(plan: Plan, listener: Listener, vip: Vip, address: IPAddress, engine: str) -> bool:
    rule = plan.claims.engine_rules.get(vip.engine_group)
    return rule is not None and bool(row_of(plan, listener, address, rule, engine).backends)


def _rows(desired: Mapping[Key, Row], observed: Mapping[Key, Row]) -> dict[Key, Row | None]:
    rows: dict[Key, Row | None] = {
        key: row for key, row in desired.items() if observed.get(key) != row
    }
    rows.update({key: None for key in observed if key not in desired})
    return rows
