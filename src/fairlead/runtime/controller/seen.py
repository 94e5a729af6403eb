"""What the API server has, as far as the controller must know to write nothing twice.

A VirtualIP is kept as a digest, a Service's status as the few fields that are ours: the objects
themselves would cost as much memory as the whole plan.
"""

from collections.abc import Iterator
from hashlib import blake2b
from typing import NamedTuple

import msgspec
from msgspec import Struct

from fairlead.model.kube import Service
from fairlead.model.names import GroupKey, Ref
from fairlead.model.virtualip import GROUP_LABEL, VirtualIP, VirtualIPSpec
from fairlead.publish.kube.objects import Told
from fairlead.publish.kube.status import Said, shown_by
from fairlead.publish.kube.virtualips import members_of

CLEANUP = "service.kubernetes.io/load-balancer-cleanup"
"""The finalizer that cloud controllers put on Services; one that is gone leaves it behind."""


def digest_of(spec: VirtualIPSpec) -> bytes:
    """Sixteen bytes that tell whether two specs are the same."""
    return blake2b(msgspec.json.encode(spec), digest_size=16).digest()


class SeenVip(NamedTuple):
    """A VirtualIP as it is in the API. ``labelled``: under its engine group."""

    version: str
    digest: bytes
    group: GroupKey
    engine_group: str
    home: tuple[str, ...]
    members: tuple[Ref, ...]
    labelled: bool = True


class SeenService(Struct, frozen=True, gc=False):
    """A Service as it is in the API. ``ours``: its status has something that Fairlead wrote."""

    version: str
    uid: str
    said: Said
    created: str = ""
    finalizers: tuple[str, ...] = ()
    deleting: bool = False

    @property
    def ours(self) -> bool:
        """Whether its status bears our condition."""
        return bool(self.said.status)


def seen_vip(one: VirtualIP) -> SeenVip:
    """What to remember of a VirtualIP."""
    spec = one.spec
    return SeenVip(
        one.metadata.resource_version,
        digest_of(spec),
        spec.group.key,
        spec.engine_group,
        spec.home,
        tuple(members_of(spec)),
        one.metadata.labels.get(GROUP_LABEL) == spec.engine_group,
    )


def seen_service(one: Service) -> SeenService:
    """What to remember of a Service."""
    meta = one.metadata
    return SeenService(
        meta.resource_version,
        meta.uid,
        shown_by(one),
        meta.creation_timestamp or "",
        meta.finalizers or (),
        meta.deletion_timestamp is not None,
    )


class SeenObject(Struct, frozen=True, gc=False):
    """Another object whose status is written, as it is in the API."""

    version: str
    uid: str
    told: Told | None


class Seen:
    """The tables, and their inverse: which objects a group has."""

    def __init__(self) -> None:
        self.vips: dict[str, SeenVip] = {}
        self.services: dict[Ref, SeenService] = {}
        self.objects: dict[Ref, SeenObject] = {}
        self.names: dict[GroupKey, tuple[str, ...]] = {}

    def put_vip(self, name: str, seen: SeenVip) -> bool:
        """Take a VirtualIP; False when a newer version of it is known already."""
        before = self.vips.get(name)
        if before is not None:
            if not _newer(seen.version, before.version):
                return False
            if before.group != seen.group:
                self._forget(before.group, name)
        self.vips[name] = seen
        names = self.names.get(seen.group, ())
        if name not in names:
            self.names[seen.group] = (*names, name)
        return True

    def drop_vip(self, name: str) -> SeenVip | None:
        """A VirtualIP is gone; what it was, if that is news."""
        before = self.vips.pop(name, None)
        if before is not None:
            self._forget(before.group, name)
        return before

    def put_service(self, ref: Ref, seen: SeenService) -> bool:
        """Take a Service; False when a newer version of it is known already."""
        before = self.services.get(ref)
        if before is not None and not _newer(seen.version, before.version):
            return False
        self.services[ref] = seen
        return True

    def put_object(self, ref: Ref, seen: SeenObject) -> bool:
        """Take another object; False when a newer version of it is known already."""
        before = self.objects.get(ref)
        if before is not None and not _newer(seen.version, before.version):
            return False
        self.objects[ref] = seen
        return True

    def vips_of(self, group: GroupKey) -> Iterator[tuple[str, SeenVip]]:
        """The objects of a group, by name."""
        for name in self.names.get(group, ()):
            yield name, self.vips[name]

    def _forget(self, group: GroupKey, name: str) -> None:
        rest = tuple(n for n in self.names.get(group, ()) if n != name)
        if rest:
            self.names[group] = rest
        else:
            self.names.pop(group, None)


def _newer(one: str, than: str) -> bool:
    """Versions of one kind of object are counted up by etcd; an answer may overtake the watch."""
    if one.isdigit() and than.isdigit():
        return int(one) > int(than)
    return one != than
