"""What an engine heard of its leases, written where whoever decides reads it.

One write for each lease that is bound, renewed or lost, by the engine that holds it; at rest none.
While the API server is away the last word on each lease waits; leases are renewed on meanwhile.
"""

import asyncio
from collections.abc import Callable

import msgspec

from fairlead.model.addresslease import AddressLeaseStatus, status_of
from fairlead.model.dhcp import Leased
from fairlead.sources.kube import ApiClient, ApiError, Unreachable
from fairlead.sources.kube.client import MERGE
from fairlead.sources.kube.resources import ADDRESS_LEASES

AGAIN = 1.0
"""Seconds after which a write that failed is tried again."""
FIELDS = AddressLeaseStatus.__struct_encode_fields__


class LeaseReports:
    """``said`` gets what went wrong, "" when all is well."""

    def __init__(self, client: ApiClient, said: Callable[[str], None]) -> None:
        self._client, self._said = client, said
        self._waiting: dict[str, Leased] = {}
        self._some = asyncio.Event()

    def offer(self, name: str, leased: Leased) -> None:
        """The last word on a lease."""
        self._waiting[name] = leased
        self._some.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._some.wait()
            self._some.clear()
            if not await self._write():
                await asyncio.sleep(AGAIN)
                self._some.set()

    async def _write(self) -> bool:
        """Write all that waits, at once; whether nothing is left."""
        waiting, self._waiting = self._waiting, {}
        results = await asyncio.gather(*(self._send(*one) for one in waiting.items()))
        for (name, leased), problem in zip(waiting.items(), results, strict=True):
            if problem:
                self._waiting.setdefault(name, leased)
        self._said(next(filter(None, results), ""))
        return not any(results)

    async def _send(self, name: str, leased: Leased) -> str:
        """Why it could not be written; empty when it was, or when the lease is gone."""
        path = ADDRESS_LEASES.item(name, subresource="status")
        try:
            await self._client.send("PATCH", path, body_of(leased), content_type=MERGE)
        except Unreachable as error:
            return str(error)
        except ApiError as error:
            return "" if error.not_found else str(error)
        return ""


def body_of(leased: Leased) -> bytes:
    """A merge patch of the whole status: what is said no more is removed."""
    said = msgspec.to_builtins(status_of(leased))
    return msgspec.json.encode({"status": dict.fromkeys(FIELDS) | said})
