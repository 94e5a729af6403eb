"""An API server that has lost its memory: what it no longer names was not deleted by anybody."""

import asyncio
import shutil

import pytest

from fairlead.lab.kubernetes import ControlPlane
from fairlead.model.names import Ref
from fairlead.sources.kube import ApiClient
from fairlead.sources.kube.resources import NAMESPACES, SERVICES, watch

from .follow import Writer, access, encoded, following, run, through_proxy


@pytest.mark.parametrize("ahead", [False, True], ids=["revisions-behind", "revisions-ahead"])
def test_an_empty_etcd(ahead: bool) -> None:
    """Its revisions begin anew; with ``ahead`` they have passed the old ones before we look, and
    the uid of the cluster tells."""

    async def scenario(plane: ControlPlane) -> None:
        async with ApiClient(access(plane)) as direct, through_proxy(plane) as (proxy, client):
            writer = Writer(direct, "default")
            await writer.create("a", "b", "c")
            if not ahead:
                for port in range(1, 400):
                    await writer.edit("a", port)
            async with following(client, watch(SERVICES, namespace="default")) as seen:
                await seen.synced()
                await seen.until(lambda: "kubernetes" in seen.ports("default"))
                before = seen.ports("default")
                proxy.refuse()
                await asyncio.to_thread(lose_everything, plane)
                for name in ("x", "y"):
                    await writer.create(name)
                if ahead:
                    for port in range(1, 400):
                        await writer.edit("x", port)
                assert seen.ports("default") == before
                proxy.refuse(False)
                await seen.until(lambda: set(seen.ports("default")) == {"kubernetes", "x", "y"})
                assert {Ref("Service", "default", name) for name in "abc"} <= set(seen.gone)
                assert not seen.explicit
                await writer.delete("x")
                await seen.until(lambda: Ref("Service", "default", "x") in seen.explicit)

    with ControlPlane(controllers=()) as plane:
        run(scenario(plane))


def lose_everything(plane: ControlPlane) -> None:
    """Start again with an empty etcd."""
    for program in ("kube-apiserver", "etcd"):
        plane.kill(program)
    shutil.rmtree(plane.directory / "etcd")
    for program in ("etcd", "kube-apiserver"):
        plane.start(program)
    plane.wait_ready()


def test_objects_deleted_while_nobody_looked_are_deleted(plane: ControlPlane, space: str) -> None:
    """The same without a loss: even all of them at once, and their namespace's neighbours too."""

    async def scenario() -> None:
        async with ApiClient(access(plane)) as direct, through_proxy(plane) as (proxy, client):
            writer = Writer(direct, space)
            names = [f"s{n}" for n in range(30)]
            await writer.create(*names)
            async with following(client, watch(SERVICES, namespace=space)) as seen:
                await seen.synced()
                proxy.refuse()
                await writer.delete(*names)
                body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"{space}-x"}}
                await direct.create(NAMESPACES, encoded(body))
                await asyncio.to_thread(plane.kill, "kube-apiserver")
                await asyncio.to_thread(plane.start, "kube-apiserver")
                await asyncio.to_thread(plane.wait_ready)
                proxy.refuse(False)
                await seen.until(lambda: not seen.ports(space))
                assert seen.explicit == {Ref("Service", space, name) for name in names}
                assert proxy.count("sendInitialEvents") == 2

    run(scenario())
