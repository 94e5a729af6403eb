"""Whether what the API server says now continues what it said before.

An object that is missing from a new list was deleted, if the list is of the same history. After a
loss of etcd, or a restore from an old copy, it is not: revisions have gone back, or the cluster is
another one (the uid of ``kube-system`` tells clusters apart). And when a CustomResourceDefinition
is removed, the API server first deletes every object of it, with events that look like any other;
then nobody meant those objects. In both cases addresses must stay.

What no client can see: an etcd restored from an old copy with its revisions moved ahead
(``--bump-revision``). Its objects count as deleted by whoever restored it.
"""

import asyncio
from time import monotonic
from typing import Final

from msgspec import Struct

from fairlead.sources.kube.client import ApiClient
from fairlead.sources.kube.errors import ApiError
from fairlead.sources.kube.resources import DEFINITIONS, NAMESPACES, Resource

FRESH: Final = 1.0
"""Seconds for which an answer about the cluster serves all who ask."""
NOWHERE: Final = "none"
"""Stands for the uid of a cluster that has no ``kube-system`` (yet)."""
SETTLING: Final = 0.5
"""Seconds after which discovery shows that a definition is going."""


class _Meta(Struct, rename="camel", gc=False):
    uid: str = ""
    deletion_timestamp: str | None = None


class _Object(Struct, gc=False):
    metadata: _Meta


class _Kind(Struct, gc=False):
    name: str
    verbs: tuple[str, ...] = ()


class _Kinds(Struct, gc=False):
    resources: tuple[_Kind, ...] = ()


def is_same(one: str, other: str) -> bool:
    """Whether two clusters may be the same; an empty uid is one that we may not see."""
    return not one or not other or one == other


class History:
    """Asks one API server; shared by all that watch it."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client
        self._asking = asyncio.Lock()
        self._uid, self._asked = "", float("-inf")
        self._denied = False

    async def cluster(self) -> str:
        """The uid of the cluster; empty where RBAC does not let us see it."""
        came = monotonic()
        async with self._asking:
            if self._asked < came - FRESH:
                self._uid = await self._cluster()
                self._asked = monotonic()
            return self._uid

    async def _cluster(self) -> str:
        try:
            return (await self._client.read(_Object, NAMESPACES, "kube-system")).metadata.uid
        except ApiError as error:
            if error.forbidden:
                return ""
            if error.not_found:
                return NOWHERE
            raise

    async def defines(self, resource: Resource) -> bool:
        """Whether a custom resource is there to stay: its definition exists and is not going.

        Asks for the definition, which needs ``get`` on it; without that, discovery, which shows it
        a little later.
        """
        if not self._denied:
            try:
                found = await self._client.read(_Object, DEFINITIONS, resource.definition)
                return found.metadata.deletion_timestamp is None
            except ApiError as error:
                if error.not_found:
                    return False
                if not error.forbidden:
                    raise
                self._denied = True
        await asyncio.sleep(SETTLING)
        return await self._discovers(resource)

    async def _discovers(self, resource: Resource) -> bool:
        try:
            kinds = (await self._client.fetch(_Kinds, resource.root)).resources
        except ApiError as error:
            if error.not_found:
                return False
            raise
        return any(k.name == resource.plural and "create" in k.verbs for k in kinds)
