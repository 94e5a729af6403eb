"""What the controller makes of ports on gateways that agents report."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fairlead.lab.kubernetes import ControlPlane
from fairlead.model.config import Config
from fairlead.sources.kube import APPLY

from .cluster import VIRTUAL_IPS, Cluster, cluster, run
from .manifests import service

ENGINES = "/apis/fairlead.dev/v1alpha1/engines"
VIP, OUTSIDE = "192.0.2.77", "80.81.90.2"
CONFIG = Config(enable_upnp=True)
NOTES = {"kube-vip.io/forwardUPNP": "true"}
CLASS = "kube-vip.io/kube-vip-class"


def web(**options: Any) -> Any:
    options = {"cls": CLASS, "wanted": VIP, "annotations": NOTES, **options}
    return service("web", port=32380, **options)


async def report(one: Cluster, engine: str, *, holds: bool = True, **port: str) -> None:
    """What the agent of an engine writes; ``port``: of its one port on the gateway."""
    row = {
        "service": f"{one.namespace}/web",
        "protocol": "TCP",
        "port": 32380,
        "address": VIP,
        **port,
    }
    spec: dict[str, Any] = {"holds": [VIP] if holds else [], "rightful": True}
    if port:
        spec["forwards"] = [row]
    body = {
        "apiVersion": "fairlead.dev/v1alpha1",
        "kind": "Engine",
        "metadata": {"name": engine},
        "spec": spec,
    }
    await one.send(
        "PATCH", f"{ENGINES}/{engine}?fieldManager=agent&force=true", body, content_type=APPLY
    )


@asynccontextmanager
async def site(plane: ControlPlane) -> AsyncIterator[Cluster]:
    async with cluster(plane, "192.0.2.0/24", config=CONFIG) as one:
        try:
            yield one
        finally:
            await one.send("DELETE", ENGINES)


async def shown(one: Cluster) -> list[tuple[str, str]]:
    """The addresses of the Service with their ipMode."""
    (found,) = await one.objects("Service")
    entries = found["status"]["loadBalancer"].get("ingress", ())
    return [(entry["ip"], entry["ipMode"]) for entry in entries]


async def shows(one: Cluster, *addresses: tuple[str, str]) -> None:
    async def there() -> bool:
        return await shown(one) == [*addresses]

    await one.eventually(there, f"the status shows {addresses}")


INSIDE, BEYOND = (VIP, "VIP"), (OUTSIDE, "Proxy")


def test_the_gateways_address_is_shown_while_the_port_is_open(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with site(plane) as one:
            await one.create(web())
            await one.start()
            await shows(one, INSIDE)
            (vip,) = await one.objects("VirtualIP")
            assert vip["spec"]["listeners"][0]["forward"] == 3600
            await report(one, "n1", external=OUTSIDE)
            await shows(one, INSIDE, BEYOND)
            await one.idle()
            writes = await one.writes()
            await report(one, "n2", external=OUTSIDE)  # it moves: the same port, another engine
            await report(one, "n1", holds=False)
            await asyncio.sleep(1.0)
            assert await shown(one) == [INSIDE, BEYOND]
            assert {r for _, r in await one.written(writes)} <= {"engines"}
            await report(one, "n2")
            await shows(one, INSIDE)
            reasons = sorted(event["reason"] for event in await one.events())
            assert reasons == ["PortForwardEnded", "PortForwarded"]

    run(scenario())


def test_a_trouble_is_an_event_and_told_once(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with site(plane) as one:
            await one.create(web())
            await one.start()
            await shows(one, INSIDE)
            why = "TCP port 32380 of gateway 192.0.2.1 leads to 192.0.2.99 port 80"
            await report(one, "n1", reason="PortForwardConflict", message=why)

            async def told() -> bool:
                return bool(await one.events())

            await one.eventually(told, "an Event")
            assert await shown(one) == [INSIDE]
            (event,) = await one.events()
            assert (event["reason"], event["type"]) == ("PortForwardConflict", "Warning")
            replica = await one.idle()
            await replica.stop()
            writes = await one.writes()
            await one.start("b")
            await one.idle()
            assert not await one.written(writes)  # the next leader has nothing to say
            assert len(await one.events()) == 1

    run(scenario())


def test_what_a_dead_engine_said_last_does_not_open_a_port_that_nobody_wants(
    plane: ControlPlane,
) -> None:
    async def scenario() -> None:
        async with site(plane) as one:
            await one.create(web())
            await one.start()
            await report(one, "n1", external=OUTSIDE)
            await shows(one, INSIDE, BEYOND)
            path = f"/api/v1/namespaces/{one.namespace}/services/web"
            await one.patch(path, {"metadata": {"annotations": {"kube-vip.io/forwardUPNP": None}}})
            await shows(one, INSIDE)

    run(scenario())


def test_the_gateways_address_is_never_adopted(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with site(plane) as one:
            await one.create(web(wanted=""))
            replica = await one.start()

            async def addressed() -> bool:
                return bool(await shown(one))

            await one.eventually(addressed, "an address")
            ((address, _),) = await shown(one)
            beyond = "192.0.2.200"  # which lies in the pool
            await report(one, "n1", address=address, external=beyond)
            await shows(one, (address, "VIP"), (beyond, "Proxy"))
            await replica.stop()
            await one.send("DELETE", VIRTUAL_IPS)  # the ledger is lost
            await one.start("b")
            await one.idle()
            vips = await one.objects("VirtualIP")
            assert [vip["spec"]["address"] for vip in vips] == [address]
            assert await shown(one) == [(address, "VIP"), (beyond, "Proxy")]

    run(scenario())
