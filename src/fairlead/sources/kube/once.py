"""Everything of one kind, read once: for commands that look and go.

Pages instead of a watch, so that the right to list is enough.
"""

import msgspec
from msgspec import Struct

from fairlead.model.world import Change
from fairlead.sources.kube.client import ApiClient
from fairlead.sources.kube.decoding import Decoding
from fairlead.sources.kube.errors import ApiError
from fairlead.sources.kube.resources import Resource, Watch

PAGE = 500
"""Objects in one answer."""


class _ListMeta(Struct, rename="camel", gc=False):
    next: str = msgspec.field(name="continue", default="")


class _Page(Struct, gc=False):
    metadata: _ListMeta
    items: list[msgspec.Raw] | None = None


_PAGE = msgspec.json.Decoder(_Page)


async def read_once(client: ApiClient, watch: Watch, *, page: int = PAGE) -> list[Change] | None:
    """The objects of a watch, as changes to nothing; None where the API server has no such kind.

    Raises :class:`ApiError` (``forbidden`` where RBAC says no) and
    :class:`~fairlead.sources.kube.errors.Unreachable`.
    """
    for resource in watch.resources:
        try:
            return await _read(client, watch, resource, page)
        except ApiError as error:
            if error.not_found:
                continue
            if not error.gone:
                raise
            # the pages got too old on the way: all at once then
            return await _read(client, watch, resource, 0)
    return None


async def _read(client: ApiClient, watch: Watch, resource: Resource, page: int) -> list[Change]:
    decoding = Decoding(watch.type, resource.api_version, watch.transform)
    query = {"limit": str(page)} if page else {}
    found: list[Change] = []
    while True:
        answer = _PAGE.decode(await client.send("GET", watch.url(resource, **query)))
        for data in answer.items or ():
            item = decoding.item(data)
            if item.object is not None or item.problem is not None:
                found.append(Change(item.ref, item.object, item.problem))
        if not answer.metadata.next:
            return found
        query["continue"] = answer.metadata.next
