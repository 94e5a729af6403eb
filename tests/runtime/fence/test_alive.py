"""Whoever restarts fences that hang is told the truth, and changes nothing by asking."""

import asyncio
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from fairlead.runtime.fence import alive
from fairlead.runtime.fence.link import Host


async def _asked(directory: Path, rested: float) -> str:
    server = await alive.answer(directory, lambda: rested)
    try:
        return await asyncio.to_thread(alive.ask, directory)
    finally:
        server.close()


@pytest.mark.parametrize(
    ("rested", "wrong"), [(0.1, ""), (alive.PATIENCE + 1, "no round for 6.0 s")]
)
def test_it_lives_while_it_goes_round(tmp_path: Path, rested: float, wrong: str) -> None:
    assert asyncio.run(_asked(tmp_path, rested)) == wrong


def test_one_that_takes_the_question_and_says_nothing_does_not_live(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alive, "ASKING", 0.1)
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(tmp_path / alive.SOCKET))
        deaf.listen()
        assert "timed out" in alive.ask(tmp_path)


def test_asking_is_not_taken_for_an_agent(tmp_path: Path) -> None:
    """An agent that comes or goes starts the time anew after which a fence hands over."""
    heard: list[str] = []

    async def both() -> str:
        host = Host(tmp_path, table=print, recorded=print, heard=lambda: heard.append("an agent"))
        server = await host.open()
        try:
            return await _asked(tmp_path, 0.0)
        finally:
            server.close()

    assert asyncio.run(both()) == ""
    assert heard == []


def test_the_command_ends_as_a_probe_must(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", alive.__name__, str(tmp_path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"nobody answers at {tmp_path / alive.SOCKET}" in done.stderr

    async def answered() -> int:
        server = await alive.answer(tmp_path, lambda: 0.0)
        try:
            process = await asyncio.create_subprocess_exec(*argv)
            return await process.wait()
        finally:
            server.close()

    assert asyncio.run(answered()) == 0
