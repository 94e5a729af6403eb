"""HTTP to a gateway, with limits: to that host only, no redirects, so much text, so much time.

It stands in for the requester of ``async-upnp-client``, which follows redirects, reads without end
and goes wherever a description points. XML is parsed by ``defusedxml`` there, which refuses
entities and external references.
"""

import re
from collections.abc import AsyncIterable

from aiohttp import ClientSession, ClientTimeout, TCPConnector
from async_upnp_client.client import UpnpRequester
from async_upnp_client.const import HttpRequest, HttpResponse

from fairlead.drivers.upnp.search import leads_to
from fairlead.model.addresses import IPAddress

LARGEST = 256 * 1024
"""Octets of one answer; real descriptions have about 10 kB."""
SECONDS = 5.0
"""For one request and its answer."""
MOST = 32
"""Documents that make up one description; a large gateway has about a dozen."""
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


class Refusal(Exception):
    """A gateway wanted more of us than is good."""


class Requester(UpnpRequester):
    """Requests to ``host``. ``source``: the address that they come from; None: as the kernel has
    it. ``budget``: how many documents may be fetched."""

    def __init__(self, host: IPAddress, *, seconds: float = SECONDS) -> None:
        self.host = host
        self.source: IPAddress | None = None
        self.budget = MOST
        self._seconds = seconds

    async def async_http_request(self, http_request: HttpRequest) -> HttpResponse:
        """Send one and read its answer. Raises :class:`Refusal`, and what aiohttp does."""
        url = http_request.url
        if not leads_to(url, self.host):
            raise Refusal(f"it leads to {url[:80]!r}, which is not on {self.host}")
        if http_request.method == "GET":
            self.budget -= 1
            if self.budget < 0:
                raise Refusal(f"its description has more than {MOST} parts")
        local = None if self.source is None else (str(self.source), 0)
        connector = TCPConnector(local_addr=local, force_close=True)
        timeout = ClientTimeout(total=self._seconds)
        async with (
            ClientSession(connector=connector, timeout=timeout, trust_env=False) as session,
            session.request(
                http_request.method,
                url,
                headers=http_request.headers,
                data=http_request.body,
                allow_redirects=False,
            ) as response,
        ):
            if 300 <= response.status < 400:
                raise Refusal("it redirects to somewhere else")
            body = await _read(response.content.iter_chunked(16384))
            return HttpResponse(response.status, dict(response.headers), body)


async def _read(chunks: AsyncIterable[bytes]) -> str:
    whole = bytearray()
    async for chunk in chunks:
        whole += chunk
        if len(whole) > LARGEST:
            raise Refusal(f"an answer of it is longer than {LARGEST // 1024} KiB")
    # some gateways send bytes of their memory in fields that they do not use
    return _NOT_XML.sub("", bytes(whole).decode("utf-8", "replace")).rstrip()
