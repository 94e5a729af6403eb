"""What is written on pools, engine groups, peers and settings: what became of them."""

from msgspec.structs import replace

from fairlead.model.names import Ref
from fairlead.model.objects import AddressPool
from fairlead.model.plan import Plan
from fairlead.publish.kube import objects
from fairlead.publish.kube.status import MANAGER
from fairlead.runtime.controller.api import MERGE, ApiError
from fairlead.runtime.controller.seen import Seen, SeenObject
from fairlead.runtime.controller.services import now_text
from fairlead.runtime.controller.writing import Later, Writer, version_in


class Objects:
    """Writes the status of objects that are not served themselves. ``use``: how full pools are."""

    def __init__(self, writer: Writer, seen: Seen) -> None:
        self.use: dict[str, objects.Use] = {}
        self._writer, self._seen = writer, seen

    async def write(self, ref: Ref, plan: Plan) -> None:
        """Make an object say what the plan says of it."""
        seen = self._seen.objects.get(ref)
        if seen is None:
            return
        counted = self.use.get(ref.name) if ref.kind == AddressPool.KIND else None
        use = counted or (seen.told.use if seen.told else None)
        told = objects.told_of(ref, plan.claims.verdicts.get(ref), use)
        if told.same(seen.told):
            return
        kept = seen.told is not None and seen.told.ok == told.ok
        told = told._replace(since=seen.told.since if seen.told and kept else now_text())
        await self._say(ref, seen, told)

    async def _say(self, ref: Ref, seen: SeenObject, told: objects.Told) -> None:
        body = objects.body_of(ref, told, version=seen.version, now=now_text())
        for path in objects.paths_of(ref):
            where = f"{path}?fieldManager={MANAGER}"
            try:
                answer = await self._writer.send("PATCH", where, body, content_type=MERGE)
            except ApiError as error:
                if error.status == 409:
                    raise Later from None  # it has changed, and the watch tells how
                if error.status != 404:
                    raise
            else:
                if ref in self._seen.objects:
                    now = replace(seen, version=version_in(answer), told=told)
                    self._seen.put_object(ref, now)
                return
