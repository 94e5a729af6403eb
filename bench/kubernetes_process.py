"""A process of Fairlead beside a control plane, and what it costs."""

import compileall
import functools
import http.client
import os
import re
import socket
import sys
import time
from pathlib import Path
from typing import Self

import fairlead
from bench.machine import cpu_seconds, memory_mb
from fairlead.lab.kubernetes import ControlPlane
from fairlead.lab.kubernetes.place import Place

LEADS = re.compile(r"^fairlead_leader 1(\.0)?$", re.MULTILINE)
DONE = re.compile(r"^fairlead_queue_depth 0(\.0)?$", re.MULTILINE)


class Process:
    """``fairlead`` with these arguments, answering probes; ``with`` ends it."""

    def __init__(self, place: Place, *arguments: str, log: Path) -> None:
        _compile()
        self._place, self._log = place, log
        self._port = place.call(_free_port)
        argv = [sys.executable, "-m", "fairlead", *arguments, f"--listen=127.0.0.1:{self._port}"]
        env = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        with log.open("w") as out:
            self.started = time.monotonic()
            self._popen = place.popen(argv, stderr=out, env=env)
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
            time.sleep(0.25)  # each look at its metrics takes it some milliseconds
        return time.monotonic() - self.started

    def check(self, timeout: float = 300) -> None:
        """Raises when it has ended, or has run for longer than that."""
        if self._popen.poll() is not None or time.monotonic() - self.started > timeout:
            raise RuntimeError(f"fairlead does not get there: {self._log.read_text()[-2000:]}")

    def get(self, path: str) -> str:
        """What it answers; empty unless all is well."""
        return self._place.call(_get, self._port, path)

    def _led(self) -> bool:
        if not self.get("/readyz"):
            return False
        text = self.get("/metrics")  # asked second: before it is ready nothing waits to be written
        return bool(LEADS.search(text) and DONE.search(text))

    @property
    def peak_mb(self) -> float:
        """The largest resident size so far, in MB."""
        return memory_mb(self.pid, "VmHWM")

    def idle_percent(self, seconds: float) -> float:
        """The share of one core that it uses over so many seconds, in percent."""
        before = cpu_seconds(self.pid)
        time.sleep(seconds)
        return 100 * (cpu_seconds(self.pid) - before) / seconds


def controller(control: ControlPlane, place: Place) -> Process:
    """``fairlead controller`` for that control plane."""
    own = ("controller", f"--kubeconfig={control.kubeconfig}", "--namespace=default")
    return Process(place, *own, log=control.directory / "logs" / "fairlead-controller.log")


@functools.cache
def _compile() -> None:
    """An installed program has its byte code."""
    compileall.compile_dir(Path(fairlead.__file__).parent, quiet=2)


def _get(port: int, path: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        text = response.read().decode()
    except OSError:
        return ""
    finally:
        connection.close()
    return text if response.status == http.client.OK else ""


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port
