"""A batch from the API, taken apart: what the planner reads, and what the writer must know.

Status, resourceVersion and VirtualIPs never enter the World: they change with every write of ours,
and a write must not look like a change to plan for. Nor do Engines, which follow from plans.
"""

from collections.abc import Iterable
from typing import NamedTuple

from msgspec.structs import replace

from fairlead.model.addresslease import AddressLease
from fairlead.model.kube import KubeObject, Service
from fairlead.model.names import GroupKey, Ref
from fairlead.model.objects import Engine
from fairlead.model.virtualip import VirtualIP
from fairlead.model.world import Change
from fairlead.publish.kube import objects
from fairlead.publish.kube.status import NOTHING, bare, stripped
from fairlead.runtime.controller.seen import Seen, SeenObject, seen_service, seen_vip

BALANCED = "LoadBalancer"
"""The type of a Service that asks for an address."""


class Parts(NamedTuple):
    """``changes`` for the World, the objects that were ``explicit``-ly deleted (or edited so that
    they ask for no address), and the ``keys`` of what differs from what was seen or written last,
    so that it may have to be written again."""

    changes: list[Change]
    explicit: set[Ref]
    keys: list[GroupKey | Ref]


def split(changes: Iterable[Change], explicit: frozenset[Ref], seen: Seen) -> Parts:
    """Take a batch apart, and note in ``seen`` what the API server has."""
    parts = Parts([], set(explicit), [])
    for change in changes:
        match change.object:
            case VirtualIP() as one:
                _vip(change, one, seen, parts)
            case Engine() as one:
                seen.holders.take(one.name, one)
                seen.openings.take(one.name, one)
            case Service() as one:
                _service(change, one, seen, parts)
            case AddressLease() as one:
                parts.changes.append(change._replace(object=_bare(one)))
                if seen.leases.take(one):
                    parts.keys.append(one.key.group)
            case KubeObject() as one if change.ref.kind in objects.KINDS:
                _object(change, one, seen, parts)
            case KubeObject() as one:
                parts.changes.append(change._replace(object=_bare(one)))
            case None:
                _gone(change, seen, parts)
    return parts


def _vip(change: Change, one: VirtualIP, seen: Seen, parts: Parts) -> None:
    if one.spec.reserve:
        _reservation(change, one, seen, parts)
        return
    if one.name in seen.apart:
        seen.apart.discard(one.name)
        parts.changes.append(Change(change.ref, None))
    before = seen.vips.get(one.name)
    now = seen_vip(one)
    own = seen.is_own_write(one.name, now)
    if seen.put_vip(one.name, now) and not own and (before is None or before[1:] != now[1:]):
        parts.keys.append(now.group)
        if before is not None and before.group != now.group:
            parts.keys.append(before.group)


def _reservation(change: Change, one: VirtualIP, seen: Seen, parts: Parts) -> None:
    seen.apart.add(one.name)
    before = seen.drop_vip(one.name)
    if before is not None:
        parts.keys.append(before.group)
    parts.changes.append(change._replace(object=_bare(one)))


def _service(change: Change, one: Service, seen: Seen, parts: Parts) -> None:
    ref = change.ref
    before = seen.services.get(ref)
    now = seen.take_service(ref, seen_service(one))
    if now is None:
        return
    if now.deleting:
        # its end is decided; only a finalizer delays it
        parts.changes.append(Change(ref, None))
        parts.explicit.add(ref)
        parts.keys.append(ref)
        return
    parts.changes.append(change._replace(object=stripped(one)))
    if one.spec.type != BALANCED:
        parts.explicit.add(ref)
    shown = before.said if before is not None and before.uid == now.uid else NOTHING
    hosted = before is not None and before.host != now.host
    if hosted or (shown != now.said and not seen.is_own_status(ref, now.said)):
        parts.keys.append(ref)


def _object(change: Change, one: KubeObject, seen: Seen, parts: Parts) -> None:
    ref, meta = change.ref, one.metadata
    parts.changes.append(change._replace(object=replace(_bare(one), status=None)))
    before = seen.objects.get(ref)
    now = SeenObject(meta.resource_version, meta.uid, objects.shown_by(one))
    if seen.put_object(ref, now) and (before is None or before.told != now.told):
        parts.keys.append(ref)


def _gone(change: Change, seen: Seen, parts: Parts) -> None:
    kind, _, name = change.ref
    if kind == Engine.KIND:
        seen.holders.take(name, None)
        seen.openings.take(name, None)
        return
    if kind == VirtualIP.KIND:
        before = seen.drop_vip(name)
        if before is not None:
            parts.keys.append(before.group)
        if change.problem is not None:
            seen.apart.add(name)
        if name in seen.apart:
            parts.changes.append(change)
        if change.problem is None:
            seen.apart.discard(name)
        return
    if kind == AddressLease.KIND and change.problem is None:
        group = seen.leases.drop(name)
        if group is not None:
            parts.keys.append(group)
    if change.problem is None:
        seen.services.pop(change.ref, None)
        seen.objects.pop(change.ref, None)
    parts.changes.append(change)


def _bare(one: KubeObject) -> KubeObject:
    return replace(one, metadata=bare(one.metadata))
