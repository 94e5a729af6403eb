"""The pure steps of an agent, joined: changes in, a plan out."""

from collections.abc import Iterable
from typing import NamedTuple

from msgspec.structs import replace

from fairlead.dialects.published import serving
from fairlead.model.addresses import IPAddress
from fairlead.model.claim import DEFAULT_SPACE
from fairlead.model.kube import Node
from fairlead.model.ledger import Spot
from fairlead.model.names import Ref
from fairlead.model.plan import Plan
from fairlead.model.served import Served
from fairlead.model.virtualip import VirtualIP, object_name
from fairlead.model.world import Change, World
from fairlead.planner import serve


class Followed(NamedTuple):
    """What an agent goes by; nothing yet while there is no plan."""

    world: World
    served: Served | None = None
    plan: Plan | None = None


def follow(before: Followed, changes: Iterable[Change], *, alone: str = "") -> Followed:
    """After some changes; the same value when they change nothing. ``alone``: the engine that
    serves where there are no Nodes."""
    world = _peopled(before.world.evolve(changes), alone)
    if before.plan is not None and world is before.world:
        return before
    served = serving(world, before.served)
    return Followed(world, served, serve(served, before.plan))


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
