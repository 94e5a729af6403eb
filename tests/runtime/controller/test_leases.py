"""AddressLeases on a real API server: what is ordered, what engines say of it, and what follows."""

import asyncio
from typing import Any

from fairlead.lab.kubernetes import ControlPlane

from .cluster import Cluster, cluster, run
from .manifests import Object, service

HOST = "kube-vip.io/loadbalancerHostname"
A, B = "192.0.2.150", "192.0.2.151"


def leased(name: str, **notes: str) -> Object:
    """A Service on 0.0.0.0, of no class."""
    return service(name, cls="", wanted="0.0.0.0", annotations=notes)


async def lease_of(one: Cluster, name: str) -> Any:
    """The AddressLease of a Service, once it is there."""
    found: list[Any] = []

    async def there() -> bool:
        leases = await one.objects("AddressLease")
        found[:] = [o for o in leases if o["spec"]["group"]["name"] == name]
        return len(found) == 1

    await one.eventually(there, f"the lease of {name}")
    return found[0]


async def says(one: Cluster, name: str, **status: str) -> None:
    """An engine says something of a lease."""
    lease = await lease_of(one, name)
    path = one.path("AddressLease", lease["metadata"]["name"]) + "/status"
    fixed = {"server": "192.0.2.1", "engine": "node-1", "address": None, "message": None}
    await one.patch(path, {"status": {**fixed, **status}})


async def shows(one: Cluster, name: str, *addresses: str) -> None:
    """Wait until a Service shows these."""

    async def so() -> bool:
        return (await one.shown()).get(name, ()) == addresses

    await one.eventually(so, f"{name} shows {addresses}")


def test_a_lease_becomes_an_address_moves_with_it_and_goes_with_it(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with cluster(plane) as one:
            await one.create(leased("web", **{HOST: "mydhcp-test"}))
            await one.start()
            spec = (await lease_of(one, "web"))["spec"]
            assert (spec["family"], spec["clientId"], spec["hostname"]) == (
                "IPv4", "mydhcp-test", "mydhcp-test",
            )  # fmt: skip
            await one.reason("web", "WaitingForDHCP")
            await says(one, "web", state="Bound", address=A, clientId="mydhcp-test")
            await shows(one, "web", A)
            assert [o["address"] for o in (await one.virtual_ips()).values()] == [A]
            # renewed: nothing to write
            before = await one.writes()
            await says(one, "web", state="Bound", address=A, renewAt="2030-01-01T00:00:00Z")
            await asyncio.sleep(1.5)
            after = await one.written(before)
            assert {key: n for key, n in after.items() if "lease" not in key[1]} == {}
            # another address, and none
            await says(one, "web", state="Bound", address=B)
            await shows(one, "web", B)
            await says(one, "web", state="Lost", message="DHCP server 192.0.2.1 took it back")
            said = await one.reason("web", "DHCPLeaseLost")
            assert "192.0.2.1 took it back" in said["message"]
            await shows(one, "web")
            assert await one.virtual_ips() == {}
            await says(one, "web", state="Refused", message="DHCP server 192.0.2.1: full")
            await one.reason("web", "DHCPRefused")
            await says(one, "web", state="Bound", address=A)
            await shows(one, "web", A)
            told = {event["reason"] for event in await one.events()}
            assert told == {"WaitingForDHCP", "AddressLeased", "DHCPLeaseLost", "DHCPRefused"}
            await one.delete("Service", "web")

            async def gone() -> bool:
                return not (await one.objects("AddressLease") or await one.virtual_ips())

            await one.eventually(gone, "nothing is left")

    run(scenario())


def test_another_leader_changes_nothing_and_says_nothing_twice(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with cluster(plane) as one:
            await one.create(leased("web"))
            first = await one.start()
            await one.start("c")  # hears of everything, and tells nothing
            await says(one, "web", state="Bound", address=A)
            await shows(one, "web", A)
            await first.crash()
            before = await one.writes()
            events = len(await one.events())
            await one.leader()
            await asyncio.sleep(1.5)
            assert not await one.written(before)
            assert len(await one.events()) == events
            await says(one, "web", state="Bound", address=A, engine="node-2")

            async def taken() -> bool:
                return "AddressLeaseTaken" in {e["reason"] for e in await one.events()}

            await one.eventually(taken, "an Event")

    run(scenario())


def test_what_somebody_else_did_to_a_lease_is_mended(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with cluster(plane) as one:
            await one.create(leased("web"))
            await one.start()
            await says(one, "web", state="Bound", address=A)
            await shows(one, "web", A)
            lease = await lease_of(one, "web")
            name, mac = lease["metadata"]["name"], lease["spec"]["mac"]
            path = one.path("AddressLease", name)
            await one.patch(path, {"spec": {"mac": "02:00:00:00:00:01"}})

            async def mended() -> bool:
                return bool((await lease_of(one, "web"))["spec"]["mac"] == mac)

            await one.eventually(mended, "its own MAC")
            await one.delete("AddressLease", name)
            again = await lease_of(one, "web")  # it is ordered anew, and the address stays
            assert again["metadata"]["name"] == name
            assert (await one.shown())["web"] == (A,)
            await says(one, "web", state="Bound", address=A)
            await asyncio.sleep(0.5)
            assert (await one.shown())["web"] == (A,)

    run(scenario())
