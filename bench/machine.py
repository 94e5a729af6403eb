"""What else the machine does while something is measured: a figure of a busy machine says less."""

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
MUCH = 10.0
"""Percent of the machine; if others use more, that is said."""


class Others:
    """``percent``: the share of all cores that went to processes other than those named."""

    def __init__(self) -> None:
        self.percent = 0.0


@contextmanager
def others(*pids: int) -> Iterator[Others]:
    """Measures during the block; the processes must live to its end, and this one counts as
    named."""
    yield from _watch(Others(), lambda: _own(pids))


@contextmanager
def strangers() -> Iterator[Others]:
    """The same, with all that descends from this process counted as its own: the processes of a
    lab may come and go meanwhile."""
    yield from _watch(Others(), _family)


def _watch(found: Others, own: Callable[[], float]) -> Iterator[Others]:
    start, busy, before = time.monotonic(), _busy(), own()
    yield found
    foreign = _busy() - busy - (own() - before)
    cores = (os.cpu_count() or 1) * (time.monotonic() - start)
    found.percent = max(0.0, 100 * foreign / cores)
    if found.percent > MUCH:
        text = f"others used {found.percent:.0f} % of the machine meanwhile"
        print(f"bench: {text}", file=sys.stderr, flush=True)


def cpu_seconds(pid: int) -> float:
    """The CPU time that a process used so far, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_mb(pid: int, what: str = "VmRSS") -> float:
    """A size from ``/proc/PID/status``, in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{what}:"):
            return int(line.split()[1]) / 1024
    raise LookupError(what)


def _own(pids: Iterable[int]) -> float:
    return sum(map(cpu_seconds, {os.getpid(), *pids}))


def _family() -> float:
    """Of this process and its descendants, those that ended included."""
    own, used = os.getpid(), 0.0
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):  # it has ended meanwhile
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                parents[int(entry.name)] = int(fields[1]), sum(map(int, fields[11:15])) / TICKS
    for pid, (_, seconds) in parents.items():
        ancestor = pid
        while ancestor != own and ancestor in parents:
            ancestor = parents[ancestor][0]
        used += seconds if ancestor == own else 0.0
    return used


def _busy() -> float:
    """Seconds that all cores were busy since the machine started."""
    whole, _, _ = Path("/proc/stat").read_text().partition("\n")
    user, nice, system, _idle, _wait, irq, softirq, *_ = map(int, whole.split()[1:])
    return (user + nice + system + irq + softirq) / TICKS
