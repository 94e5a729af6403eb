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

AGAIN, REFUSED = 1.0, 30.0
"""Seconds after which a write that failed is tried again; one that was refused for its own sake."""
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
            if pause := await self._write():
                await asyncio.sleep(pause)
                self._some.set()

    async def _write(self) -> float:
        """Write all that waits, at once; how long to wait with what is left, 0: nothing is."""
        waiting, self._waiting = self._waiting, {}
        results = await asyncio.gather(*(self._send(*one) for one in waiting.items()))
        for (name, leased), problem in zip(waiting.items(), results, strict=True):
            if problem is not None:
                self._waiting.setdefault(name, leased)
        failed = [one for one in results if one is not None]
        self._said(str(failed[0]) if failed else "")
        if not failed:
            return 0.0
        passing = any(isinstance(one, Unreachable) or one.passing for one in failed)
        return AGAIN if passing else REFUSED

    async def _send(self, name: str, leased: Leased) -> ApiError | Unreachable | None:
        """Why it could not be written; None when it was, or when the lease is gone."""
        path = ADDRESS_LEASES.item(name, subresource="status")
        try:
            await self._client.send("PATCH", path, body_of(leased), content_type=MERGE)
        except Unreachable as error:
            return error
        except ApiError as error:
            return None if error.not_found else error
        return None


def body_of(leased: Leased) -> bytes:
    """A merge patch of the whole status: what is said no more is removed."""
    said = msgspec.to_builtins(status_of(leased))
    return msgspec.json.encode({"status": dict.fromkeys(FIELDS) | said})
