"""The command as a process: exit codes, signals, pipes, and what it does not load."""

import json
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Spawn = Callable[..., "subprocess.Popen[str]"]
SLOW = {"pyroute2", "rich", "structlog"}
"""What a plan for programs has no use for."""
PROBE = """
import sys
from fairlead.cli.main import app
app(sys.argv[1:], standalone_mode=False)
print(sorted(sys.modules), file=sys.stderr)
"""


@pytest.mark.parametrize(("folder", "code"), [("ako-shared-vip", 0), ("ako-mismatch", 1)])
def test_exit_codes(spawn: Spawn, examples: Path, folder: str, code: int) -> None:
    process = spawn("plan", "-f", examples / folder, "-o", "json")
    out, _ = process.communicate(timeout=60)
    assert process.returncode == code
    assert len(json.loads(out)["services"]) == 2


def test_a_missing_file_is_2_and_no_traceback(spawn: Spawn, tmp_path: Path) -> None:
    process = spawn("plan", "-f", tmp_path / "none.yaml")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "none.yaml" in err
    assert "Traceback" not in err


def test_ctrl_c_ends_it_silently(spawn: Spawn) -> None:
    process = spawn("plan", "-f", "-")
    _wait_for_read(process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err


def test_a_reader_that_leaves_ends_it_silently(spawn: Spawn, tmp_path: Path) -> None:
    ports = ", ".join(f"{{name: p{n}, port: {n}}}" for n in range(1, 2000))
    (tmp_path / "wide.yaml").write_text(
        "apiVersion: v1\nkind: Service\nmetadata: {name: wide}\n"
        f"spec: {{type: LoadBalancer, ports: [{ports}]}}\n"
        "---\napiVersion: fairlead.dev/v1alpha1\nkind: AddressPool\nmetadata: {name: p}\n"
        "spec: {addresses: [192.0.2.1]}\n"
    )
    process = spawn("plan", "-f", tmp_path, "-o", "json")
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGPIPE
    assert "Traceback" not in err
    assert "Broken" not in err


def test_help_and_version_load_nothing_heavy() -> None:
    loaded = _loaded("version")
    assert not loaded & {*SLOW, "msgspec", "ryaml", "sqlite3", "yaml"}


def test_a_plan_for_programs_loads_only_what_it_needs(examples: Path) -> None:
    loaded = _loaded("plan", "-f", str(examples / "ako-shared-vip"), "-o", "json")
    assert not loaded & {*SLOW, "sqlite3"}


def test_a_plan_for_people_in_a_pipe_needs_no_terminal(examples: Path) -> None:
    loaded = _loaded("plan", "-f", str(examples / "ako-shared-vip"))
    assert not loaded & SLOW


def _loaded(*arguments: str) -> set[str]:
    """The modules in memory when a command is done."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    names: Any = done.stderr.splitlines()[-1]
    return set(names.strip("[]").replace("'", "").split(", "))


def _wait_for_read(process: "subprocess.Popen[str]") -> None:
    """Until the process waits for its standard input."""
    where = Path(f"/proc/{process.pid}/syscall")
    for _ in range(600):
        if where.read_text().startswith("0 0x0 "):  # read(2) of descriptor 0
            return
        select.select([], [], [], 0.1)
    raise AssertionError("it never read its standard input")


def test_a_watch_prints_again_after_an_edit(spawn: Spawn, tmp_path: Path) -> None:
    file = tmp_path / "all.yaml"
    text = (
        "apiVersion: fairlead.dev/v1alpha1\nkind: AddressPool\nmetadata: {name: {name}}\n"
        "spec: {addresses: [192.0.2.1]}\n"
    )
    file.write_text(text.replace("{name: {name}}", "{name: first}"))
    process = spawn("get", "pools", "-f", file, "--watch")
    assert process.stdout is not None
    assert process.stdout.readline().startswith("NAME")
    assert process.stdout.readline().startswith("first")
    other = tmp_path / "all.new"
    other.write_text(text.replace("{name: {name}}", "{name: second}"))
    other.replace(file)
    assert process.stdout.readline() == "\n"
    assert process.stdout.readline().startswith("NAME")
    assert process.stdout.readline().startswith("second")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
