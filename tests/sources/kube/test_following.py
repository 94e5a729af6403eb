"""List and watch against a real API server, and everything that can end a watch."""

import asyncio
import json
import random

from msgspec.structs import replace

from fairlead.lab.kubernetes import ControlPlane
from fairlead.model.kube import Service
from fairlead.model.names import Ref
from fairlead.sources.kube import ApiClient, Pace
from fairlead.sources.kube.resources import SERVICES, watch

from .follow import QUICK, Writer, access, following, run, through_proxy
from .proxy import answer, status_answer


def ref(space: str, name: str) -> Ref:
    return Ref("Service", space, name)


def test_a_list_and_what_follows(plane: ControlPlane, space: str) -> None:
    async def scenario() -> None:
        async with ApiClient(access(plane)) as client:
            writer = Writer(client, space)
            await writer.create("a", "b")
            async with following(client, watch(SERVICES, namespace=space)) as seen:
                await seen.synced()
                assert sorted(seen.names()) == ["a", "b"]
                await writer.create("c")
                await writer.edit("a", 81)
                await writer.delete("b")
                await seen.until(lambda: seen.ports(space) == {"a": 81, "c": 80})
                assert seen.explicit == {ref(space, "b")}
                assert len(seen.changes) == 5
                found = seen.world.service(ref(space, "a"))
                assert isinstance(found, Service)
                assert found.metadata.resource_version

    run(scenario())


def test_many_edits_at_once_end_in_what_the_server_has(plane: ControlPlane, space: str) -> None:
    """Edits from several sides, while connections are cut again and again."""

    async def churn(writer: Writer, prefix: str) -> None:
        alive: set[str] = set()
        for step in range(100):
            name = f"{prefix}{random.randrange(10)}"
            if name not in alive:
                await writer.create(name, port=1000 + step)
                alive.add(name)
            elif random.random() < 0.3:
                await writer.delete(name)
                alive.discard(name)
            else:
                await writer.edit(name, 1000 + step)

    async def scenario() -> None:
        async with ApiClient(access(plane)) as direct, through_proxy(plane) as (proxy, client):
            writer = Writer(direct, space)

            async def cut() -> None:
                while True:
                    await asyncio.sleep(0.05)
                    proxy.cut()

            async with following(client, watch(SERVICES, namespace=space)) as seen:
                cutting = asyncio.create_task(cut())
                await asyncio.gather(*(churn(writer, prefix) for prefix in "abcd"))
                cutting.cancel()
                wanted = await writer.ports()
                await seen.until(lambda: seen.ports(space) == wanted)
                assert proxy.cuts > 1
                assert set(seen.gone) <= seen.explicit

    run(scenario())


def test_cut_in_the_middle_of_an_event(plane: ControlPlane, space: str) -> None:
    async def scenario() -> None:
        async with ApiClient(access(plane)) as direct, through_proxy(plane) as (proxy, client):
            writer = Writer(direct, space)
            await writer.create("a")
            async with following(client, watch(SERVICES, namespace=space)) as seen:
                await seen.synced()
                proxy.cut_at = b'"name":"hal'
                await writer.create("half", "whole")
                await seen.until(lambda: {"half", "whole"} <= set(seen.ports(space)))
                assert proxy.cut_at == b""
                # taken up where it stopped: no second list, nothing said twice
                assert seen.names() == ["a", "half", "whole"]
                assert proxy.count("sendInitialEvents") == 1
                assert proxy.count("resourceVersion=") == 1

    run(scenario())


def test_an_api_server_that_was_killed_has_forgotten_our_place(
    plane: ControlPlane, space: str
) -> None:
    """After its restart the watch cache begins later than where we stopped: 410, and a new list."""

    async def scenario() -> None:
        async with ApiClient(access(plane)) as direct, through_proxy(plane) as (proxy, client):
            writer = Writer(direct, space)
            await writer.create("stays", "edited", "deleted")
            async with following(client, watch(SERVICES, namespace=space)) as seen:
                await seen.synced()
                proxy.refuse()
                await writer.delete("deleted")
                await writer.edit("edited", 81)
                await asyncio.to_thread(plane.kill, "kube-apiserver")
                await seen.until(lambda: seen.health("Service").error)
                assert len(seen.batches) == 1
                assert seen.ports(space) == {"stays": 80, "edited": 80, "deleted": 80}
                await asyncio.to_thread(plane.start, "kube-apiserver")
                await asyncio.to_thread(plane.wait_ready)
                await writer.create("new")
                proxy.refuse(False)
                await seen.until(
                    lambda: seen.ports(space) == {"stays": 80, "edited": 81, "new": 80}
                )
                assert seen.explicit == {ref(space, "deleted")}
                assert proxy.count("sendInitialEvents") == 2
                assert seen.names().count("stays") == 1
                await seen.until(lambda: not seen.health("Service").error)

    run(scenario())


