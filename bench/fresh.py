"""Run a measurement in a process of its own, so that memory and caches are its own."""

import json
import subprocess
import sys
from typing import Any


def fresh(module: str, *arguments: str, timeout: float = 600) -> dict[str, Any]:
    """``python -m MODULE ARGUMENTS``, whose last line of output is a JSON object."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        stdout=subprocess.PIPE, text=True, check=True, timeout=timeout,
    )  # fmt: skip
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result
