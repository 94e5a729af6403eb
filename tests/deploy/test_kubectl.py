"""`kubectl fairlead`: the command as kubectl's plugin."""

import os
import subprocess
import sys
from pathlib import Path

import fairlead
from fairlead.lab.kubernetes import binaries


def _kubectl(*arguments: str) -> "subprocess.CompletedProcess[str]":
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [str(binaries() / "kubectl"), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": path, "KUBECONFIG": os.devnull, "COLUMNS": "100"},
        timeout=60,
    )


def test_kubectl_finds_the_command() -> None:
    assert _kubectl("fairlead", "version").stdout == f"fairlead {fairlead.__version__}\n"


def test_it_is_called_as_it_was_called() -> None:
    done = _kubectl("fairlead", "get", "--help")
    assert "Usage: kubectl fairlead get" in done.stdout


def test_mistakes_end_as_they_do_with_fairlead() -> None:
    done = _kubectl("fairlead", "plan", "-f", "/nowhere.yaml")
    assert done.returncode == 2
    assert "/nowhere.yaml" in done.stderr
