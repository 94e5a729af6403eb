"""Writes what was decided: VirtualIPs first, then the status of those who are served, and what is
no longer held last.

The unit is a group. What to write is worked out when its turn comes, from the newest plan and what
the API server has by then, so changes that come faster than they can be written coalesce by
themselves, and nothing is written that is there already.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from fairlead.model.kube import Service
from fairlead.model.names import GroupKey, Ref
from fairlead.model.objects import AddressPool
from fairlead.model.plan import Plan
from fairlead.model.virtualip import VirtualIP, VirtualIPSpec
from fairlead.planner import verdict
from fairlead.publish.kube import objects, status, virtualips
from fairlead.publish.kube.events import event_of
from fairlead.publish.kube.status import MANAGER, Said
from fairlead.runtime.controller.api import APPLY, JSON, MERGE, Api, ApiError
from fairlead.runtime.controller.seen import (
    CLEANUP,
    Seen,
    SeenService,
    SeenVip,
    digest_of,
    seen_vip,
)

VIPS = "/apis/fairlead.dev/v1alpha1/virtualips"
ATTEMPTS = 5
"""How often one write is tried against concurrent writers before it waits its turn again."""
UNCONDITIONAL = 3
"""After so many conflicts a status is applied whatever the resourceVersion; the uid still holds."""


class NotLeader(Exception):
    """Another replica may write by now, so this one must not."""


class Later(Exception):
    """Something else has to be written first."""


class _Meta(Struct, rename="camel"):
    resource_version: str
    uid: str = ""


class _Answer(Struct):
    metadata: _Meta


_ANSWER = msgspec.json.Decoder(_Answer)
_VIRTUAL_IP = msgspec.json.Decoder(VirtualIP)
_SERVICE = msgspec.json.Decoder(Service)


class Publisher:
    """One leader's writes. ``may_write`` is asked before each; ``pending`` says whether a key is
    still to be written; ``addressed`` hears of each Service that got its first address, with its
    creationTimestamp."""

    def __init__(
        self,
        api: Api,
        seen: Seen,
        *,
        may_write: Callable[[], bool],
        pending: Callable[[GroupKey], bool],
        addressed: Callable[[Ref, str], None],
    ) -> None:
        self.plan = Plan()
        self.released: Mapping[Ref, str] = {}
        self.use: dict[str, objects.Use] = {}
        self._api, self._seen = api, seen
        self._may_write, self._pending, self._addressed = may_write, pending, addressed

    async def publish(self, key: GroupKey | Ref) -> None:
        """Write all that is to be written about a group, or about one object.

        Raises :class:`NotLeader`, :class:`Later`, and what :class:`Api` raises.
        """
        if isinstance(key, GroupKey):
            await self._group(key)
        elif key.kind == Service.KIND:
            await self._service(key)
        elif key in self._seen.objects:
            await self._object(key)

    # -- a group ---------------------------------------------------------------------------------

    async def _group(self, key: GroupKey) -> None:
        wanted = virtualips.specs_of(self.plan, key, self.released)
        if wanted is None:
            return
        before = [*self._seen.vips_of(key)]
        for name, spec in wanted.items():
            await self._ensure(key, name, spec)
        for ref in self._members(key, before):
            await self._service(ref)
        for name, seen in before:
            if name not in wanted:
                await self._drop(key, name, seen)

    def _members(self, key: GroupKey, before: Iterable[tuple[str, SeenVip]]) -> list[Ref]:
        """Who is in the group, and who was."""
        outcome = self.plan.outcomes.get(key)
        now = [claim.ref for claim in outcome.claims] if outcome else []
        was = [ref for _, seen in before for ref in seen.members]
        return [*dict.fromkeys((*now, *was))]

    async def _ensure(self, key: GroupKey, name: str, spec: VirtualIPSpec) -> None:
        for _ in range(ATTEMPTS):
            seen = self._seen.vips.get(name)
            if seen is None:
                if await self._create(name, spec):
                    return
                continue
            if seen.group != key and self._pending(seen.group):
                raise Later  # who had the address must have let go of it first
            if seen.engine_group == spec.engine_group and seen.home:
                spec = replace(spec, home=seen.home)
            if seen.labelled and digest_of(spec) == seen.digest:
                return
            if await self._update(name, spec, seen):
                return
        raise Later

    async def _create(self, name: str, spec: VirtualIPSpec) -> bool:
        body = virtualips.body_of(name, spec)
        try:
            answer = await self._send("POST", f"{VIPS}?fieldManager={MANAGER}", body)
        except ApiError as error:
            if error.status != 409:
                raise
            await self._look(name)
            return False
        self._wrote(name, spec, answer)
        return True

    async def _update(self, name: str, spec: VirtualIPSpec, seen: SeenVip) -> bool:
        body = virtualips.body_of(name, spec, seen.version)
        try:
            answer = await self._send("PUT", f"{VIPS}/{name}?fieldManager={MANAGER}", body)
        except ApiError as error:
            if error.status not in (404, 409):
                raise
            await self._look(name)
            return False
        self._wrote(name, spec, answer)
        return True

    async def _drop(self, key: GroupKey, name: str, seen: SeenVip) -> None:
        now = self._seen.vips.get(name)
        if now is None or now.group != key:
            return  # somebody else has the address by now
        body = msgspec.json.encode({"preconditions": {"resourceVersion": now.version}})
        try:
            await self._send("DELETE", f"{VIPS}/{name}", body)
        except ApiError as error:
            if error.status == 409:
                await self._look(name)
                raise Later from None
            if error.status != 404:
                raise
        self._seen.drop_vip(name)

    async def _look(self, name: str) -> None:
        """What is there under that name: the watch may be behind."""
        try:
            answer = await self._send("GET", f"{VIPS}/{name}")
        except ApiError as error:
            if error.status != 404:
                raise
            self._seen.drop_vip(name)
            return
        self._seen.drop_vip(name)
        self._seen.put_vip(name, seen_vip(_VIRTUAL_IP.decode(answer)))

    def _wrote(self, name: str, spec: VirtualIPSpec, answer: bytes) -> None:
        members = tuple(virtualips.members_of(spec))
        version = _ANSWER.decode(answer).metadata.resource_version
        digest = digest_of(spec)
        group = spec.group.key
        seen = SeenVip(version, digest, group, spec.engine_group, spec.home, members)
        self._seen.put_vip(name, seen)

    # -- a Service -------------------------------------------------------------------------------

    async def _service(self, ref: Ref) -> None:
        for attempt in range(ATTEMPTS):
            seen = self._seen.services.get(ref)
            if seen is None:
                return
            if seen.deleting:
                await self._let_go(ref, seen)
                return
            said = status.said_of(self.plan, verdict(self.plan, ref))
            if said.same(seen.said) or not (said.status or seen.ours):
                return
            if await self._say(ref, seen, said, conditional=attempt < UNCONDITIONAL):
                return
        raise Later

    async def _say(self, ref: Ref, seen: SeenService, said: Said, *, conditional: bool) -> bool:
        now = _now()
        since = seen.said.since if seen.said.status == said.status else now
        said = said._replace(since=since if said.status else "")
        version = seen.version if conditional else ""
        body = status.body_of(ref, said, uid=seen.uid, version=version, now=now)
        path = f"{_path(ref)}/status?fieldManager={MANAGER}&force=true"
        try:
            answer = await self._send("PATCH", path, body, content_type=APPLY)
        except ApiError as error:
            if error.status not in (404, 409):
                raise
            return await self._look_service(ref)
        # What stays in the list may be another manager's, so the answer says what is shown now.
        version = _ANSWER.decode(answer).metadata.resource_version
        shown = said if said.ingress else said._replace(ingress=_left(answer))
        self._seen.put_service(ref, replace(seen, version=version, said=shown))
        if said.ingress and not seen.ours:
            self._addressed(ref, seen.created)
        if said.status == "False" and said[1:4] != seen.said[1:4]:
            await self._tell(ref, seen, said)
        return True

    async def _look_service(self, ref: Ref) -> bool:
        """Read a Service again; True when it is gone, or another one of its name."""
        try:
            answer = await self._send("GET", _path(ref))
        except ApiError as error:
            if error.status != 404:
                raise
            return True
        service = _SERVICE.decode(answer)
        seen = self._seen.services.get(ref)
        if seen is None or service.metadata.uid != seen.uid:
            return True  # the watch will tell of it
        said = status.shown_by(service)
        version = service.metadata.resource_version
        self._seen.services[ref] = replace(seen, version=version, said=said)
        return False

    async def _let_go(self, ref: Ref, seen: SeenService) -> None:
        """A Service of ours that waits for its end: nobody else takes this finalizer away."""
        if not (seen.ours and CLEANUP in seen.finalizers):
            return
        left = [one for one in seen.finalizers if one != CLEANUP]
        meta: dict[str, Any] = {"finalizers": left, "resourceVersion": seen.version}
        body = msgspec.json.encode({"metadata": meta})
        try:
            await self._send("PATCH", _path(ref), body, content_type=MERGE)
        except ApiError as error:
            if error.status not in (404, 409):
                raise

    async def _tell(self, ref: Ref, seen: SeenService, said: Said) -> None:
        """A Warning, once for each thing that is wrong; the same again within the lifetime of
        Events is the same object."""
        mark = blake2b(f"{seen.uid} {said.reason} {said.message}".encode(), digest_size=8)
        event = event_of(ref, seen.uid, said, name=f"{ref.name}.{mark.hexdigest()}", now=_now())
        try:
            await self._send("POST", f"/api/v1/namespaces/{ref.namespace}/events", event)
        except ApiError as error:
            if error.passing or error.status not in (403, 404, 409, 422):
                raise

    # -- another object --------------------------------------------------------------------------

    async def _object(self, ref: Ref) -> None:
        seen = self._seen.objects[ref]
        counted = self.use.get(ref.name) if ref.kind == AddressPool.KIND else None
        use = counted or (seen.told.use if seen.told else None)
        told = objects.told_of(ref, self.plan.claims.verdicts.get(ref), use)
        if told.same(seen.told):
            return
        kept = seen.told is not None and seen.told.ok == told.ok
        told = told._replace(since=seen.told.since if seen.told and kept else _now())
        body = objects.body_of(ref, told, version=seen.version, now=_now())
        for path in objects.paths_of(ref):
            try:
                where = f"{path}?fieldManager={MANAGER}"
                answer = await self._send("PATCH", where, body, content_type=MERGE)
            except ApiError as error:
                if error.status == 409:
                    return  # it has changed: the watch tells how, and it comes again
                if error.status != 404:
                    raise
            else:
                version = _ANSWER.decode(answer).metadata.resource_version
                self._seen.put_object(ref, replace(seen, version=version, told=told))
                return

    async def _send(
        self, method: str, path: str, body: bytes | None = None, *, content_type: str = JSON
    ) -> bytes:
        if not self._may_write():
            raise NotLeader
        return await self._api.send(method, path, body, content_type=content_type)


def _path(ref: Ref) -> str:
    return f"/api/v1/namespaces/{ref.namespace}/services/{ref.name}"


def _left(answer: bytes) -> tuple[status.Ingress, ...]:
    return status.shown_by(_SERVICE.decode(answer)).ingress


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
