"""One new Service on a cluster of 10 000 that are served: how long until it shows its address.

From the moment the API server has answered that it is created to the moment a watch tells of its
status; one after the other, with pauses of changing length.
"""

import asyncio
import random
import statistics
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import msgspec

from bench.figure import Figure, percentile
from bench.kubernetes_cluster import cluster, service
from bench.machine import others
from fairlead.model.kube import Service
from fairlead.sources.kube import ApiClient, find_access
from fairlead.sources.kube.resources import SERVICES

COUNT = 10_000
SAMPLES = 300
WARM = 10
"""Samples before those that count."""
NAMESPACE = "new"
LONGEST = 30.0
"""Seconds after which an address does not come any more."""


class _Event(msgspec.Struct):
    object: Service


EVENTS = msgspec.json.Decoder(_Event)


def run() -> Iterator[Figure]:
    """The percentiles, with and without the request that creates it."""
    with cluster(COUNT, settled=True) as place, place.controller() as process:
        process.wait_led()
        place.control.kubectl("create", "namespace", NAMESPACE)
        servers = (place.control.pid("kube-apiserver"), place.control.pid("etcd"))
        with others(*servers, process.pid) as foreign:
            samples = asyncio.run(_samples(str(place.control.kubeconfig)))
        yield from _figures(samples)
        yield Figure("controller.one.others", foreign.percent, "%")
        yield Figure("controller.one.rss.10k", process.peak_mb, "MB", 200)


def _figures(samples: list[tuple[float, float]]) -> Iterator[Figure]:
    shown = [1000 * after for _, after in samples]
    whole = [1000 * (before + after) for before, after in samples]
    yield Figure("controller.one.p50", percentile(shown, 50), "ms", 50)
    yield Figure("controller.one.p99", percentile(shown, 99), "ms", 200)
    yield Figure("controller.one.max", max(shown), "ms")
    yield Figure("controller.one.with_request.p50", percentile(whole, 50), "ms")
    yield Figure("controller.one.with_request.p99", percentile(whole, 99), "ms")
    yield Figure("controller.one.request", 1000 * statistics.median(b for b, _ in samples), "ms")


async def _samples(kubeconfig: str) -> list[tuple[float, float]]:
    """Seconds until it was created, and from then on until its status said an address."""
    found = []
    async with ApiClient(find_access(kubeconfig)) as client, _watching(client) as shown:
        for number in range(WARM + SAMPLES):
            name = f"one-{number}"
            waiting = shown[name] = asyncio.get_running_loop().create_future()
            start = time.monotonic()
            await client.create(SERVICES, msgspec.json.encode(_new(name)), NAMESPACE)
            created = time.monotonic()
            async with asyncio.timeout(LONGEST):
                found.append((created - start, await waiting - created))
            await asyncio.sleep(random.uniform(0.02, 0.15))
    return found[WARM:]


def _new(name: str) -> dict[str, object]:
    made = service(name)
    made["metadata"]["namespace"] = NAMESPACE
    return made


@asynccontextmanager
async def _watching(client: ApiClient) -> AsyncIterator[dict[str, "asyncio.Future[float]"]]:
    """By name, who waits for the time at which a Service shows an address."""
    waiting: dict[str, asyncio.Future[float]] = {}
    path = f"{SERVICES.collection(NAMESPACE)}?watch=true&timeoutSeconds=3600"

    async def follow() -> None:
        async with client.stream(path, silence=LONGEST) as content:
            while line := await content.readline():
                _note(EVENTS.decode(line).object, waiting)

    task = asyncio.create_task(follow())
    try:
        yield waiting
    finally:
        task.cancel()


def _note(one: Service, waiting: dict[str, "asyncio.Future[float]"]) -> None:
    balancer = one.status.load_balancer if one.status else None
    if balancer and balancer.ingress and one.name in waiting:
        waiting.pop(one.name).set_result(time.monotonic())
