"""Load: Services that come, change and go while something breaks."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from fairlead.lab.kubernetes import ControlPlane
from fairlead.sources.kube import Access, ApiError, Unreachable
from fairlead.sources.kube.access import Endpoint
from fairlead.sources.kube.tokens import Fixed, bearer
from tests.sources.kube.follow import token_of
from tests.sources.kube.proxy import Proxy

from .cluster import Cluster
from .manifests import service

LIVE = 20
"""Services of the load at a time."""


async def churn(one: Cluster, over: asyncio.Event, *, pause: float = 0.03) -> None:
    """Make, edit and delete Services until it is over, whatever the API server says."""
    number = 0
    while not over.is_set():
        try:
            await _step(one, number)
        except (ApiError, Unreachable):
            await asyncio.sleep(0.1)
        number += 1
        await asyncio.sleep(pause)


async def _step(one: Cluster, number: int) -> None:
    await one.create(service(f"n{number}"))
    if number % 3 == 0:
        await one.edit(f"n{number}", ports=[{"port": 8080, "protocol": "TCP"}])
    if number >= LIVE:
        await one.delete("Service", f"n{number - LIVE}")


@asynccontextmanager
async def load(one: Cluster) -> AsyncIterator[None]:
    """Load, as long as this lasts."""
    over = asyncio.Event()
    task = asyncio.create_task(churn(one, over))
    try:
        yield
    finally:
        over.set()
        await task


async def versions(one: Cluster, names: Iterable[str]) -> dict[str, str]:
    """The resourceVersions of Services and of their VirtualIPs: the same means never written."""
    wanted = set(names)
    found = {}
    for item in await one.objects("Service"):
        if item["metadata"]["name"] in wanted:
            found["service " + item["metadata"]["name"]] = item["metadata"]["resourceVersion"]
    for item in await one.objects("VirtualIP"):
        members = {m.rpartition("/")[2] for m in item["spec"].get("members", ())}
        if members & wanted:
            found["address " + item["metadata"]["name"]] = item["metadata"]["resourceVersion"]
    return found


@asynccontextmanager
async def proxied(plane: ControlPlane) -> AsyncIterator[tuple[Proxy, Access]]:
    """A proxy before the API server, and the admin's way through it."""
    async with Proxy(plane.url, str(plane.ca)) as proxy:
        token = bearer(token_of(plane.kubeconfig))
        yield proxy, Access(Endpoint(proxy.url), Fixed(token))
