"""Has Services say which engine their address is on, where that is configured.

By what agents report, and one write for each Service that moved. While nobody says who has an
address, what was said stays.
"""

from fairlead.model.addresses import canonical
from fairlead.model.names import Ref
from fairlead.model.plan import Plan
from fairlead.model.verdict import State
from fairlead.planner import verdict
from fairlead.publish.kube.hosts import Host, host_body
from fairlead.publish.kube.status import MANAGER
from fairlead.runtime.controller.api import MERGE, ApiError
from fairlead.runtime.controller.seen import Seen
from fairlead.runtime.controller.writing import Later, Writer, version_in


class Hosts:
    """Writes ``kube-vip.io/vipHost``. Not ``wanted``: takes away what it wrote when it was."""

    def __init__(self, writer: Writer, seen: Seen, *, wanted: bool) -> None:
        self.wanted = wanted
        self._writer, self._seen = writer, seen

    async def write(self, ref: Ref, plan: Plan) -> None:
        """Make a Service say which engine has its first address."""
        seen = self._seen.services.get(ref)
        if seen is None or seen.deleting:
            return
        name = self._host_of(ref, plan)
        before = seen.host
        if name is None or before == (Host(name, name) if name else before._replace(ours="")):
            return
        # to take something away is safe only as long as it is what was seen
        version = "" if name else seen.version
        body = host_body(name, before, uid=seen.uid, version=version)
        path = f"/api/v1/namespaces/{ref.namespace}/services/{ref.name}?fieldManager={MANAGER}"
        try:
            answer = await self._writer.send("PATCH", path, body, content_type=MERGE)
        except ApiError as error:
            if error.status == 409:
                raise Later from None  # it has changed, and the watch tells how
            if error.status != 404:
                raise
            return
        left = "" if before.is_ours else before.shown
        now = Host(name, name) if name else Host(left)
        self._seen.hosted(ref, seen.uid, version_in(answer), now)

    def _host_of(self, ref: Ref, plan: Plan) -> str | None:
        """The engine, empty for none; None: as it is."""
        said = verdict(plan, ref) if self.wanted else None
        if said is None or said.state is not State.SERVED or not said.addresses:
            return ""
        found = self._seen.holders.of(canonical(said.addresses[0]))
        return found[0] if found else None
