"""Batches: when they come, what they hold, and what never piles up."""

import asyncio
from time import monotonic

from msgspec.structs import replace

from fairlead.lab.kubernetes import ControlPlane
from fairlead.model.kube import KubeObject, Namespace, Service
from fairlead.model.names import Ref
from fairlead.model.world import Change
from fairlead.sources.kube import ApiClient, KubeSource, Pace
from fairlead.sources.kube.resources import CONFIG_MAPS, NAMESPACES, SERVICES, watch

from .follow import QUICK, Writer, access, encoded, following, run, through_proxy
from .proxy import answer


def test_the_first_batch_waits_for_all_kinds(plane: ControlPlane, space: str) -> None:
    async def scenario() -> None:
        async with ApiClient(access(plane)) as direct, through_proxy(plane) as (proxy, client):
            proxy.answers = lambda _, path: answer(500) if "/namespaces?" in path else None
            await Writer(direct, space).create("a")
            wanted = watch(SERVICES, namespace=space), watch(NAMESPACES)
            async with following(client, *wanted) as seen:
                await seen.until(lambda: seen.health("Service").synced)
                await seen.until(lambda: seen.health("Namespace").error)
                await asyncio.sleep(QUICK.grace + 0.5)
                assert not seen.batches
                proxy.answers = None
                await seen.synced()
                assert len(seen.batches) == 1
                assert seen.ports(space) == {"a": 80}
                assert seen.world.find(Namespace, space)

    run(scenario())


def test_an_idle_source_passes_an_event_on_at_once(plane: ControlPlane, space: str) -> None:
    """No absolute speed here: what the source adds is less than what the API server needs."""

    async def scenario() -> None:
        async with ApiClient(access(plane)) as client:
            writer = Writer(client, space)
            await writer.create("a")
            async with following(client, watch(SERVICES, namespace=space)) as seen:
                await seen.synced()
                writes, waits = [], []
                for port in range(1, 21):
                    start = monotonic()
                    await writer.edit("a", port)
                    writes.append(monotonic() - start)
                    count = len(seen.batches)
                    wanted = {"a": port}
                    await seen.until(lambda wanted=wanted: seen.ports(space) == wanted)  # type: ignore[misc]
                    assert len(seen.batches) <= count + 1
                    waits.append(monotonic() - seen.batches[-1].received_at)
                assert sorted(waits)[10] < 0.1 + sorted(writes)[10]

    run(scenario())


def test_what_a_slow_consumer_misses_is_not_kept(plane: ControlPlane, space: str) -> None:
    async def scenario() -> None:
        async with (
            ApiClient(access(plane)) as client,
            KubeSource(client, pace=QUICK) as source,
        ):
            writer = Writer(client, space)
            await writer.create("busy", "quiet", "short")
            source.want(watch(SERVICES, namespace=space))
            batches = source.batches()
            first = await anext(batches)
            assert len(first.changes) == 3
            for port in range(1, 101):
                await writer.edit("busy", port)
            await writer.delete("short")
            await writer.create("flash")
            await writer.delete("flash")
            await writer.edit("quiet", 7)
            seen: dict[str, int] = {}
            explicit: set[Ref] = set()
            rounds = 0
            while seen.get("quiet") != 7:
                batch = await anext(batches)
                rounds += 1
                explicit |= batch.explicit
                for change in batch.changes:
                    item = change.object
                    seen[change.ref.name] = item.ports[0].port if isinstance(item, Service) else 0
            assert seen["busy"] == 100
            assert rounds <= 3
            assert {ref.name for ref in explicit} == {"short", "flash"}
            await batches.aclose()

    run(scenario())


def test_what_is_wanted_later_and_is_empty_is_told_also_when_it_is_read_at_once(
    plane: ControlPlane, space: str
) -> None:
    """Whoever waits for a kind hears that there is nothing of it."""

    async def scenario() -> None:
        async with (
            ApiClient(access(plane)) as client,
            KubeSource(client, pace=QUICK) as source,
        ):
            await Writer(client, space).create("a")
            source.want(watch(SERVICES, namespace=space))
            batches = source.batches()
            assert (await anext(batches)).synced
            source.want(watch(CONFIG_MAPS, namespace="nowhere"))
            while not all(one.settled for one in source.health):  # noqa: ASYNC110  # before a batch
                await asyncio.sleep(0.01)
            async with asyncio.timeout(20):
                batch = await anext(batches)
            assert (batch.changes, batch.synced) == ((), True)
            await batches.aclose()

    run(scenario())


