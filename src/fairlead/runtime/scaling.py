"""How many engines are to hold a VIP of a cluster, changed where it lasts: on its Services.

A VirtualIP follows from what its members ask for, so what is written on it would be undone. All
members are told the same, so that none that goes takes the number with it.
"""

from typing import NamedTuple

import msgspec

from fairlead.dialects.scale import ANNOTATION
from fairlead.model.addresses import parse_address
from fairlead.model.claim import DEFAULT_SPACE
from fairlead.model.kube import Service
from fairlead.model.ledger import Spot
from fairlead.model.names import Ref
from fairlead.model.objects import EngineGroup, EngineGroupSpec
from fairlead.model.virtualip import VirtualIP, object_name
from fairlead.publish.kube.virtualips import members_of
from fairlead.sources.kube import ApiClient, ApiError
from fairlead.sources.kube.resources import ENGINE_GROUPS, SERVICES, VIRTUAL_IPS

MANAGER = "fairlead-scale"


class Unscalable(Exception):
    """It would have no effect. The message says why, and what to do."""


class Scaled(NamedTuple):
    """What was done: a VirtualIP by name, and the objects that ask for it now."""

    name: str
    members: tuple[Ref, ...]


def name_of(text: str) -> str:
    """The object that an address, or a name, means."""
    try:
        return object_name(Spot(DEFAULT_SPACE, parse_address(text)))
    except ValueError:
        return text


async def scale(client: ApiClient, text: str, engines: int) -> Scaled:
    """Have so many engines hold a VIP; 0: as its engine group has it.

    Raises :class:`Unscalable`, and what :class:`ApiClient` raises.
    """
    name = name_of(text)
    vip = await _read(client, name)
    members = tuple(ref for ref in members_of(vip.spec.members) if ref.kind == Service.KIND)
    if not members:
        raise Unscalable(f"VirtualIP {name} has no Service that could ask for it")
    if engines:
        _check(vip, await _group(client, vip.spec.engine_group), engines)
    value = str(engines) if engines else None
    body = msgspec.json.encode({"metadata": {"annotations": {ANNOTATION: value}}})
    for ref in members:
        await client.patch(SERVICES, ref.name, body, ref.namespace, manager=MANAGER)
    return Scaled(name, members)


def _check(vip: VirtualIP, group: EngineGroupSpec, engines: int) -> None:
    name = vip.spec.engine_group
    if vip.spec.announce == "l2" and engines > 1:
        raise Unscalable(
            f"VirtualIP {vip.name} is announced by l2, and on a LAN an address has one holder: "
            "let its pool or infra setting announce it by bgp"
        )
    if group.max_scale and engines > group.max_scale:
        raise Unscalable(f"EngineGroup {name} allows {group.max_scale} (spec.maxScale)")
    if group.mode == "ActiveActive" and engines < group.min_scale:
        raise Unscalable(f"EngineGroup {name} demands {group.min_scale} (spec.minScale)")


async def _read(client: ApiClient, name: str) -> VirtualIP:
    try:
        return await client.read(VirtualIP, VIRTUAL_IPS, name)
    except ApiError as error:
        if not error.not_found:
            raise
        hint = "'fairlead get vips --cluster' lists them"
        raise Unscalable(f"there is no VirtualIP {name}: {hint}") from None


async def _group(client: ApiClient, name: str) -> EngineGroupSpec:
    """An engine group; where none is written, what holds without one."""
    try:
        return (await client.read(EngineGroup, ENGINE_GROUPS, name)).spec
    except ApiError as error:
        if not error.not_found:
            raise
        return EngineGroupSpec()
