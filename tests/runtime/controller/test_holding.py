"""What the controller makes of what agents report: homes without failback, and vipHost."""

import asyncio
import json
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from fairlead.lab.kubernetes import ControlPlane
from fairlead.model.config import Config
from fairlead.publish.kube.hosts import HOST, OURS
from fairlead.runtime.agent.holding import Holding, body_of
from fairlead.sources.kube import APPLY

from .cluster import Cluster, cluster, run
from .manifests import service

ENGINES = ("n1", "n2", "n3")
FAIRLEAD = "/apis/fairlead.dev/v1alpha1"
NODES = "/api/v1/nodes"
WITH_HOST = Config(vip_host=True)


async def disputes(one: Cluster) -> list[tuple[str, str]]:
    """The Services that were warned of a rival, and how."""
    found = [e for e in await one.events() if e["reason"] == "AddressDisputed"]
    assert all(event["type"] == "Warning" for event in found)
    return [(event["involvedObject"]["name"], event["message"]) for event in found]


async def report(
    one: Cluster,
    engine: str,
    holds: Iterable[str],
    side: Iterable[str] = (),
    rivals: Iterable[str] = (),
) -> None:
    """What the agent of an engine writes."""
    spec = {"holds": sorted(holds), "side": sorted(side or ENGINES), "rightful": True}
    spec["rivals"] = sorted(rivals)
    body = {
        "apiVersion": "fairlead.dev/v1alpha1",
        "kind": "Engine",
        "metadata": {"name": engine},
        "spec": spec,
    }
    path = f"{FAIRLEAD}/engines/{engine}?fieldManager=agent&force=true"
    await one.send("PATCH", path, body, content_type=APPLY)


@asynccontextmanager
async def engines(plane: ControlPlane, **options: Any) -> AsyncIterator[Cluster]:
    """Three engines of one group, which has these options."""
    config = options.pop("config", Config())
    async with cluster(plane, "192.0.2.0/24", config=config) as one:
        group = {"metadata": {"name": "default"}, "kind": "EngineGroup", "spec": options}
        for name in ENGINES:
            await one.send("POST", NODES, {"metadata": {"name": name}})
        await one.send(
            "POST", f"{FAIRLEAD}/enginegroups", {**group, "apiVersion": "fairlead.dev/v1alpha1"}
        )
        try:
            yield one
        finally:
            for path in (NODES, f"{FAIRLEAD}/engines", f"{FAIRLEAD}/enginegroups"):
                await one.send("DELETE", path)


async def homes(one: Cluster) -> dict[str, list[str]]:
    return {name: spec["home"] for name, spec in (await one.virtual_ips()).items()}


async def all_at_home(one: Cluster) -> dict[str, set[str]]:
    """Every engine reports that it has what it should; engine -> addresses."""
    found: dict[str, set[str]] = {name: set() for name in ENGINES}
    for address, home in (await homes(one)).items():
        found[home[0]].add(address)
    for engine, held in found.items():
        await report(one, engine, held)
    return found


async def take_over(one: Cluster, held: dict[str, set[str]], lost: str) -> dict[str, str]:
    """An engine dies, and the others report what they took; address -> who took it."""
    left = sorted(set(ENGINES) - {lost})
    takers = {address: left[n % 2] for n, address in enumerate(sorted(held[lost]))}
    for engine in left:
        mine = held[engine] | {a for a, taker in takers.items() if taker == engine}
        await report(one, engine, mine, side=left)
    return takers


