"""A process of Fairlead beside a control plane, and what it costs."""

import http.client
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from fairlead.lab.kubernetes import ControlPlane

TICKS = os.sysconf("SC_CLK_TCK")
LEADS = re.compile(r"^fairlead_leader 1(\.0)?$", re.MULTILINE)
DONE = re.compile(r"^fairlead_queue_depth 0(\.0)?$", re.MULTILINE)


class Process:
    """``fairlead`` with these arguments, answering probes; ``with`` ends it."""

    def __init__(self, *arguments: str, log: Path) -> None:
        self._log = log
        self._port = _free_port()
        listen = f"--listen=127.0.0.1:{self._port}"
        with log.open("w") as out:
            self._popen = subprocess.Popen(
                [sys.executable, "-m", "fairlead", *arguments, listen], stderr=out
            )
        self.started = time.monotonic()
        self.pid = self._popen.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._popen.terminate()
        self._popen.wait(30)

    def wait_led(self, timeout: float = 300) -> float:
        """Wait until it leads, is ready, and has nothing to write; the seconds since its start."""
        while not self._led():
            self.check(timeout)
            time.sleep(0.05)
        return time.monotonic() - self.started

    def _led(self) -> bool:
        text = self.get("/metrics")
        done = LEADS.search(text) and DONE.search(text)
        return bool(done and self.get("/readyz"))

    def check(self, timeout: float = 300) -> None:
        """Raises when it has ended, or has run for longer than that."""
        if self._popen.poll() is not None or time.monotonic() - self.started > timeout:
            raise RuntimeError(f"fairlead does not get there: {self._log.read_text()[-2000:]}")

    def get(self, path: str) -> str:
        """What it answers; empty unless all is well."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=5)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            text = response.read().decode()
        except OSError:
            return ""
        finally:
            connection.close()
        return text if response.status == http.client.OK else ""

    @property
    def peak_mb(self) -> float:
        """The largest resident size so far, in MB."""
        return memory_mb(self.pid, "VmHWM")

    def idle_percent(self, seconds: float) -> float:
        """The share of one core that it uses over so many seconds, in percent."""
        before = cpu_seconds(self.pid)
        time.sleep(seconds)
        return 100 * (cpu_seconds(self.pid) - before) / seconds


@contextmanager
def controller(control: ControlPlane, *arguments: str) -> Iterator[Process]:
    """``fairlead controller`` for that control plane."""
    own = ("controller", f"--kubeconfig={control.kubeconfig}", "--namespace=default")
    log = control.directory / "logs" / "fairlead-controller.log"
    with Process(*own, *arguments, log=log) as process:
        yield process


def memory_mb(pid: int, what: str = "VmRSS") -> float:
    """A size from ``/proc/PID/status``, in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{what}:"):
            return int(line.split()[1]) / 1024
    raise LookupError(what)


def cpu_seconds(pid: int) -> float:
    """The CPU time that a process used so far, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port
