"""Somebody else writes between our request and its answer, or what we have read is old."""

import asyncio
from collections.abc import Awaitable, Callable

from fairlead.lab.kubernetes import ControlPlane
from fairlead.runtime.controller.api import JSON, Api
from tests.sources.kube.proxy import Proxy

from .cluster import Cluster, cluster, run
from .load import proxied
from .manifests import reservation, service

RANGE = "192.0.2.10-192.0.2.39"
STATUS = "/status?"
FINALIZER = "service.kubernetes.io/load-balancer-cleanup"
Deed = Callable[[], Awaitable[None]]


class Meddler:
    """Goes with every request, and does something around the first that it is told to look for."""

    def __init__(
        self, method: str, part: str, *, before: Deed | None = None, after: Deed | None = None
    ) -> None:
        self.method, self.part = method, part
        self.before, self.after = before, after
        self.armed, self.met = False, 0

    def __call__(self, api: Api) -> "Meddler":
        self._api = api
        return self

    async def send(
        self, method: str, path: str, body: bytes | None = None, *, content_type: str = JSON
    ) -> bytes:
        found = self.armed and method == self.method and self.part in path
        self.armed = self.armed and not found
        self.met += found
        if found and self.before:
            await self.before()
        try:
            return await self._api.send(method, path, body, content_type=content_type)
        finally:
            if found and self.after:
                await self.after()


async def late(proxy: Proxy, deed: Deed) -> None:
    """Do it, and have the watch tell of it only after what we do next."""
    proxy.hold()
    await deed()
    asyncio.get_running_loop().call_later(0.3, proxy.release)


async def gone(one: Cluster, kind: str, name: str) -> None:
    """Delete it, and give the watch time to tell."""
    await one.delete(kind, name)
    await asyncio.sleep(0.3)


