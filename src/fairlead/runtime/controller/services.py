"""What is written on Services: status, Warnings, and the end of a finalizer nobody else removes."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

import msgspec
from msgspec.structs import replace

from fairlead.model.kube import Service
from fairlead.model.names import Ref
from fairlead.model.plan import Plan
from fairlead.planner import verdict
from fairlead.publish.forwards import with_forwards
from fairlead.publish.kube import status
from fairlead.publish.kube.events import Kind, event, event_of
from fairlead.publish.kube.status import MANAGER, Ingress, Said
from fairlead.runtime.controller.api import APPLY, MERGE, ApiError
from fairlead.runtime.controller.opened import Opened
from fairlead.runtime.controller.seen import CLEANUP, Seen, SeenService, seen_service
from fairlead.runtime.controller.writing import Later, Writer, version_in

ATTEMPTS = 5
"""How often one write is tried against concurrent writers before it waits its turn again."""
UNCONDITIONAL = 3
"""After so many conflicts a status is applied whatever the resourceVersion; the uid still holds."""
ENDING = "being terminated"
"""In the message of a refusal: the namespace goes, and its events with it."""

_SERVICE = msgspec.json.Decoder(Service)


class Services:
    """Writes on Services. ``addressed`` hears of each that got its first address, with its
    creationTimestamp; ``told`` of what failed and is not tried again, as (what, why)."""

    def __init__(
        self,
        writer: Writer,
        seen: Seen,
        *,
        addressed: Callable[[Ref, str], None],
        told: Callable[[str, str], None],
    ) -> None:
        self._writer, self._seen = writer, seen
        self._addressed, self._told = addressed, told
        self._opened = Opened()

    async def write(self, ref: Ref, plan: Plan) -> None:
        """Make a Service say what the plan says of it."""
        for attempt in range(ATTEMPTS):
            seen = self._seen.services.get(ref)
            if seen is None:
                self._opened.forget(ref)
                return
            if seen.deleting:
                self._opened.forget(ref)
                await self._let_go(ref, seen)
                return
            found = verdict(plan, ref)
            ports = self._seen.openings.of(plan, found) if found is not None else ()
            said = status.said_of(plan, with_forwards(found, ports) if found is not None else None)
            for happened in self._opened.news(ref, ports, known=said.same(seen.said)):
                reason, text, warning, once = happened
                await self.note(ref, reason, text, warning=warning, once=once)
            if said.same(seen.said) or not (said.status or seen.ours):
                return
            if not attempt:
                await self._warn(ref, seen, said)
            if await self._say(ref, seen, said, conditional=attempt < UNCONDITIONAL):
                return
        raise Later

    async def _say(self, ref: Ref, seen: SeenService, said: Said, *, conditional: bool) -> bool:
        now = now_text()
        since = seen.said.since if seen.said.status == said.status else now
        said = said._replace(since=since if said.status else "")
        version = seen.version if conditional else ""
        body = status.body_of(ref, said, uid=seen.uid, version=version, now=now)
        path = f"{_path(ref)}/status?fieldManager={MANAGER}&force=true"
        self._seen.saying(ref, said)
        try:
            answer = await self._writer.send("PATCH", path, body, content_type=APPLY)
        except ApiError as error:
            if error.status not in (404, 409):
                raise
            return await self._look(ref)
        finally:
            self._seen.saying(ref, None)
        # What stays in the list may be another manager's, so the answer says what is shown now.
        shown = said if said.ingress else said._replace(ingress=_left(answer))
        self._seen.told(ref, seen.uid, version_in(answer), shown, known=version)
        if said.ingress and not seen.said.ingress:
            self._addressed(ref, seen.created)
        if shown.ingress and not said.ingress and seen.ours:
            await self._clear(ref, seen)
        return True

    async def _clear(self, ref: Ref, before: SeenService) -> None:
        """Take out of the list what we showed and somebody who served before us co-owns: it is not
        served any more."""
        for _ in range(ATTEMPTS):
            seen = self._seen.services.get(ref)
            if seen is None or seen.uid != before.uid or seen.deleting:
                return
            rest = [entry for entry in seen.said.ingress if entry not in before.said.ingress]
            if len(rest) == len(seen.said.ingress):
                return
            body = _ingress_body(seen, rest)
            path = f"{_path(ref)}/status?fieldManager={MANAGER}"
            try:
                answer = await self._writer.send("PATCH", path, body, content_type=MERGE)
            except ApiError as error:
                if error.status not in (404, 409):
                    raise
                if await self._look(ref):
                    return
                continue
            shown = seen.said._replace(ingress=tuple(rest))
            self._seen.told(ref, seen.uid, version_in(answer), shown, known=seen.version)
            return
        raise Later

    async def _look(self, ref: Ref) -> bool:
        """Read a Service again; True when it is gone, or another one of its name."""
        try:
            answer = await self._writer.send("GET", _path(ref))
        except ApiError as error:
            if error.status != 404:
                raise
            return True
        now, seen = seen_service(_SERVICE.decode(answer)), self._seen.services.get(ref)
        if seen is None or now.uid != seen.uid:
            return True  # the watch will tell of it
        self._seen.services[ref] = replace(now, taken=seen.taken)
        return False

    async def _let_go(self, ref: Ref, seen: SeenService) -> None:
        """A Service of ours that waits for its end: nobody else takes this finalizer away."""
        if not (seen.ours and CLEANUP in seen.finalizers):
            return
        left = [one for one in seen.finalizers if one != CLEANUP]
        meta: dict[str, Any] = {"finalizers": left, "resourceVersion": seen.version}
        body = msgspec.json.encode({"metadata": meta})
        try:
            await self._writer.send("PATCH", _path(ref), body, content_type=MERGE)
        except ApiError as error:
            if error.status == 409 and not await self._look(ref):
                raise Later from None
            if error.status not in (404, 409):
                raise

    async def _warn(self, ref: Ref, seen: SeenService, said: Said) -> None:
        """A Warning, once for each thing that is wrong; the same again within the lifetime of
        Events is the same object. It comes before the status, so that a crash loses none."""
        if said.status != "False" or said[1:4] == seen.said[1:4]:
            return
        mark = blake2b(f"{seen.uid} {said.reason} {said.message}".encode(), digest_size=8)
        name = f"{ref.name}.{mark.hexdigest()}"
        await self._tell(ref, event_of(ref, seen.uid, said, name=name, now=now_text()))

    async def note(
        self, ref: Ref, reason: str, message: str, *, warning: bool = False, once: bool = False
    ) -> None:
        """An Event: something happened, which is as it should be unless it is a ``warning``.
        ``once``: the same again is no other one, as long as Events last."""
        seen = self._seen.services.get(ref)
        if seen is None or seen.deleting:
            return
        now = now_text()
        when = "" if once else now
        mark = blake2b(f"{seen.uid} {reason} {message} {when}".encode(), digest_size=8)
        name = f"{ref.name}.{mark.hexdigest()}"
        told = (reason, message)
        kind: Kind = "Warning" if warning else "Normal"
        await self._tell(ref, event(ref, seen.uid, told, kind=kind, name=name, now=now))

    async def _tell(self, ref: Ref, body: bytes) -> None:
        try:
            await self._writer.send("POST", f"/api/v1/namespaces/{ref.namespace}/events", body)
        except ApiError as error:
            if error.passing:
                raise
            if error.status not in (404, 409) and ENDING not in error.message:
                self._told("event", error.message)


def _path(ref: Ref) -> str:
    return f"/api/v1/namespaces/{ref.namespace}/services/{ref.name}"


def _left(answer: bytes) -> tuple[Ingress, ...]:
    return status.shown_by(_SERVICE.decode(answer)).ingress


def _ingress_body(seen: SeenService, rest: Sequence[Ingress]) -> bytes:
    meta = {"uid": seen.uid, "resourceVersion": seen.version}
    whole = ({"ip": e.ip, "hostname": e.hostname, "ipMode": e.mode if e.ip else ""} for e in rest)
    entries = [{name: text for name, text in entry.items() if text} for entry in whole]
    balancer = {"ingress": entries or None}
    return msgspec.json.encode({"metadata": meta, "status": {"loadBalancer": balancer}})


def now_text() -> str:
    """The time as the API has it."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
