"""When addresses came to the interfaces of some hosts, by the kernel's own notices."""

import subprocess
import time
from collections.abc import Iterable
from datetime import datetime
from ipaddress import ip_interface
from threading import Thread
from typing import TYPE_CHECKING, Self

from fairlead.lab import Host

if TYPE_CHECKING:
    from fairlead.model.addresses import IPAddress


class Arrivals:
    """Watches during the block. ``at[host name, address]``: the last time that it came, on the
    monotonic clock."""

    def __init__(self, hosts: Iterable[Host]) -> None:
        self.at: dict[tuple[str, IPAddress], float] = {}
        self._hosts = list(hosts)
        self._drift = time.clock_gettime(time.CLOCK_REALTIME) - time.monotonic()
        self._watching: list[tuple[subprocess.Popen[str], Thread]] = []

    def __enter__(self) -> Self:
        for host in self._hosts:
            argv = ["ip", "-ts", "-o", "monitor", "address"]
            process = host.popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            reading = Thread(target=self._read, args=(host.name, process), daemon=True)
            reading.start()
            self._watching.append((process, reading))
        return self

    def __exit__(self, *_: object) -> None:
        for process, reading in self._watching:
            process.kill()
            process.wait()
            reading.join()

    def _read(self, name: str, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            words = line.split()
            if "Deleted" in words or len(words) < 5:
                continue
            at = datetime.fromisoformat(words[0].strip("[]")).timestamp() - self._drift
            self.at[name, ip_interface(words[4]).ip] = at
