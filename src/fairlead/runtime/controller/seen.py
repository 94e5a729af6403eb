"""What the API server has, as far as the controller must know to write nothing twice.

A VirtualIP is kept as a digest, a Service's status as the few fields that are ours: the objects
themselves would cost as much memory as the whole plan.
"""

from collections.abc import Iterator
from hashlib import blake2b
from typing import NamedTuple

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from fairlead.model.kube import Service
from fairlead.model.names import GroupKey, Ref
from fairlead.model.virtualip import GROUP_LABEL, VirtualIP, VirtualIPSpec
from fairlead.publish.kube.hosts import NOTHING as NO_HOST
from fairlead.publish.kube.hosts import Host, host_shown
from fairlead.publish.kube.objects import Told
from fairlead.publish.kube.status import Said, shown_by
from fairlead.publish.kube.virtualips import members_of
from fairlead.runtime.controller.holders import Holders
from fairlead.runtime.controller.leases import Leases
from fairlead.runtime.controller.openings import Openings

CLEANUP = "service.kubernetes.io/load-balancer-cleanup"
"""The finalizer that cloud controllers put on Services; one that is gone leaves it behind."""


def digest_of(spec: VirtualIPSpec) -> bytes:
    """Sixteen bytes that tell whether two specs are the same."""
    return blake2b(msgspec.json.encode(spec), digest_size=16).digest()


class SeenVip(NamedTuple):
    """A VirtualIP as it is in the API. ``named``: its members, as text, which takes less memory.
    ``labelled``: under its engine group."""

    version: str
    digest: bytes
    group: GroupKey
    engine_group: str
    home: tuple[str, ...]
    named: tuple[str, ...]
    address: str = ""
    labelled: bool = True

    @property
    def members(self) -> tuple[Ref, ...]:
        """The objects it serves."""
        return tuple(members_of(self.named))


NOBODY = GroupKey("", "", "", "")
"""Stands for the group of an object that cannot be read."""


class SeenService(Struct, frozen=True, gc=False):
    """A Service as it is in the API. ``ours``: its status has something that Fairlead wrote;
    ``host``: which engine it says that it is on.

    ``version`` is the newest that is known, from the watch or from an answer; ``taken`` is the
    newest whose spec the planner has. They differ when a write, or a look, was faster than the
    watch.
    """

    version: str
    uid: str
    said: Said
    taken: str
    created: str = ""
    finalizers: tuple[str, ...] = ()
    deleting: bool = False
    host: Host = NO_HOST

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
        spec.members,
        spec.address,
        one.metadata.labels.get(GROUP_LABEL) == spec.engine_group,
    )


def seen_service(one: Service) -> SeenService:
    """What to remember of a Service."""
    meta = one.metadata
    return SeenService(
        meta.resource_version,
        meta.uid,
        shown_by(one),
        meta.resource_version,
        meta.creation_timestamp or "",
        meta.finalizers or (),
        meta.deletion_timestamp is not None,
        host_shown(meta),
    )


class SeenObject(Struct, frozen=True, gc=False):
    """Another object whose status is written, as it is in the API."""

    version: str
    uid: str
    told: Told | None


class Seen:
    """The tables, and their inverse: which objects a group has. ``apart``: the VirtualIPs that the
    World knows of, because they are reservations, or cannot be read. ``holders``: who holds what,
    which concerns nobody's plan. ``leases``: what is asked of DHCP servers;
    ``openings``: what is open on gateways."""

    def __init__(self) -> None:
        self.vips: dict[str, SeenVip] = {}
        self.services: dict[Ref, SeenService] = {}
        self.objects: dict[Ref, SeenObject] = {}
        self.names: dict[GroupKey, tuple[str, ...]] = {}
        self.apart: set[str] = set()
        self.holders = Holders()
        self.openings = Openings(self.holders)
        self.leases = Leases()
        self._writing: dict[str, bytes | None] = {}
        self._saying: dict[Ref, Said] = {}

    def put_vip(self, name: str, seen: SeenVip) -> bool:
        """Take a VirtualIP; False when a newer version of it is known already."""
        before = self.vips.get(name)
        if before is not None:
            if not is_newer(seen.version, before.version):
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
        if name in self._writing:
            self._writing[name] = None
        before = self.vips.pop(name, None)
        if before is not None:
            self._forget(before.group, name)
        return before

    def writing(self, name: str, digest: bytes) -> None:
        """A VirtualIP is about to be written."""
        self._writing[name] = digest

    def is_own_write(self, name: str, seen: SeenVip) -> bool:
        """Whether that is what is being written just now: the watch may be faster than the
        answer."""
        return seen.labelled and self._writing.get(name) == seen.digest

    def wrote(self, name: str, seen: SeenVip | None) -> bool:
        """It was written, or not (None). False when it was deleted meanwhile, so that nobody knows
        whether what was written is there."""
        lost = self._writing.pop(name, None) is None
        if seen is not None and not lost:
            self.put_vip(name, seen)
        return not lost

    def saying(self, ref: Ref, said: Said | None) -> None:
        """A Service's status is about to be written; None: it was, or was not."""
        if said is None:
            self._saying.pop(ref, None)
        else:
            self._saying[ref] = said

    def is_own_status(self, ref: Ref, said: Said) -> bool:
        """Whether that is what is being written just now."""
        own = self._saying.get(ref)
        return own is not None and own[:5] == said[:5]

    def take_service(self, ref: Ref, now: SeenService) -> SeenService | None:
        """Take a Service from the watch: what is known of it then. None: it is no news, but the
        echo of a write."""
        before = self.services.get(ref)
        if before is not None and before.uid == now.uid:
            if not is_newer(now.version, before.taken):
                return None
            if is_newer(before.version, now.version):
                now = replace(now, version=before.version, said=before.said, host=before.host)
        self.services[ref] = now
        return now

    def told(self, ref: Ref, uid: str, version: str, said: Said, *, known: str) -> None:
        """Its status was written, and is ``said`` now; ``known`` is the version that this was
        conditional on, if it was. A Service that has gone meanwhile stays gone."""
        before = self.services.get(ref)
        if before is None or before.uid != uid or not is_newer(version, before.version):
            return
        # Nothing else can have changed if the version before was the one the planner has.
        taken = version if known and known == before.taken else before.taken
        self.services[ref] = replace(before, version=version, said=said, taken=taken)

    def hosted(self, ref: Ref, uid: str, version: str, host: Host) -> None:
        """Its annotation was written."""
        before = self.services.get(ref)
        if before is not None and before.uid == uid and is_newer(version, before.version):
            self.services[ref] = replace(before, version=version, host=host)

    def put_object(self, ref: Ref, seen: SeenObject) -> bool:
        """Take another object; False when a newer version of it is known already."""
        before = self.objects.get(ref)
        if before is not None and not is_newer(seen.version, before.version):
            return False
        self.objects[ref] = seen
        return True

    def same_group(self, key: GroupKey) -> GroupKey:
        """The key that is in use already for one that is equal."""
        names = self.names.get(key)
        return self.vips[names[0]].group if names else key

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


def is_newer(one: str, than: str) -> bool:
    """Versions of one kind of object are counted up by etcd; an answer may overtake the watch."""
    if one.isdigit() and than.isdigit():
        return int(one) > int(than)
    return one != than
