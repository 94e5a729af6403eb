"""What breaks around a controller: the API server, etcd, connections, other controllers.

After each: no address lost or doubled, nothing stale, and nothing remembered that has gone. Those
who were served before, and whom nobody touched, are not even written.
"""

import asyncio
import gc
import warnings
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any

import pytest

from fairlead.lab.kubernetes import ControlPlane
from fairlead.sources.kube.resources import ADDRESS_POOLS, VIRTUAL_IPS
from tests.sources.kube.follow import apply_definition, remove_definition
from tests.sources.kube.proxy import answer, status_answer

from .cluster import Cluster, cluster, install, run
from .load import load, proxied, versions
from .manifests import pool, service
from .replica import Replica

RANGE = "10.20.0.0/20"
KEPT = [f"kept{i}" for i in range(12)]


@pytest.fixture(autouse=True)
def leftovers() -> None:
    """TLS connections that an API server which was killed never said goodbye to end with their
    loop, and are collected before the next test starts, which has nothing to do with them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


async def served(one: Cluster) -> None:
    await one.create(*map(service, KEPT))
    await one.start("a")
    await one.start("b")
    await one.settled(len(KEPT))


async def unharmed(one: Cluster, before: dict[str, str], *, rest: int | None = None) -> None:
    """Everything fits together again, and who was not touched was not written."""
    await one.settled(rest, within=60)
    assert await versions(one, KEPT) == before
    services = len((await one.send("GET", "/api/v1/services"))["items"])
    held = one.leaders[0].held()
    assert held["services"] == services
    assert held["virtual ips"] == len(await one.objects("VirtualIP"))
    assert held["work"] == held["being written"] == held["blocked"] == 0


async def breaks(plane: ControlPlane, fault: Callable[[Cluster], Awaitable[None]]) -> None:
    """Served, then a fault under load, then unharmed."""
    async with cluster(plane, RANGE) as one:
        await served(one)
        before = await versions(one, KEPT)
        async with load(one):
            await asyncio.sleep(0.5)
            await fault(one)
        await unharmed(one, before)


@pytest.mark.parametrize("times", [1, pytest.param(5, marks=pytest.mark.slow)])
def test_the_api_server_is_killed_and_restarted(frail: ControlPlane, times: int) -> None:
    async def fault(one: Cluster) -> None:
        for number in range(times):
            frail.kill("kube-apiserver")
            await asyncio.sleep(number % 3)
            frail.start("kube-apiserver")
            await asyncio.to_thread(frail.wait_ready)
            await asyncio.sleep(0.5)

    run(breaks(frail, fault))


@pytest.mark.parametrize(
    "seconds", [pytest.param(60, marks=[pytest.mark.slow, pytest.mark.timeout(240)]), 4]
)
def test_etcd_stands_still(frail: ControlPlane, seconds: int) -> None:
    async def fault(one: Cluster) -> None:
        frail.pause("etcd")
        try:
            await asyncio.sleep(seconds)
            assert not one.leaders  # nobody pretends to lead
        finally:
            frail.resume("etcd")
        await asyncio.to_thread(frail.wait_ready)

    run(breaks(frail, fault), timeout=200)


@pytest.mark.slow
def test_etcd_is_killed_and_restarted(frail: ControlPlane) -> None:
    async def fault(one: Cluster) -> None:
        frail.kill("etcd")
        await asyncio.sleep(2.5)
        frail.start("etcd")
        await asyncio.to_thread(frail.wait_ready)
        await asyncio.sleep(0.5)

    run(breaks(frail, fault))


def test_watches_are_cut_in_the_middle_of_an_event(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with proxied(plane) as (proxy, way), cluster(plane, RANGE, access=lambda: way) as one:
            await served(one)
            before = await versions(one, KEPT)
            async with load(one):
                for number in range(8):
                    proxy.cut_at = (b'"loadBalancerClass"', b'"suspended"', b'"spec"')[number % 3]
                    await asyncio.sleep(0.25)
                    if number % 4 == 3:
                        proxy.cut()
            assert proxy.cuts > 5
            await unharmed(one, before)

    run(scenario())


def test_a_storm_of_errors(plane: ControlPlane) -> None:
    """Of every three requests two fail, one way or another, and then all do, for a while."""

    async def scenario() -> None:
        async with (
            proxied(plane) as (proxy, way),
            cluster(plane, RANGE, access=lambda: way) as one,
        ):
            await served(one)
            before = await versions(one, KEPT)
            count, every = 0, 3
            refusals = [
                status_answer(429, "TooManyRequests", "a storm", Retry_After="1"),
                status_answer(500, "InternalError", "a storm"),
                status_answer(503, "ServiceUnavailable", "a storm"),
                status_answer(429, "TooManyRequests", "a storm"),
            ]

            def storm(method: str, path: str) -> bytes | None:
                nonlocal count
                count += 1
                return refusals[count // 2 % 4] if count % every else None

            async with load(one):
                proxy.answers = storm
                await asyncio.sleep(2.0)
                every, since = 10**9, len(proxy.requests)
                await asyncio.sleep(1.5)
                hammered = len(proxy.requests) - since
                proxy.answers = None
            # two replicas, with eleven watches each: nobody makes it worse
            assert hammered < 300
            await unharmed(one, before)

    run(scenario())


def test_answers_that_are_no_answers(plane: ControlPlane) -> None:
    """A proxy in the way speaks for the API server: its errors are pages, and some answers stop in
    the middle."""

    async def scenario() -> None:
        async with proxied(plane) as (proxy, way), cluster(plane, RANGE, access=lambda: way) as one:
            await served(one)
            before = await versions(one, KEPT)
            count = 0
            page = answer(502, b"<html>Bad gateway</html>", Content_Type="text/html")
            half = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + b'{"kind":'

            def odd(method: str, path: str) -> bytes | None:
                nonlocal count
                count += 1
                return (page, None, half, None, None)[count % 5]

            async with load(one):
                proxy.answers = odd
                for _ in range(6):
                    await asyncio.sleep(0.25)
                    proxy.cut()  # what stopped in the middle
                proxy.answers = None
            await unharmed(one, before)

    run(scenario())


def test_definitions_are_removed_and_installed_again(frail: ControlPlane) -> None:
    """With so few addresses that the guard would let them go."""

    async def scenario() -> None:
        async with cluster(frail, "10.20.0.0/24") as one:
            await one.create(*(service(f"s{i}") for i in range(5)))
            await one.start("a")
            await one.settled(5)
            await one.delete("Service", "s0")  # a hole: first free is not what they have
            await one.settled(4)
            shown = await one.shown()
            ledger = {n: spec["group"] for n, spec in (await one.virtual_ips()).items()}
            for resource in (VIRTUAL_IPS, ADDRESS_POOLS):
                await asyncio.to_thread(remove_definition, frail, resource)
            await asyncio.sleep(0.5)
            assert await one.shown() == shown
            await asyncio.to_thread(install, frail)
            await asyncio.sleep(0.5)  # the definitions are there, the pool is not
            assert await one.shown() == shown
            await one.create(pool("pool", "10.20.0.0/24"))

            async def same() -> bool:
                found = {n: spec["group"] for n, spec in (await one.virtual_ips()).items()}
                return found == ledger

            await one.eventually(same, "the ledger is as it was")
            await one.settled(4)
            assert await one.shown() == shown
            # and the pool can be deleted for good, by somebody who means it
            await one.delete("AddressPool", "pool")
            await one.settled(0)
            assert not await one.virtual_ips()

    run(scenario())


def test_an_entry_that_cannot_be_read_is_put_right(frail: ControlPlane) -> None:
    """Somebody loosened the schema. One that bears no address of ours is left alone."""

    async def scenario() -> None:
        async with cluster(frail, "10.20.0.0/24") as one:
            await one.create(*(service(f"s{i}") for i in range(3)))
            first = await one.start("first")
            await one.settled(3)
            shown, ledger = await one.shown(), await one.virtual_ips()
            await first.stop()
            await asyncio.to_thread(apply_definition, frail, VIRTUAL_IPS)
            try:
                await spoil(one, shown["s1"][0])
                odd = {"metadata": {"name": "odd"}, "spec": {"address": ["?"]}}
                kind = {"apiVersion": VIRTUAL_IPS.api_version, "kind": VIRTUAL_IPS.kind}
                await one.send("POST", one.path("VirtualIP"), kind | odd)
                await one.start("second")
                await one.eventually(lambda: entry_is(one, shown["s1"][0], ledger), "it is right")
                await spoil(one, shown["s2"][0])
                await one.eventually(lambda: entry_is(one, shown["s2"][0], ledger), "it is right")
                assert await one.shown() == shown
                assert "odd" in await one.virtual_ips()
                await one.delete("VirtualIP", "odd")
                await one.settled(3)
            finally:
                await asyncio.to_thread(install, frail)

    run(scenario())


async def spoil(one: Cluster, name: str) -> None:
    spec = {"address": {"is": "none"}, "group": 7, "listeners": "none"}
    await one.patch(one.path("VirtualIP", name), {"spec": spec})


async def entry_is(one: Cluster, name: str, ledger: dict[str, Any]) -> bool:
    return bool((await one.virtual_ips()).get(name) == ledger[name])


def test_another_controller_keeps_overwriting_the_status(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with cluster(plane, RANGE) as one:
            await one.create(service("fought"), service("other"))
            await one.start()
            await one.settled(2)
            path = one.path("Service", "fought") + "/status?fieldManager=rival"
            theirs = {"status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.9"}]}}}
            before, until, rounds = await one.writes(), monotonic() + 3, 0
            while monotonic() < until:
                if (await one.shown())["fought"] != ("203.0.113.9",):
                    await one.patch(path, theirs)
                    rounds += 1
                await asyncio.sleep(0.01)
            ours = (await one.written(before))["APPLY", "services/status"]
            assert 3 <= ours <= 8, (ours, rounds)
            # nobody else waits for it, and when the other one stops it is put right
            await one.create(service("new"))
            await one.address("new", within=2)
            await one.settled(3)
            assert (await one.shown())["fought"] != ("203.0.113.9",)

    run(scenario())


def test_a_service_is_edited_a_hundred_times_a_second(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with cluster(plane, "192.0.2.10-192.0.2.19") as one:
            await one.create(service("busy"), service("calm"))
            await one.start()
            await one.settled(2)
            shown, before = await one.shown(), await one.writes()
            edits, port, until = 0, 0, monotonic() + 2.0
            while monotonic() < until:
                begun = monotonic()
                port = 1000 + edits
                # every seventh edit asks for what it cannot have
                wrong = "203.0.113.1" if edits % 7 == 6 else None
                ports = [{"port": port, "protocol": "TCP"}]
                await one.edit("busy", ports=ports, loadBalancerIP=wrong)
                edits += 1
                await asyncio.sleep(max(0.0, 0.01 - (monotonic() - begun)))
            await one.edit("busy", ports=[{"port": port, "protocol": "TCP"}], loadBalancerIP=None)
            await one.settled(2)
            assert await one.shown() == shown
            (spec,) = [s for n, s in (await one.virtual_ips()).items() if n in shown["busy"]]
            assert spec["listeners"][0]["port"] == port
            made = await one.written(before)
            assert made["PUT", "virtualips"] <= edits + 1
            # a conflict costs another look, and an edit at most two statuses
            assert made["APPLY", "services/status"] <= edits
            assert made["DELETE", "virtualips"] == made["POST", "virtualips"] == 0
            assert edits > 20
            (replica,) = one.leaders
            assert not replica.failures

    run(scenario())


@pytest.mark.parametrize(
    "count", [pytest.param(10_000, marks=[pytest.mark.slow, pytest.mark.timeout(1600)]), 200]
)
def test_everything_is_deleted_at_once(plane: ControlPlane, count: int) -> None:
    async def scenario() -> None:
        async with cluster(plane, "10.20.0.0/16") as one:
            names = [f"s{i}" for i in range(count)]
            await one.create(*map(service, names))
            leader = await one.start("a")
            await one.start("b")
            await one.settled(count, within=600)
            before = await one.writes()
            await one.delete("Service", *names)
            for replica in one.replicas.values():
                await one.until(lambda r=replica: emptied(r), "nothing is left", 600, every=0.1)  # type: ignore[misc]
            await one.settled(0)
            assert not await one.virtual_ips()
            made = await one.written(before)
            assert made["DELETE", "virtualips"] == count
            assert not made["APPLY", "services/status"]
            assert not any(leader.refusals)
            await one.create(service("again"))
            await one.settled(1)

    run(scenario(), timeout=1500)


def emptied(replica: Replica) -> bool:
    held = replica.held()
    gone = held["virtual ips"] == held["groups"] == held["awaited"] == 0
    return gone and held["services"] == 1  # the API server's own


class Fuse:
    """Lets so many writes through, and then none: the process is dead, and knows nothing of the
    last answer if that was ``deaf``."""

    def __init__(self, writes: int, *, deaf: bool) -> None:
        self.left, self.deaf = writes, deaf
        self.blown = asyncio.Event()

    def __call__(self, api: object) -> "Fuse":
        self._api = api
        return self

    async def send(self, method: str, path: str, body: bytes | None = None, **more: str) -> bytes:
        if method == "GET" or "/leases" in path:
            return await self._api.send(method, path, body, **more)  # type: ignore[attr-defined, no-any-return]
        self.left -= 1
        if self.left < 0 or self.blown.is_set():
            self.blown.set()
            await asyncio.sleep(3600)
        done: bytes = await self._api.send(method, path, body, **more)  # type: ignore[attr-defined]
        if self.deaf and self.left == 0:
            self.blown.set()
            await asyncio.sleep(3600)
        return done


@pytest.mark.parametrize("deaf", [False, True], ids=["before-a-write", "after-a-write"])
def test_the_leader_dies_between_any_two_writes(plane: ControlPlane, deaf: bool) -> None:
    """Between VirtualIP and status, between the status of two members, before the old address of
    one that moves is let go of, ..."""

    async def scenario() -> None:
        async with cluster(plane, "192.0.2.10-192.0.2.19") as one:
            await one.create(service("moves", wanted="192.0.2.10"), service("goes"))
            first = await one.start("first")
            await one.settled(2)
            await first.stop()
            del one.replicas["first"]
            # all at once: one that comes, one that moves, one that goes
            await one.create(service("comes"), service("wrong", wanted="203.0.113.1"))
            await one.edit("moves", loadBalancerIP="192.0.2.15")
            await one.delete("Service", "goes")
            lease = (
                f"/apis/coordination.k8s.io/v1/namespaces/{one.namespace}"
                "/leases/fairlead-controller"
            )
            for number in range(1, 12):
                fuse = Fuse(number % 3 + deaf, deaf=deaf)
                name = f"r{number}"
                replica = await one.start(name, workers=2, around=fuse)
                await one.leader()

                def ended(replica: object = replica, fuse: Fuse = fuse) -> bool:
                    return fuse.blown.is_set() or not len(replica.controller.work)  # type: ignore[attr-defined]

                await one.until(ended, "it is dead, or done")
                await replica.crash()
                del one.replicas[name]
                await one.send("DELETE", lease)
                await check_addresses(one)
            await one.start("last")
            await one.settled(2)
            shown = await one.shown()
            assert shown["moves"] == ("192.0.2.15",)
            assert set(shown) == {"moves", "comes"}
            assert len(await one.virtual_ips()) == 2
            assert len(await one.events()) == 1

    run(scenario())


async def check_addresses(one: Cluster) -> None:
    """At any moment: nobody shows what another one has in the ledger."""
    ledger = {s["address"]: s for s in (await one.virtual_ips()).values()}
    for name, addresses in (await one.shown()).items():
        for address in addresses:
            members = ledger.get(address, {}).get("members", [])
            assert not members or f"Service/{one.namespace}/{name}" in members
