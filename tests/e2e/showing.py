"""`fairlead demo` as a process, and what must be left of it: nothing."""

import subprocess
from collections.abc import Callable
from pathlib import Path

Process = subprocess.Popen[str]
Spawn = Callable[..., Process]


def lab_of(process: Process) -> str:
    """The name of the lab of a demo."""
    return f"p{process.pid}n1"


def read_to(process: Process, text: str) -> None:
    """Read what it prints up to a line with this text."""
    assert process.stdout is not None
    for line in process.stdout:
        if text in line:
            return
    assert process.stderr is not None
    raise AssertionError(f"the demo ended before {text!r}: {process.stderr.read()}")


def assert_gone(process: Process) -> None:
    """No namespace, no process in one, no file of the demo is left."""
    assert not list(Path("/run/netns").glob(f"fl-{lab_of(process)}-*"))
    assert not Path("/run/fairlead-lab", lab_of(process)).exists()
    mentioning = [one for one in Path("/proc").glob("[0-9]*/cmdline") if mentions(one, process)]
    assert not mentioning


def mentions(cmdline: Path, process: Process) -> bool:
    """Whether a process (its `cmdline`) is one of the demo's."""
    try:
        return f"/{lab_of(process)}/".encode() in cmdline.read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False