def test_deleted_and_made_anew_is_there(plane: ControlPlane, space: str) -> None:
    async def scenario() -> None:
        async with (
            ApiClient(access(plane)) as client,
            KubeSource(client, pace=QUICK) as source,
        ):
            writer = Writer(client, space)
            await writer.create("a")
            source.want(watch(SERVICES, namespace=space))
            batches = source.batches()
            await anext(batches)
            await writer.delete("a")
            await writer.create("a", port=81)
            await writer.create("last")
            changes: list[Change] = []
            while not changes or changes[-1].ref.name != "last":
                changes += (await anext(batches)).changes
            (last,) = [change for change in changes if change.ref.name == "a"][-1:]
            assert isinstance(last.object, Service)
            assert last.object.ports[0].port == 81
            await batches.aclose()

    run(scenario())


def test_kinds_are_wanted_and_dropped_at_run_time(plane: ControlPlane, space: str) -> None:
    async def scenario() -> None:
        async with ApiClient(access(plane)) as client:
            writer = Writer(client, space)
            await writer.create("a")
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}}
            for number in range(5):
                body["metadata"] = {"name": f"m{number}"}
                await client.create(CONFIG_MAPS, encoded(body), space)
            maps = watch(CONFIG_MAPS, namespace=space)
            async with following(client, watch(SERVICES, namespace=space)) as seen:
                await seen.synced()
                seen.source.want(maps)
                seen.source.want(maps)
                await seen.until(lambda: len(seen.names()) == 6)
                await seen.until(lambda: seen.batches[-1].synced)
                # all of a new kind at once, never a part of it
                (batch,) = [b for b in seen.batches if any("m" in c.ref.name for c in b.changes)]
                assert len(batch.changes) == 5
                seen.source.drop(maps)
                await seen.until(lambda: len(seen.gone) == 5)
                assert not seen.explicit
                assert [health.kind for health in seen.source.health] == ["Service"]

    run(scenario())


def test_selectors_and_transforms_decide_what_is_there(plane: ControlPlane, space: str) -> None:
    def odd(item: KubeObject) -> KubeObject | None:
        assert isinstance(item, Service)
        meta = replace(item.metadata, annotation_map=None, resource_version="")
        return replace(item, metadata=meta) if item.ports[0].port % 2 else None

    async def scenario() -> None:
        async with ApiClient(access(plane)) as client:
            writer = Writer(client, space)
            await writer.create("odd", port=1, annotations={"x": "y"})
            await writer.create("even", port=2)
            chosen = watch(SERVICES, namespace=space, transform=odd)
            labelled = watch(SERVICES, namespace=space, labels="team=a")
            named = watch(SERVICES, namespace=space, fields="metadata.name=odd")
            async with (
                following(client, chosen) as some,
                following(client, labelled) as team,
                following(client, named) as one,
            ):
                for seen in (some, team, one):
                    await seen.synced()
                assert some.ports(space) == one.ports(space) == {"odd": 1}
                assert team.ports(space) == {}
                (found,) = some.world.every(Service)
                assert found.metadata.resource_version == ""
                assert not found.metadata.annotations
                await writer.edit("even", 3)
                await writer.label("even", team="a")
                await some.until(lambda: some.ports(space) == {"odd": 1, "even": 3})
                await team.until(lambda: team.ports(space) == {"even": 3})
                await writer.edit("odd", 4)
                await writer.label("even", team=None)
                await some.until(lambda: some.ports(space) == {"even": 3})
                await team.until(lambda: team.ports(space) == {})
                assert some.explicit == {Ref("Service", space, "odd")}
                await one.until(lambda: one.ports(space) == {"odd": 4})

    run(scenario())


def test_an_unreachable_api_server_is_said_and_waited_for(plane: ControlPlane, space: str) -> None:
    async def scenario() -> None:
        async with ApiClient(access(plane)) as direct, through_proxy(plane) as (proxy, client):
            proxy.refuse()
            await Writer(direct, space).create("a")
            pace = Pace(first=0.05, slowest=0.2, grace=0.1)
            wanted = watch(SERVICES, namespace=space)
            async with following(client, wanted, pace=pace) as seen:
                await seen.until(lambda: proxy.url in seen.health("Service").error)
                await asyncio.sleep(0.3)
                assert not seen.batches
                proxy.refuse(False)
                await seen.synced()
                assert seen.ports(space) == {"a": 80}

    run(scenario())
