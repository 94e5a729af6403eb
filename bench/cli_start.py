"""``fairlead plan`` on a demo folder: process start to output."""

import subprocess
import sys
import time
from pathlib import Path

from bench.figure import Figure, percentile

EXAMPLE = Path(__file__).parent.parent / "examples" / "ako-shared-vip"
RUNS = 15


def run() -> list[Figure]:
    """The median over some runs, beside an interpreter that does nothing."""
    plan = [sys.executable, "-m", "fairlead", "plan", "-f", str(EXAMPLE), "-o", "json"]
    return [
        Figure("cli.plan.demo_folder", _median(plan), "s", 0.5),
        Figure("cli.floor.python_start", _median([sys.executable, "-c", ""]), "s"),
    ]


def _median(command: list[str]) -> float:
    samples = []
    for _ in range(RUNS):
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        samples.append(time.perf_counter() - start)
    return percentile(samples, 50)