def test_a_foreign_host_that_uses_a_vip_is_an_event_on_its_services(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with engines(plane) as one:
            await one.start()
            await one.create(service("web"), service("other"))
            await one.settled(2)
            address = await one.address("web")
            for rivals in ([f"{address} 02:00:00:00:00:99 eth0"], [], ["nonsense", "1 2 3 4"]):
                await report(one, "n1", [address], rivals=rivals)
            await report(one, "n1", [address], rivals=[f"{address} 02:00:00:00:00:99 eth0"])

            async def told() -> bool:
                return bool(await disputes(one))

            await one.eventually(told, "an event")
            await one.settled(2)
            ((name, message),) = await disputes(one)
            assert name == "web"
            assert "02:00:00:00:00:99 on eth0 of n1" in message

    run(scenario())


def test_without_failback_a_vip_is_at_home_where_it_was_taken_over(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with engines(plane, failback=False) as one:
            await one.create(*(service(f"s{n}") for n in range(12)))
            await one.start(lasts=0.5)
            await one.settled(12)
            before = await homes(one)
            held = await all_at_home(one)
            lost = max(held, key=lambda name: len(held[name]))
            writes = await one.writes()
            takers = await take_over(one, held, lost)
            assert await homes(one) == before  # not before it has lasted

            async def moved() -> bool:
                return {a: h for a, h in (await homes(one)).items() if before[a] != h} == {
                    a: [taker] for a, taker in takers.items()
                }

            await one.eventually(moved, "the homes follow")
            await asyncio.sleep(1.5)
            written = await one.written(writes)
            assert written["PUT", "virtualips"] == len(takers)
            assert {key for key in written if key[1] == "virtualips"} == {("PUT", "virtualips")}
            # it is back, and so is the next leader: nothing is written any more
            replica = await one.idle()
            await replica.stop()
            after = await homes(one)
            await report(one, lost, ())
            await one.start("b", lasts=0.5)
            await one.idle()
            await asyncio.sleep(1.5)
            assert await homes(one) == after
            await one.settled(12)

    run(scenario())


@pytest.mark.parametrize("failback", [True, None])
def test_with_failback_nothing_is_written(plane: ControlPlane, failback: bool | None) -> None:
    async def scenario() -> None:
        async with engines(plane, **({} if failback is None else {"failback": failback})) as one:
            await one.create(*(service(f"s{n}") for n in range(6)))
            await one.start(lasts=0.2)
            await one.settled(6)
            held = await all_at_home(one)
            writes = await one.writes()
            await take_over(one, held, max(held, key=lambda name: len(held[name])))
            await asyncio.sleep(1.5)
            assert not (await one.written(writes))["PUT", "virtualips"]

    run(scenario())


def hosts(one: Any) -> tuple[str | None, str | None]:
    notes = one["metadata"].get("annotations") or {}
    return notes.get(HOST), notes.get(OURS)


def test_services_say_which_engine_has_their_address(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with engines(plane, config=WITH_HOST) as one:
            await one.create(*(service(f"s{n}") for n in range(9)))
            replica = await one.start()
            await one.settled(9)
            assert {hosts(o) for o in await one.objects("Service")} == {(None, None)}
            held = await all_at_home(one)
            await one.eventually(lambda: say(one, held), "everybody says where it is")
            plans, writes = replica.plans, await one.writes()
            lost = max(held, key=lambda name: len(held[name]))
            takers = await take_over(one, held, lost)
            now = {e: {*held[e], *(a for a, t in takers.items() if t == e)} for e in ENGINES}
            now[lost] = set()
            await one.eventually(lambda: say(one, now), "those that moved say so")
            await asyncio.sleep(0.5)
            assert (await one.written(writes))["PATCH", "services"] == len(takers)
            assert replica.plans <= plans + len(takers)  # an annotation of ours moves nothing
            # nobody says who has one: what was said stays
            address = sorted(now["n1"] or now["n2"] or now["n3"])[0]
            for engine in ENGINES:
                await report(one, engine, now[engine] - {address})
            await asyncio.sleep(0.5)
            assert await say(one, now)

    run(scenario())


async def say(one: Cluster, held: dict[str, set[str]]) -> bool:
    """Whether every Service says which engine has its address."""
    shown = await one.shown()
    for item in await one.objects("Service"):
        (address,) = shown[item["metadata"]["name"]]
        (engine,) = (name for name in ENGINES if address in held[name])
        if hosts(item) != (engine, engine):
            return False
    return True


def test_what_it_wrote_is_taken_away_and_nothing_else(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with engines(plane, config=WITH_HOST) as one:
            foreign = {HOST: "elsewhere"}
            await one.create(service("kept"), service("gone"), service("edited"))
            await one.create(service("foreign", cls="example.com/other", annotations=foreign))
            await one.start()
            await one.settled(3)
            held = await all_at_home(one)

            async def said(names: Collection[str]) -> bool:
                found = [hosts(await one.get("Service", name)) for name in names]
                return all(shown and shown == ours for shown, ours in found)

            await one.eventually(lambda: said(["kept", "gone", "edited"]), "they say where")
            await one.edit("gone", type="ClusterIP", loadBalancerClass=None)
            await one.eventually(lambda: silent(one, "gone"), "one is no more")
            assert hosts(await one.get("Service", "foreign")) == ("elsewhere", None)
            # not configured any more
            await (await one.idle()).stop()
            await one.annotate("edited", **{HOST: "by-hand"})
            await one.start("b", config=Config())
            await one.eventually(lambda: silent(one, "kept"), "what is ours goes")

            async def by_hand() -> bool:
                return hosts(await one.get("Service", "edited")) == ("by-hand", None)

            await one.eventually(by_hand, "what somebody else wrote stays")
            assert hosts(await one.get("Service", "foreign")) == ("elsewhere", None)
            assert held
            before = await one.writes()
            await (await one.idle()).stop()
            await one.start("c", config=Config())
            await one.settled(2)
            assert not await one.written(before)

    run(scenario())


async def silent(one: Cluster, name: str) -> bool:
    return hosts(await one.get("Service", name)) == (None, None)


def test_an_engine_that_lets_go_of_everything_can_say_so(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with engines(plane) as one:
            path = f"{FAIRLEAD}/engines/n1"
            for held in (("192.0.2.1",), ()):
                body = json.loads(body_of("n1", Holding(held)))
                await one.send(
                    "PATCH", f"{path}?fieldManager=agent&force=true", body, content_type=APPLY
                )
            assert (await one.send("GET", path))["spec"] == {"count": 0}

    run(scenario())
