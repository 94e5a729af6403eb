"""The exclusive evidence of a fence: its cell's roster, in a Lease, changed by compare-and-swap.

It is asked for only when exactly half of a cell is left (two engines of which one is gone), so at
rest it costs nothing. The Lease's ``leaseTransitions`` is the roster's generation, and its
``holderIdentity`` names the members; nobody renews it, because a roster does not expire.
"""

from hashlib import blake2b

import msgspec

from fairlead.model.cell import Roster
from fairlead.runtime.fence.link import Claim
from fairlead.runtime.lease import Lease, LeaseMeta, LeaseSpec
from fairlead.sources.kube import ApiClient, ApiError

PATH = "/apis/coordination.k8s.io/v1/namespaces/{}/leases"


class Record:
    """The roster of one cell in the API."""

    def __init__(self, client: ApiClient, *, namespace: str) -> None:
        self._client = client
        self._namespace = namespace
        self._base = PATH.format(namespace)

    async def claim(self, cell: frozenset[str], claim: Claim) -> Roster | None:
        """Write the roster unless a younger one is there; what is recorded then. None when somebody
        else wrote at the same moment: ask again.

        Raises what :meth:`ApiClient.send` raises.
        """
        name = name_of(cell)
        lease = await self._read(name)
        recorded = roster_of(lease, cell)
        if recorded.generation > claim.base:
            return recorded
        lease.spec.lease_transitions = claim.roster.generation
        lease.spec.holder_identity = ",".join(sorted(claim.roster.members))
        try:
            await self._write(name, lease)
        except ApiError as error:
            if not error.conflict:
                raise
            return None
        return claim.roster

    async def _read(self, name: str) -> Lease:
        try:
            answer = await self._client.send("GET", f"{self._base}/{name}")
        except ApiError as error:
            if not error.not_found:
                raise
            return Lease(LeaseMeta(name, self._namespace), LeaseSpec())
        return msgspec.json.decode(answer, type=Lease)

    async def _write(self, name: str, lease: Lease) -> None:
        body = msgspec.json.encode(lease)
        if lease.metadata.resource_version:
            await self._client.send("PUT", f"{self._base}/{name}", body)
        else:
            await self._client.send("POST", self._base, body)


def name_of(cell: frozenset[str]) -> str:
    """The name of a cell's Lease."""
    mark = blake2b(" ".join(sorted(cell)).encode(), digest_size=6).hexdigest()
    return f"fairlead-cell-{mark}"


def roster_of(lease: Lease, cell: frozenset[str]) -> Roster:
    """The roster that a Lease records; a new one records the whole cell."""
    members = frozenset(filter(None, (lease.spec.holder_identity or "").split(",")))
    return Roster(lease.spec.lease_transitions or 0, members or cell)
