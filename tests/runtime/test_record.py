"""The exclusive evidence, on a real API server: of two halves one may go on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fairlead.lab.kubernetes import ControlPlane
from fairlead.model.cell import Roster
from fairlead.runtime.agent.record import Record, name_of
from fairlead.runtime.fence.link import Claim
from fairlead.sources.kube import ApiClient, find_access

BOTH = frozenset({"a", "b"})


@asynccontextmanager
async def record_of(control: ControlPlane, namespace: str) -> AsyncIterator[Record]:
    async with ApiClient(find_access(control.kubeconfig)) as client:
        yield Record(client, namespace=namespace)


def claim(name: str, *, base: int = 0) -> Claim:
    return Claim(base, Roster(base + 1, frozenset({name})))


def test_of_two_halves_one_gets_it(control_plane: ControlPlane, kube_namespace: str) -> None:
    async def race() -> tuple[Roster | None, ...]:
        async with (
            record_of(control_plane, kube_namespace) as one,
            record_of(control_plane, kube_namespace) as other,
        ):
            first = await asyncio.gather(one.claim(BOTH, claim("a")), other.claim(BOTH, claim("b")))
            again = await asyncio.gather(one.claim(BOTH, claim("a")), other.claim(BOTH, claim("b")))
            return (*first, *again)

    *first, one, other = asyncio.run(race())
    assert one == other, "both must see the same roster in the end"
    assert one in (claim("a").roster, claim("b").roster)
    assert all(seen in (None, one) for seen in first), "nobody may believe in another one"
    assert control_plane.kubectl("-n", kube_namespace, "get", "lease", name_of(BOTH)).stdout


def test_a_claim_from_an_older_roster_is_refused(
    control_plane: ControlPlane, kube_namespace: str
) -> None:
    async def both() -> tuple[Roster | None, Roster | None, Roster | None]:
        async with record_of(control_plane, kube_namespace) as record:
            first = await record.claim(BOTH, claim("a"))
            late = await record.claim(BOTH, claim("b"))
            later = await record.claim(BOTH, claim("b", base=4))
            return first, late, later

    first, late, later = asyncio.run(both())
    assert first == late == claim("a").roster
    assert later == claim("b", base=4).roster