def test_edits_while_the_api_server_is_restarted_again_and_again(
    plane: ControlPlane, space: str
) -> None:
    async def scenario() -> None:
        async with ApiClient(access(plane)) as client:
            writer = Writer(client, space)
            await writer.create(*(f"s{n}" for n in range(20)))
            async with following(client, watch(SERVICES, namespace=space)) as seen:
                await seen.synced()
                for round_ in range(2):
                    await writer.edit(f"s{round_}", 90 + round_)
                    await writer.delete(f"s{10 + round_}")
                    await asyncio.to_thread(plane.kill, "kube-apiserver")
                    await asyncio.to_thread(plane.start, "kube-apiserver")
                    await asyncio.to_thread(plane.wait_ready)
                    await writer.create(f"new{round_}")
                wanted = await writer.ports()
                await seen.until(lambda: seen.ports(space) == wanted)
                assert seen.explicit == {ref(space, "s10"), ref(space, "s11")}
                assert seen.names().count("s5") == 1

    run(scenario())


def test_an_error_event_that_says_gone(plane: ControlPlane, space: str) -> None:
    """The 410 that comes inside a stream, after its 200."""
    gone = b'{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}}\n'

    async def scenario() -> None:
        async with ApiClient(access(plane)) as direct, through_proxy(plane) as (proxy, client):
            writer = Writer(direct, space)
            await writer.create("a", "b")
            async with following(client, watch(SERVICES, namespace=space)) as seen:
                await seen.synced()
                said = iter([answer(200, gone)])
                proxy.answers = lambda _, path: (
                    next(said, None) if "&resourceVersion=" in path else None
                )
                proxy.cut()
                await seen.until(lambda: proxy.count("sendInitialEvents") == 2)
                await writer.delete("b")
                await seen.until(lambda: seen.ports(space) == {"a": 80})
                assert seen.names() == ["a", "b", "b"]

    run(scenario())


def test_pages_where_lists_are_not_streamed(plane: ControlPlane, space: str) -> None:
    async def scenario() -> None:
        async with ApiClient(access(plane)) as direct, through_proxy(plane) as (proxy, client):
            proxy.answers = lambda _, path: (
                status_answer(422, "Invalid", "sendInitialEvents is forbidden")
                if "sendInitialEvents" in path
                else None
            )
            writer = Writer(direct, space)
            names = [f"s{n}" for n in range(7)]
            await writer.create(*names)
            pace = Pace(page=3, first=0.05)
            async with following(client, watch(SERVICES, namespace=space), pace=pace) as seen:
                await seen.synced()
                assert sorted(seen.ports(space)) == names
                assert proxy.count("limit=3") == 3
                await writer.delete("s0")
                await seen.until(lambda: ref(space, "s0") in seen.explicit)
                proxy.cut()
                await writer.edit("s1", 81)
                await seen.until(lambda: seen.ports(space)["s1"] == 81)
                assert proxy.count("sendInitialEvents") == 1

    run(scenario())


def test_pages_that_get_too_old_on_the_way(plane: ControlPlane, space: str) -> None:
    def answers(_: str, path: str) -> bytes | None:
        if "sendInitialEvents" in path:
            return status_answer(400, "BadRequest", "no")
        if "continue=" in path:
            return status_answer(410, "Expired", "The provided continue parameter is too old")
        return None

    async def scenario() -> None:
        async with ApiClient(access(plane)) as direct, through_proxy(plane) as (proxy, client):
            proxy.answers = answers
            await Writer(direct, space).create(*(f"s{n}" for n in range(5)))
            pace = Pace(page=3, first=0.05)
            async with following(client, watch(SERVICES, namespace=space), pace=pace) as seen:
                await seen.synced()
                assert len(seen.ports(space)) == 5
                assert len(seen.changes) == 5

    run(scenario())


def test_a_storm_of_429_and_500(plane: ControlPlane, space: str) -> None:
    async def scenario() -> None:
        async with ApiClient(access(plane)) as direct, through_proxy(plane) as (proxy, client):
            writer = Writer(direct, space)
            await writer.create("a")
            async with following(client, watch(SERVICES, namespace=space)) as seen:
                await seen.synced()
                storm = [
                    status_answer(429, "TooManyRequests", "later please", Retry_After="1"),
                    answer(500, b"boom"),
                ]
                proxy.answers = lambda *_: storm[len(proxy.requests) % 2]
                proxy.cut()
                before = len(proxy.requests)
                await seen.until(lambda: "later please" in seen.health("Service").error)
                await writer.create("b")
                await asyncio.sleep(2)
                assert len(proxy.requests) - before < 10
                assert len(seen.batches) == 1
                proxy.answers = None
                await seen.until(lambda: "b" in seen.ports(space))
                assert not seen.health("Service").error
                assert seen.names() == ["a", "b"]

    run(scenario())


