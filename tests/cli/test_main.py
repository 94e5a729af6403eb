"""What all commands have in common: help with an example, a version, refusals in one line."""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

import fairlead
from fairlead.cli import plan as plan_command
from fairlead.cli.failure import refusal

Run = Callable[..., Result]
COMMANDS = [
    ["plan"],
    ["up"],
    ["explain"],
    ["get"],
    ["scale"],
    ["crds"],
    ["version"],
    ["lab", "up"],
    ["lab", "down"],
    ["lab", "exec"],
    ["lab", "list"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example(run: Run, command: list[str]) -> None:
    result = run(*command, "--help")
    assert result.exit_code == 0
    assert f"Example: fairlead {' '.join(command)}" in result.stdout


def test_the_version(run: Run) -> None:
    assert run("version").stdout == f"fairlead {fairlead.__version__}\n"
    assert json.loads(run("version", "-o", "json").stdout) == {"fairlead": fairlead.__version__}


@pytest.mark.parametrize(
    "command",
    [["up", "-f", "x"], ["lab", "up"], ["lab", "down"], ["lab", "exec", "lab", "client", "true"]],
    ids=" ".join,
)
def test_without_root_one_line_says_how(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    result = run(*command)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert "needs root" in line
    assert "sudo fairlead" in line


def test_what_the_system_refuses_is_one_line(
    run: Run, monkeypatch: pytest.MonkeyPatch, examples: Path
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "/secret/ledger.db")

    monkeypatch.setattr(plan_command, "emit", refuse)
    result = run("plan", "-f", examples / "ako-shared-vip")
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1] == "fairlead: /secret/ledger.db: Permission denied"


def test_a_refusal_without_a_file_still_says_something() -> None:
    assert refusal(OSError("odd")) == "odd"
    assert refusal(OSError(errno.ENOSPC, "No space left on device")) == "No space left on device"
