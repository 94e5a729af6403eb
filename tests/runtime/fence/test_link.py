"""Between an agent and its fence: signs of life, and what is said after a connection broke."""

import asyncio
from ipaddress import ip_address
from pathlib import Path

import pytest

from fairlead.model.berth import Table
from fairlead.runtime.fence import link
from fairlead.runtime.fence.link import Agent, Host, State

TABLE = Table(me="a", address=ip_address("198.51.100.1"), peers={})


async def _until(condition: asyncio.Event) -> None:
    async with asyncio.timeout(20):
        await condition.wait()


def test_an_agent_with_nothing_to_say_gives_signs_of_life(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "BEAT", 0.02)

    async def heard_often() -> None:
        times, often = 0, asyncio.Event()

        def heard() -> None:
            nonlocal times
            times += 1
            if times > 5:
                often.set()

        server = await Host(tmp_path, table=print, recorded=print, heard=heard).open()
        agent = asyncio.create_task(Agent(tmp_path, told=print).run())
        await _until(often)
        agent.cancel()
        await asyncio.gather(agent, return_exceptions=True)
        server.close()

    asyncio.run(heard_often())


def test_each_fence_that_comes_is_told_the_table(tmp_path: Path) -> None:
    async def told_twice() -> list[State | None]:
        told: list[State | None] = []
        agent = Agent(tmp_path, told=told.append)
        agent.offer(TABLE)
        running = asyncio.create_task(agent.run())
        for _ in range(2):
            got = asyncio.Event()
            host = Host(
                tmp_path,
                table=lambda table: got.set() if table == TABLE else None,  # noqa: B023 - at once
                recorded=print,
                heard=lambda: None,
            )
            server = await host.open()
            await _until(got)
            server.close()
            for writer in host._agents:  # what the end of its process would do
                writer.close()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return told

    assert asyncio.run(told_twice())[0] in (None, State())
