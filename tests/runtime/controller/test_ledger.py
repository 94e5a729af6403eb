"""VirtualIPs are the ledger: no address moves through restarts, leaders, installs and losses."""

from typing import Any

import pytest

from fairlead.lab.kubernetes import ControlPlane
from fairlead.model.config import Config

from .cluster import Cluster, addresses_of, cluster, run
from .manifests import AKO, pool, service, shared

RANGE = "192.0.2.10-192.0.2.39"
BOTH = ("IPv4", "IPv6")
FINALIZER = "service.kubernetes.io/load-balancer-cleanup"


def test_a_restart_writes_nothing_and_moves_nothing(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with cluster(plane, RANGE) as one:
            await variety(one)
            first = await one.start("first")
            await one.settled(9)
            shown, before = await one.shown(), await one.writes()
            await first.stop()
            await one.start("second")
            await one.settled(9)
            assert await one.shown() == shown
            assert not await one.written(before)

    run(scenario())


@pytest.mark.parametrize("clean", [True, False], ids=["stopped", "crashed"])
def test_another_leader_writes_nothing_and_moves_nothing(plane: ControlPlane, clean: bool) -> None:
    async def scenario() -> None:
        async with cluster(plane, RANGE, lease=2.0) as one:
            await variety(one)
            first = await one.start("first")
            await one.settled(9)
            second = await one.start("second")
            await one.until(lambda: second.ready, "it has read everything")
            shown, before = await one.shown(), await one.writes()
            await (first.stop() if clean else first.crash())
            await one.until(lambda: second.leads, "the second leads")
            await one.settled(9)
            assert await one.shown() == shown
            assert not await one.written(before)

    run(scenario())


def test_what_happens_while_nobody_leads_is_made_up_for(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with cluster(plane, RANGE) as one:
            await one.create(*(service(f"s{i}") for i in range(15)), service("gone"))
            first = await one.start("first")
            await one.settled(16)
            shown = await one.shown()
            await first.stop()
            # more than the guard lets go without being asked, but deleted by somebody
            await one.delete("Service", "gone", *(f"s{i}" for i in range(12)))
            await one.create(service("new"))
            await to_cluster_ip(one, "s12")
            await one.start("second")
            await one.settled(3)
            now = await one.shown()
            assert now["s13"] == shown["s13"]
            assert now["s14"] == shown["s14"]
            assert len(await one.virtual_ips()) == 3

    run(scenario())


def test_a_lost_ledger_is_made_anew_from_what_services_show(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with cluster(plane, RANGE, "fd00::10-fd00::39") as one:
            await variety(one)
            await one.create(service("both", families=BOTH))
            # holes, so that what is first free is not what they had
            await one.create(*(service(f"hole{i}") for i in range(3)))
            first = await one.start("first")
            await one.settled(13)
            await one.delete("Service", "hole0", "hole1", "hole2", "s0")
            await one.settled(9)
            shown, ledger = await one.shown(), await one.virtual_ips()
            await first.stop()
            await one.delete("VirtualIP", *ledger)
            await one.start("second")
            await one.settled(9)
            assert await one.shown() == shown
            assert await one.virtual_ips() == ledger

    run(scenario())


def test_a_part_of_the_ledger_is_lost(plane: ControlPlane) -> None:
    """Of a pair of addresses one entry, and one of several groups."""

    async def scenario() -> None:
        async with cluster(plane, RANGE, "fd00::10-fd00::39") as one:
            first = await one.start("first")
            await one.create(service("hole"))
            await one.settled(1)
            await one.create(service("s1"), service("s2"), service("both", families=BOTH))
            await one.settled(4)
            await one.delete("Service", "hole")
            await one.settled(3)
            shown, ledger = await one.shown(), await one.virtual_ips()
            await first.stop()
            lost = [n for n, spec in ledger.items() if spec["address"] in shown["both"]]
            await one.delete("VirtualIP", lost[0], *(n for n in ledger if n in shown["s2"]))
            await one.start("second")
            await one.settled(3)
            assert await one.shown() == shown
            assert await one.virtual_ips() == ledger

    run(scenario())


def test_another_implementations_cluster_is_taken_over_as_it_is(plane: ControlPlane) -> None:
    """It wrote status by updates under its own name, and left its finalizer."""

    async def scenario() -> None:
        async with cluster(plane, RANGE) as one:
            await one.create(*(service(n, cls="") for n in "abc"), service("d"))
            await one.create(service("late", cls=""))
            await one.create(shared("m1", "key"), shared("m2", "key", protocol="UDP"))
            theirs = {"a": "192.0.2.31", "b": "192.0.2.20", "c": "192.0.2.39", "d": "192.0.2.11"}
            theirs |= {"m1": "192.0.2.25", "m2": "192.0.2.25"}
            for name, address in theirs.items():
                await serve_elsewhere(one, name, address)
            await one.start()
            await one.settled(7)
            shown = await one.shown()
            assert {n: shown[n] for n in theirs} == {n: (a,) for n, a in theirs.items()}
            assert shown["late"] == ("192.0.2.10",)
            # deleting one must not wait for a controller that is no more
            await one.delete("Service", "a")

            async def gone() -> bool:
                return await one.get("Service", "a") is None

            await one.eventually(gone, "the Service is gone")
            # one that asks for nothing any more says nothing that is not so, although its status
            # is somebody else's too
            await to_cluster_ip(one, "b")
            await one.settled(5)
            assert not addresses_of(await one.get("Service", "b"))
            # one that has to move moves, likewise
            await one.edit("c", loadBalancerIP="192.0.2.12")

            async def moved() -> bool:
                return (await one.shown()).get("c") == ("192.0.2.12",)

            await one.eventually(moved, "it moved")
            # and one that must not have its address any more shows none
            await one.edit("d", loadBalancerIP="203.0.113.1")
            await one.reason("d", "AddressNotInPool")
            await one.settled(4)
            assert not addresses_of(await one.get("Service", "d"))

    run(scenario())


def test_an_adopted_address_that_no_pool_allows_is_given_up(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with cluster(plane, "192.0.2.10-192.0.2.11") as one:
            await one.create(service("a"), service("b"))
            await serve_elsewhere(one, "a", "203.0.113.1")
            await serve_elsewhere(one, "b", "192.0.2.11")
            await one.start()
            await one.settled(2)
            assert await one.shown() == {"a": ("192.0.2.10",), "b": ("192.0.2.11",)}

    run(scenario())


def test_an_address_is_kept_for_a_return(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with cluster(plane, RANGE, config=Config(release_after=3600)) as one:
            await one.create(service("a"), service("b"), service("c"))
            first = await one.start("first")
            await one.settled(3)
            shown = await one.shown()
            await one.delete("Service", "a", "b")
            await released(one, shown["a"][0])
            await released(one, shown["b"][0])
            await one.create(service("other"), service("b"))
            await one.settled(3)
            assert (await one.shown())["b"] == shown["b"]
            assert (await one.shown())["other"] not in (shown["a"], shown["b"])
            # through a restart, also of who went while nobody led
            await first.stop()
            await one.delete("Service", "c")
            await one.start("second")
            await released(one, shown["c"][0])
            await one.create(service("d"))
            await one.settled(3)
            assert (await one.shown())["d"] not in (shown["a"], shown["c"])
            await one.create(service("a"), service("c"))
            await one.settled(5)
            now = await one.shown()
            assert (now["a"], now["c"]) == (shown["a"], shown["c"])

    run(scenario())


def test_what_is_kept_is_released_in_time(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with cluster(plane, RANGE, config=Config(release_after=2)) as one:
            await one.create(service("a"), service("b"))
            first = await one.start("first")
            await one.settled(2)
            shown = await one.shown()
            await one.delete("Service", "a")
            await released(one, shown["a"][0])
            await first.stop()
            second = await one.start("second")
            await one.until(lambda: second.leads, "the second leads")
            await one.eventually(lambda: is_free(one, shown["a"][0]), "it is released")
            await one.settled(1)

    run(scenario())


def test_a_replica_that_stood_by_expects_nobody_who_is_back(plane: ControlPlane) -> None:
    """It waited for a Service when it led, and another leader saw the Service return."""

    async def scenario() -> None:
        async with cluster(plane, RANGE, config=Config(release_after=3600)) as one:
            await one.create(service("a"), service("b"))
            first = await one.start("first")
            await one.settled(2)
            shown = await one.shown()
            await one.delete("Service", "a")
            await released(one, shown["a"][0])
            second = await one.start("second")
            await one.until(lambda: second.running, "it runs")
            # its Lease is taken away for a moment, as if it had been busy elsewhere
            await hand_over(one, "second")
            await one.until(lambda: second.leads and not first.leads, "the second leads")
            await one.create(service("a"))
            await one.settled(2)
            await second.stop()
            await one.until(lambda: first.leads, "the first leads again")
            await one.settled(2)
            assert await one.shown() == shown

    run(scenario())


def test_two_classes_share_a_pool(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with cluster(plane, RANGE) as one:
            await one.create(service("ours"), service("ako", cls=AKO), service("x", cls="x.io/y"))
            await one.start()
            await one.settled(2)
            assert set(await one.shown()) == {"ours", "ako"}

    run(scenario())


def test_a_pool_that_shrinks_moves_only_what_left_it(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with cluster(plane, "192.0.2.10-192.0.2.15") as one:
            await one.create(*(service(f"s{i}") for i in range(4)))
            await one.start()
            await one.settled(4)
            shown = await one.shown()
            spec = pool("pool", "192.0.2.12-192.0.2.19")["spec"]
            await one.patch(one.path("AddressPool", "pool"), {"spec": spec})
            await one.eventually(lambda: is_free(one, "192.0.2.11"), "192.0.2.11 is nobody's")
            await one.settled(4)
            now = await one.shown()
            stay = {n for n, (a,) in shown.items() if a in ("192.0.2.12", "192.0.2.13")}
            assert len(stay) == 2
            assert {n: now[n] for n in stay} == {n: shown[n] for n in stay}

    run(scenario())


async def variety(one: Cluster) -> None:
    """Nine Services that are served and one that is not."""
    await one.create(*(service(f"s{i}") for i in range(4)))
    await one.create(
        service("static", wanted="192.0.2.30"),
        service("ako", cls=AKO),
        shared("m1", "key"),
        shared("m2", "key", protocol="UDP"),
        shared("m3", "other", wanted="192.0.2.35"),
        service("wrong", wanted="203.0.113.1"),
    )


async def serve_elsewhere(one: Cluster, name: str, address: str) -> None:
    """As a cloud provider's controller leaves a Service."""
    path = one.path("Service", name)
    status = {"loadBalancer": {"ingress": [{"ip": address}]}}
    await one.patch(f"{path}/status?fieldManager=elsewhere", {"status": status})
    await one.patch(f"{path}?fieldManager=elsewhere", {"metadata": {"finalizers": [FINALIZER]}})


async def released(one: Cluster, address: str) -> None:
    """Wait until an address is kept, and served to nobody."""

    async def so() -> bool:
        spec: dict[str, Any] = (await one.virtual_ips()).get(address, {})
        return bool(spec.get("released")) and bool(spec.get("suspended"))

    await one.eventually(so, f"{address} is kept")


async def is_free(one: Cluster, address: str) -> bool:
    return address not in await one.virtual_ips()


async def to_cluster_ip(one: Cluster, name: str) -> None:
    await one.edit(
        name, type="ClusterIP", loadBalancerClass=None, allocateLoadBalancerNodePorts=None
    )


async def hand_over(one: Cluster, name: str) -> None:
    """Write another holder into the Lease, and give it up for that one."""
    path = f"/apis/coordination.k8s.io/v1/namespaces/{one.namespace}/leases/fairlead-controller"
    await one.patch(path, {"spec": {"holderIdentity": name}})
