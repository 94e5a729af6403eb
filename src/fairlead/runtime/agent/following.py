"""The pure steps of an agent, joined: changes in, a plan out."""

from collections.abc import Iterable
from typing import NamedTuple

from immutables import Map
from msgspec.structs import replace

from fairlead.dialects.published import serving
from fairlead.model.addresses import IPAddress
from fairlead.model.claim import DEFAULT_SPACE, Engine
from fairlead.model.kube import Node
from fairlead.model.ledger import Spot
from fairlead.model.names import Ref
from fairlead.model.plan import Plan
from fairlead.model.served import Served
from fairlead.model.virtualip import VirtualIP, object_name
from fairlead.model.world import Change, World
from fairlead.planner import serve


class Liveness(NamedTuple):
    """Who of a ``cell`` the fence knows to be ``able`` to hold VIPs. Of others it knows nothing."""

    cell: frozenset[str]
    able: frozenset[str]


class Followed(NamedTuple):
    """What an agent goes by; nothing yet while there is no plan. ``able``: what the fence knows;
    None: there is no fence, and Nodes alone say who is ready."""

    world: World
    served: Served | None = None
    plan: Plan | None = None
    able: Liveness | None = None


def follow(before: Followed, changes: Iterable[Change], *, alone: str = "") -> Followed:
    """After some changes; the same value when they change nothing. ``alone``: the engine that
    serves where there are no Nodes."""
    world = _peopled(before.world.evolve(changes), alone)
    if before.plan is not None and world is before.world:
        return before
    return _planned(before, world, before.able)


def fenced(before: Followed, able: Liveness | None) -> Followed:
    """After the fence found other engines to be able."""
    if able == before.able or before.plan is None:
        return before._replace(able=able)
    return _planned(before, before.world, able)


def _planned(before: Followed, world: World, able: Liveness | None) -> Followed:
    served = serving(world, before.served)
    known = served if able is None else _known_by_fence(served, able, before)
    return Followed(world, served, serve(known, before.plan), able)


def _known_by_fence(served: Served, known: Liveness, before: Followed) -> Served:
    """The same with the readiness of engines as the fence has it. Equal rules are the identical
    object, so that nothing looks moved that is not."""
    rules = Map(
        {
            name: replace(rule, engines=tuple(_judged(e, known) for e in rule.engines))
            for name, rule in served.engine_rules.items()
        }
    )
    old = before.plan.claims.engine_rules if before.plan is not None else None
    return replace(served, engine_rules=old if old == rules and old is not None else rules)


def _judged(engine: Engine, known: Liveness) -> Engine:
    if engine.name not in known.cell:
        return engine
    return engine._replace(ready=engine.name in known.able)


def _peopled(world: World, alone: str) -> World:
    host = "" if next(world.every(Node), None) else alone
    return world if host == world.host else replace(world, host=host)


def addresses_of(plan: Plan) -> frozenset[IPAddress]:
    """All addresses that a plan explains."""
    return frozenset(address for vip in plan.vips() for address in vip.addresses)


def created(address: IPAddress, *, before: Followed, now: Followed) -> str:
    """When the object of an address was made (RFC 3339), if it came just now; else empty."""
    name = object_name(Spot(DEFAULT_SPACE, address))
    one = now.world.find(VirtualIP, name)
    if one is None or before.plan is None or before.world.find(VirtualIP, name) is not None:
        return ""
    return one.metadata.creation_timestamp or ""


def told(served: Served, before: Plan | None) -> Iterable[Ref]:
    """The objects of which something else is said than before."""
    if before is None or served.touched is None:
        return served.verdicts
    return served.touched


def is_confined(changes: Iterable[Change]) -> bool:
    """Whether one of the changed VIPs is Local."""
    return any(
        isinstance(change.object, VirtualIP) and any(p.local for p in change.object.spec.listeners)
        for change in changes
    )
