"""An agent reads only the VIPs of its engine groups, from a real API server; and follows itself
into and out of groups without a moment in which anything of its own is missing."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from time import monotonic
from typing import Any

from fairlead.lab.kubernetes import ControlPlane
from fairlead.model.config import Config
from fairlead.model.kube import Node
from fairlead.model.objects import EngineGroup
from fairlead.model.virtualip import GROUP_LABEL, VirtualIP
from fairlead.model.world import World
from fairlead.runtime.agent.intake import Intake
from fairlead.runtime.agent.scope import MOST, Scoped, selector
from fairlead.runtime.agent.watches import needed, watches
from fairlead.sources.kube import Access, ApiClient, KubeSource, Pace, kubeconfig_access
from fairlead.sources.kube.resources import ENGINE_GROUPS, NODES, VIRTUAL_IPS

CONFIG = Config(dataplane="cluster")
QUICK = Pace(absent=0.2, slowest=0.5, forbidden=0.5, grace=1.0, first=0.05)
PATIENCE = 30.0
LABEL = "example.com/of"


def virtual_ip(number: int, group: str) -> dict[str, Any]:
    text = f"192.0.2.{number}"
    key = {"dialect": "fairlead", "scope": "service", "namespace": "default", "name": text}
    ports = [{"protocol": "TCP", "port": 80, "service": f"default/s{number}"}]
    spec = {"address": text, "group": key, "listeners": ports, "engineGroup": group}
    labels = {GROUP_LABEL: group} if group else {}
    api = {"apiVersion": "fairlead.dev/v1alpha1", "kind": "VirtualIP"}
    return {**api, "metadata": {"name": text, "labels": labels}, "spec": spec}


def group(name: str) -> dict[str, Any]:
    spec = {"nodeSelector": {"matchLabels": {LABEL: name}}}
    api = {"apiVersion": "fairlead.dev/v1alpha1", "kind": "EngineGroup"}
    return {**api, "metadata": {"name": name}, "spec": spec}


def node(name: str, of: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {LABEL: of}}}


class Agent:
    """What an agent knows: batches sifted by its intake. ``lows``: how many VIPs it knew, batch by
    batch."""

    def __init__(self, source: KubeSource) -> None:
        self.scoped = Scoped(source, CONFIG, "one")
        self.world = World(config=CONFIG)
        self.intake = Intake(needed(CONFIG), foreign=lambda: self.scoped.foreign)
        self.known: list[set[str]] = []

    async def run(self) -> None:
        async for batch in self.scoped.batches():
            changes = self.intake.take(batch, self.scoped.health, self.world)
            if self.intake.live:
                self.world = self.world.evolve(changes)
                self.known.append(self.vips)

    @property
    def vips(self) -> set[str]:
        return {one.name.rpartition(".")[2] for one in self.world.every(VirtualIP)}

    async def knows(self, *numbers: int) -> None:
        deadline = monotonic() + PATIENCE
        while self.vips != set(map(str, numbers)):
            assert monotonic() < deadline, (self.vips, self.scoped.foreign)
            await asyncio.sleep(0.02)


@asynccontextmanager
async def agent(client: ApiClient) -> AsyncIterator[Agent]:
    async with KubeSource(client, watches(CONFIG), pace=QUICK) as source:
        made = Agent(source)
        task = asyncio.create_task(made.run())
        try:
            yield made
            if task.done():
                task.result()
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def test_only_the_vips_of_its_groups_and_of_none_are_read(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with ApiClient(_access(plane)) as client:
            for name in ("blue", "red"):
                await client.create(ENGINE_GROUPS, _json(group(name)))
            await client.create(NODES, _json(node("one", "blue")))
            await client.create(NODES, _json(node("two", "red")))
            await client.create(NODES, _json(node("three", "blue")))
            for number, of in enumerate(("blue", "red", "unheard-of", "", "default"), 1):
                await client.create(VIRTUAL_IPS, _json(virtual_ip(number, of)))
            async with agent(client) as made:
                await made.knows(1, 3, 4, 5)
                assert not made.intake.kept
                # into the other group: nothing of its own is missing for a moment
                made.known.clear()
                await client.patch(NODES, "one", _json({"metadata": {"labels": {LABEL: "red"}}}))
                await made.knows(2, 3, 4, 5)
                assert all({"3", "4", "5"} <= one for one in made.known)
                assert not made.intake.kept
                # a VIP changes its group
                moved = {
                    "metadata": {"labels": {GROUP_LABEL: "blue"}},
                    "spec": {"engineGroup": "blue"},
                }
                await client.patch(VIRTUAL_IPS, "192.0.2.2", _json(moved))
                await made.knows(3, 4, 5)
                # a group that is gone is nobody's, so its VIPs are anybody's
                await client.delete(ENGINE_GROUPS, "blue")
                await made.knows(1, 2, 3, 4, 5)
                assert all({"3", "4", "5"} <= one for one in made.known)

    try:
        asyncio.run(scenario())
    finally:
        for kind in (Node, EngineGroup, VirtualIP):
            plane.kubectl("delete", kind.KIND.lower(), "--all", "--ignore-not-found")


def test_too_many_groups_to_name_are_all_read() -> None:
    assert selector(frozenset()) == ""
    assert selector(frozenset({"b", "a"})) == f"{GROUP_LABEL} notin (a,b)"
    assert selector(frozenset(map(str, range(MOST + 1)))) == ""


def _json(item: dict[str, Any]) -> bytes:
    return json.dumps(item).encode()


def _access(plane: ControlPlane) -> Access:
    return kubeconfig_access([plane.kubeconfig])
