"""How to reach one API server and prove who asks: the address, TLS, and a header that stays fresh.

Whoever sends a request asks for the header each time; nearly always that is one comparison. One
task at a time renews a credential, however many requests find it stale.
"""

import asyncio
import ssl
from time import monotonic

from msgspec import Struct

from fairlead.sources.kube.errors import ConfigError, CredentialError
from fairlead.sources.kube.tls import load_pem
from fairlead.sources.kube.tokens import Credential, Source

OLD = Credential(until=0.0)


class Endpoint(Struct, frozen=True):
    """Where an API server is. ``url`` has no slash at its end. ``server_name``: the name that its
    certificate is checked for, where that is not the host of the URL. ``proxy``: an HTTP proxy."""

    url: str
    tls: ssl.SSLContext | None = None
    server_name: str = ""
    proxy: str = ""
    namespace: str = "default"


class Access:
    """An API server and the credentials for it."""

    def __init__(self, endpoint: Endpoint, source: Source) -> None:
        self.endpoint = endpoint
        self._source = source
        self._credential = OLD
        self._renewing = asyncio.Lock()

    def __repr__(self) -> str:
        return f"Access({self.endpoint.url})"

    @property
    def namespace(self) -> str:
        """The namespace that the configuration names: in a cluster the pod's own."""
        return self.endpoint.namespace

    async def headers(self) -> dict[str, str]:
        """The headers of a request, with a credential that has not expired. Raises
        :class:`CredentialError`."""
        text = await self.authorization()
        return {"Authorization": text} if text else {}

    async def authorization(self) -> str:
        """The ``Authorization`` header, empty where there is none."""
        if monotonic() >= self._credential.until:
            await self._renew(self._credential)
        return self._credential.authorization

    async def refused(self, authorization: str) -> bool:
        """The server did not accept this: whether there is another one to try."""
        if not self._source.renewable:
            return False
        if self._credential.authorization == authorization:
            await self._renew(self._credential)
        return self._credential.authorization != authorization

    async def _renew(self, stale: Credential) -> None:
        async with self._renewing:
            if self._credential is not stale:
                return  # somebody was faster
            fresh = await self._source.get()
            if fresh.certificate and fresh.certificate != stale.certificate:
                self._show(fresh.certificate)
            self._credential = fresh

    def _show(self, certificate: bytes) -> None:
        if self.endpoint.tls is None:
            return
        try:
            load_pem(self.endpoint.tls, certificate)
        except ConfigError as error:
            raise CredentialError(str(error)) from None
