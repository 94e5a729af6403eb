"""The real command line, in this process or as one of its own."""

import gc
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from fairlead.cli.main import app

ROOT = Path(__file__).parents[2]
Run = Callable[..., Result]
Spawn = Callable[..., "subprocess.Popen[str]"]
COMMAND = [sys.executable, "-m", "fairlead"]


@pytest.fixture(autouse=True)
def _collecting() -> Iterator[None]:
    """One-shot commands switch the collector off for their process; here it is the tests' own."""
    yield
    gc.enable()


@pytest.fixture
def run() -> Run:
    """`run("plan", "-f", path, stdin="...")`: the command, in this process."""

    def invoke(*arguments: str | Path, stdin: str | None = None) -> Result:
        result = CliRunner().invoke(app, [str(one) for one in arguments], input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return invoke


@pytest.fixture
def spawn() -> Iterator[Spawn]:
    """`spawn("plan", ...)`: the command as a process, killed at the end of the test."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str | Path, prefix: list[str] | None = None) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [*(prefix or []), *COMMAND, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "COLUMNS": "100"},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def examples() -> Path:
    """The folder of examples."""
    return ROOT / "examples"