def test_silence_is_noticed(plane: ControlPlane, space: str) -> None:
    async def scenario() -> None:
        async with ApiClient(access(plane)) as direct, through_proxy(plane) as (proxy, client):
            writer = Writer(direct, space)
            await writer.create("a")
            pace = Pace(silence=0.5, first=0.05)
            async with following(client, watch(SERVICES, namespace=space), pace=pace) as seen:
                await seen.synced()
                proxy.hold()
                await writer.create("b")
                await seen.until(lambda: "says nothing" in seen.health("Service").error)
                proxy.cut()
                proxy.release()
                await seen.until(lambda: "b" in seen.ports(space))
                assert seen.names() == ["a", "b"]

    run(scenario())


def test_watches_end_by_themselves_and_go_on(plane: ControlPlane, space: str) -> None:
    async def scenario() -> None:
        async with ApiClient(access(plane)) as direct, through_proxy(plane) as (proxy, client):
            writer = Writer(direct, space)
            await writer.create("a")
            pace = Pace(watch=1.0)
            async with following(client, watch(SERVICES, namespace=space), pace=pace) as seen:
                await seen.until(lambda: proxy.count("resourceVersion=") >= 2)
                await writer.edit("a", 81)
                await seen.until(lambda: seen.ports(space) == {"a": 81})
                assert proxy.count("sendInitialEvents") == 1
                assert seen.names() == ["a", "a"]
                assert len(seen.batches) == 2

    run(scenario())


def test_bookmarks_move_the_place_to_go_on_from(plane: ControlPlane, space: str) -> None:
    """So that a quiet kind is not forgotten while others are written."""
    mark = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "%d"}}}

    async def scenario() -> None:
        async with ApiClient(access(plane)) as direct, through_proxy(plane) as (proxy, client):
            writer = Writer(direct, space)
            await writer.create("a")
            async with following(client, watch(SERVICES, namespace=space), pace=QUICK) as seen:
                await seen.synced()
                await Writer(direct, "default").label("kubernetes", touched=space)
                newest = int(json.loads(await direct.list(SERVICES))["metadata"]["resourceVersion"])
                line = (json.dumps(mark) % newest).encode() + b"\n"
                said = iter([answer(200, line)])
                proxy.answers = lambda _, path: (
                    next(said, None) if "&resourceVersion=" in path else None
                )
                proxy.cut()
                await seen.until(lambda: proxy.count(f"resourceVersion={newest}") == 1)
                await writer.create("b")
                await seen.until(lambda: seen.names() == ["a", "b"])

    run(scenario())


def test_a_stream_of_nonsense_is_left(plane: ControlPlane, space: str) -> None:
    async def scenario() -> None:
        async with ApiClient(access(plane)) as direct, through_proxy(plane) as (proxy, client):
            writer = Writer(direct, space)
            await writer.create("a")
            async with following(client, watch(SERVICES, namespace=space)) as seen:
                await seen.synced()
                said = iter([answer(200, b"<html>\n"), answer(200, b'{"type":"X","object":{}}\n')])
                proxy.answers = lambda _, path: (
                    next(said, None) if "&resourceVersion=" in path else None
                )
                proxy.cut()
                await seen.until(lambda: "no event" in seen.health("Service").error)
                await writer.create("b")
                await seen.until(lambda: seen.names() == ["a", "b"])

    run(scenario())


def test_etcd_stands_still(plane: ControlPlane, space: str) -> None:
    """Nothing can be read, and nothing goes."""

    async def scenario() -> None:
        async with ApiClient(access(plane), timeout=1.0) as client:
            writer = Writer(client, space)
            await writer.create("a", "b")
            pace = replace(QUICK, watch=0.5, silence=2.0)
            async with following(client, watch(SERVICES, namespace=space), pace=pace) as seen:
                await seen.synced()
                plane.pause("etcd")
                try:
                    await seen.until(lambda: seen.health("Service").error)
                    assert seen.ports(space) == {"a": 80, "b": 80}
                    assert not seen.gone
                finally:
                    plane.resume("etcd")
                await asyncio.to_thread(plane.wait_ready)
                async with ApiClient(access(plane)) as patient:
                    await Writer(patient, space).edit("b", 81)
                await seen.until(lambda: seen.ports(space) == {"a": 80, "b": 81})
                assert not seen.gone
                assert seen.names() == ["a", "b", "b"]

    run(scenario())