def test_an_entry_is_deleted_before_the_answer_to_its_creation(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with cluster(plane, RANGE) as one:
            meddler = Meddler(
                "POST", "/virtualips", after=lambda: gone(one, "VirtualIP", "192.0.2.10")
            )
            await one.start(around=meddler)
            await one.settled(0)
            meddler.armed = True
            await one.create(service("web"))
            await one.settled(1)
            assert meddler.met == 1
            assert list(await one.virtual_ips()) == ["192.0.2.10"]

    run(scenario())


def test_an_edit_between_reading_and_writing_is_not_lost(plane: ControlPlane) -> None:
    """The conflict makes us read the Service again; what is read then is not for the planner, who
    must still hear of the edit."""

    async def scenario() -> None:
        async with proxied(plane) as (proxy, way), cluster(plane, RANGE) as one:
            moved = {"loadBalancerIP": "192.0.2.30"}
            meddler = Meddler(
                "PATCH", STATUS, before=lambda: late(proxy, lambda: one.edit("web", **moved))
            )
            await one.start(around=meddler, reading=lambda: way)
            await one.settled(0)
            meddler.armed = True
            await one.create(service("web"))

            async def so() -> bool:
                return await one.shown() == {"web": ("192.0.2.30",)}

            await one.eventually(so, "the edit is heard of")
            await one.settled(1)
            assert meddler.met == 1

    run(scenario())


def test_every_status_meets_a_conflict(plane: ControlPlane) -> None:
    """After a few it is written whatever the resourceVersion; the edits still count."""

    async def scenario() -> None:
        async with cluster(plane, RANGE) as one:
            edits = 0

            async def edit() -> None:
                nonlocal edits
                edits += 1
                meddler.armed = edits < 20
                await one.edit("web", ports=[{"port": 1000 + edits, "protocol": "TCP"}])

            meddler = Meddler("PATCH", STATUS, before=edit)
            await one.start(around=meddler)
            await one.settled(0)
            meddler.armed = True
            await one.create(service("web"))
            await one.settled(1)
            (spec,) = (await one.virtual_ips()).values()
            assert spec["listeners"][0]["port"] == 1000 + edits
            assert 3 <= edits < 20

    run(scenario())


def test_a_service_is_deleted_before_the_answer_to_its_status(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with cluster(plane, RANGE) as one:
            meddler = Meddler("PATCH", STATUS, after=lambda: gone(one, "Service", "web"))
            replica = await one.start(around=meddler)
            await one.settled(0)
            meddler.armed = True
            held = replica.held()
            await one.create(service("web"))
            await one.until(lambda: meddler.met, "its status was written")
            await one.settled(0)
            assert not await one.virtual_ips()
            assert replica.held() == held  # no ghost is remembered
            await one.create(service("web"))
            await one.settled(1)

    run(scenario())


def test_a_service_is_made_anew_before_its_status_is_written(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with cluster(plane, RANGE) as one:

            async def anew() -> None:
                await one.delete("Service", "web")
                await one.create(service("web", port=443, wanted="192.0.2.20"))

            meddler = Meddler("PATCH", STATUS, before=anew)
            await one.start(around=meddler)
            await one.settled(0)
            meddler.armed = True
            await one.create(service("web"))

            async def so() -> bool:
                return await one.shown() == {"web": ("192.0.2.20",)}

            await one.eventually(so, "the new one is served as it asks")
            await one.settled(1)

    run(scenario())


def test_a_service_begins_to_end_before_its_status_is_written(plane: ControlPlane) -> None:
    """It has a finalizer that only we take away."""

    async def scenario() -> None:
        async with proxied(plane) as (proxy, way), cluster(plane, RANGE) as one:
            await one.create(service("web"))
            meddler = Meddler(
                "PATCH", STATUS, before=lambda: late(proxy, lambda: one.delete("Service", "web"))
            )
            await one.start(around=meddler, reading=lambda: way)
            await one.settled(1)
            path = one.path("Service", "web")
            await one.patch(path, {"metadata": {"finalizers": [FINALIZER]}})
            await one.settled(1)
            meddler.armed = True
            await one.edit("web", loadBalancerIP="192.0.2.22")

            async def so() -> bool:
                return await one.get("Service", "web") is None

            await one.eventually(so, "it has gone")
            assert meddler.met == 1
            await one.settled(0)
            assert not await one.virtual_ips()

    run(scenario())


def test_a_new_leader_that_has_read_nothing_for_a_while_releases_nothing(
    plane: ControlPlane,
) -> None:
    """The ledger knows of Services that its watch has not told of yet."""

    async def scenario() -> None:
        async with proxied(plane) as (proxy, way), cluster(plane, RANGE) as one:
            await one.create(service("old"), service("older"))
            first = await one.start("first")
            second = await one.start("second", reading=lambda: way)
            await one.until(lambda: second.ready, "the second has read everything")
            await one.settled(2)
            proxy.hold()
            await one.delete("Service", "older")  # a hole, so that first free is another address
            await one.create(*(service(f"new{i}") for i in range(4)))
            await one.settled(5)
            shown, ledger = await one.shown(), await one.virtual_ips()
            await first.stop()
            await one.until(lambda: second.terms, "the second may lead")
            before = await one.writes()
            await asyncio.sleep(0.7)
            assert not second.leads  # it knows that it knows too little
            assert not await one.written(before)
            proxy.release()
            await one.settled(5)
            assert await one.shown() == shown
            assert await one.virtual_ips() == ledger
            assert not await one.written(before)

    run(scenario())


def test_an_address_that_two_writers_want_is_nobodys_by_chance(plane: ControlPlane) -> None:
    """Somebody reserves an address by hand just before its entry is made."""

    async def scenario() -> None:
        async with cluster(plane, RANGE) as one:
            meddler = Meddler(
                "POST", "/virtualips", before=lambda: one.create(reservation("192.0.2.10"))
            )
            await one.start(around=meddler)
            await one.settled(0)
            meddler.armed = True
            await one.create(service("web"))
            await one.settled(1)
            assert await one.shown() == {"web": ("192.0.2.11",)}
            assert (await one.virtual_ips())["192.0.2.10"]["reserve"] is True

    run(scenario())
