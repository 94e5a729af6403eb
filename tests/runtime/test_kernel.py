"""The standalone role on a real kernel, killed and stopped."""

import subprocess
import sys
from pathlib import Path

import pytest

from .test_store import ROOT

EXPECTED = """\
served
kept after kill -9
running again
second ends with 1
table put back
address put back
ends with 0
withdrawn
served again
ends with 0
kept
"""


@pytest.mark.root
def test_up_on_a_kernel_survives_kill_9_repairs_and_withdraws(tmp_path: Path) -> None:
    scene = [sys.executable, "-m", "tests.runtime.kernel_scene", str(tmp_path)]
    done = subprocess.run(
        ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", *scene],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.stdout == EXPECTED, done.stderr
    assert "in use by process" in done.stderr
