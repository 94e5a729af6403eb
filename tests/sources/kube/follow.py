"""What the tests of the API source share: objects, a writer, and a reader that builds a World."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any

from fairlead.lab.kubernetes import ControlPlane
from fairlead.model.kube import Service
from fairlead.model.names import Ref
from fairlead.model.world import Change, World
from fairlead.sources.kube import (
    Access,
    ApiClient,
    Health,
    KubeBatch,
    KubeSource,
    Pace,
    Watch,
    kubeconfig_access,
)
from fairlead.sources.kube.access import Endpoint
from fairlead.sources.kube.resources import SERVICES, Resource
from fairlead.sources.kube.tokens import Fixed, bearer

from .proxy import Proxy

PATIENCE = 30.0
"""Seconds until a test gives up."""
QUICK = Pace(absent=0.2, slowest=0.5, forbidden=0.5, grace=1.0, first=0.05)
"""The durations of tests."""


def service(name: str, *, port: int = 80, **meta: Any) -> dict[str, Any]:
    """A Service of type ClusterIP, which needs no address space of its own."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, **meta},
        "spec": {"ports": [{"port": port}], "clusterIP": "None"},
    }


def encoded(item: dict[str, Any]) -> bytes:
    """An object as a request has it."""
    return json.dumps(item).encode()


class Writer:
    """Writes Services of one namespace, as somebody with a kubectl would."""

    def __init__(self, client: ApiClient, namespace: str) -> None:
        self.client, self.namespace = client, namespace

    async def create(self, *names: str, **more: Any) -> None:
        """New ones."""
        for name in names:
            await self.client.create(SERVICES, encoded(service(name, **more)), self.namespace)

    async def edit(self, name: str, port: int) -> None:
        """Another port."""
        body = encoded({"spec": {"ports": [{"port": port}]}})
        await self.client.patch(SERVICES, name, body, self.namespace)

    async def label(self, name: str, **labels: str | None) -> None:
        """Other labels; None takes one away."""
        body = encoded({"metadata": {"labels": labels}})
        await self.client.patch(SERVICES, name, body, self.namespace)

    async def delete(self, *names: str) -> None:
        """Delete them."""
        for name in names:
            await self.client.delete(SERVICES, name, self.namespace)

    async def ports(self) -> dict[str, int]:
        """What the API server has: name -> port."""
        answer = json.loads(await self.client.list(SERVICES, self.namespace))
        return {i["metadata"]["name"]: i["spec"]["ports"][0]["port"] for i in answer["items"]}


class Follower:
    """Reads batches all the time, and keeps what they come to."""

    def __init__(self, source: KubeSource) -> None:
        self.source = source
        self.world = World()
        self.batches: list[KubeBatch] = []
        self.explicit: set[Ref] = set()
        self.gone: list[Ref] = []
        self.changes: list[Change] = []
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        async for batch in self.source.batches():
            self.batches.append(batch)
            self.changes += batch.changes
            self.explicit |= batch.explicit
            self.gone += [c.ref for c in batch.changes if c.object is None and c.problem is None]
            self.world = self.world.evolve(batch.changes)

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait until something is so; says how things are when it does not come to be."""
        deadline = monotonic() + PATIENCE
        while not condition():
            if self._task.done():
                self._task.result()
            assert monotonic() < deadline, (
                f"not in time; {self.source.health} {self.world.problems}"
            )
            await asyncio.sleep(0.01)

    async def synced(self) -> None:
        """Wait for the first batch."""
        await self.until(lambda: self.batches and self.batches[-1].synced)

    def ports(self, namespace: str) -> dict[str, int]:
        """What was read: name -> port."""
        return {s.name: s.ports[0].port for s in self.world.every(Service, namespace)}

    def names(self) -> list[str]:
        """The objects of all changes so far, in order."""
        return [change.ref.name for change in self.changes]

    def health(self, kind: str) -> Health:
        """How a kind is doing."""
        return next(h for h in self.source.health if h.kind == kind)

    async def close(self) -> None:
        """Stop reading; raises what reading failed with."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task


@asynccontextmanager
async def following(
    client: ApiClient, *watches: Watch, pace: Pace = QUICK
) -> AsyncIterator[Follower]:
    """A follower of these watches."""
    async with KubeSource(client, watches, pace=pace) as source:
        follower = Follower(source)
        try:
            yield follower
        finally:
            await follower.close()


def access(control: ControlPlane) -> Access:
    """The admin's."""
    return kubeconfig_access([control.kubeconfig])


def token_of(kubeconfig: Path) -> str:
    """The token in a kubeconfig of the lab."""
    return str(json.loads(kubeconfig.read_text())["users"][0]["user"]["token"])


@asynccontextmanager
async def through_proxy(
    control: ControlPlane, kubeconfig: Path | None = None, **options: Any
) -> AsyncIterator[tuple[Proxy, ApiClient]]:
    """A proxy before the API server, and a client that goes through it."""
    async with Proxy(control.url, str(control.ca)) as proxy:
        token = bearer(token_of(kubeconfig or control.kubeconfig))
        way = Access(Endpoint(proxy.url), Fixed(token))
        async with ApiClient(way, **options) as client:
            yield proxy, client


def run(scenario: Awaitable[None], timeout: float = 100.0) -> None:
    """Run a test that awaits."""

    async def bounded() -> None:
        async with asyncio.timeout(timeout):
            await scenario

    asyncio.run(bounded())


def apply_definition(
    control: ControlPlane, resource: Resource, *, versions: Iterable[str] = ()
) -> None:
    """Install a CustomResourceDefinition that lets everything through, and wait for it."""
    served = [
        {
            "name": version,
            "served": True,
            "storage": index == 0,
            "schema": {
                "openAPIV3Schema": {
                    "type": "object",
                    "x-kubernetes-preserve-unknown-fields": True,
                }
            },
        }
        for index, version in enumerate(versions or (resource.version,))
    ]
    names = {"plural": resource.plural, "singular": resource.kind.lower(), "kind": resource.kind}
    spec = {"group": resource.group, "scope": "Cluster", "names": names, "versions": served}
    control.apply(
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": resource.definition},
            "spec": spec,
        }
    )
    wait = f"crd/{resource.definition}"
    control.kubectl("wait", "--for=condition=Established", wait, "--timeout=30s")


def remove_definition(control: ControlPlane, resource: Resource) -> None:
    """Remove it and all its objects, and wait for that."""
    control.kubectl("delete", "crd", resource.definition, "--ignore-not-found", "--wait=true")
