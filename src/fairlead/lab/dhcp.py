"""A real DHCP server of the lab: dnsmasq on one of its hosts.

    with DhcpServer(lab["client"], pool=("192.168.0.100", "192.168.0.120")) as server:
        server.leases()

Its lease file outlives it, so that it can be started again with what it gave, or without.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from fairlead.lab.errors import LabError, LabUnavailable

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence
    from types import TracebackType

    from fairlead.lab.host import Host

__all__ = ["DhcpServer", "Given"]

PATIENCE: Final = 10.0


class Given(NamedTuple):
    """A line of the lease file. ``expires``: seconds since the epoch, 0 for never."""

    expires: int
    mac: str
    address: str
    name: str
    client_id: str


class DhcpServer:
    """dnsmasq without DNS. ``pool``: first and last address. ``lease``: as dnsmasq writes times,
    two minutes at least. ``renew`` and ``rebind``: seconds of options 58 and 59, of which dnsmasq
    changes what is far apart. ``options``: more
    of its command line. LabUnavailable when dnsmasq is not installed."""

    def __init__(
        self,
        host: Host,
        *,
        pool: tuple[str, str],
        interface: str = "lan",
        lease: str = "10m",
        renew: int | None = None,
        rebind: int | None = None,
        options: Sequence[str] = (),
    ) -> None:
        self.host: Final = host
        self.directory: Final = Path(tempfile.mkdtemp(prefix="fairlead-dnsmasq-"))
        self.file: Final = self.directory / "leases"
        self.pool, self._lease = pool, lease
        self._interface, self._renew, self._rebind = interface, renew, rebind
        self._options = [*options]
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> DhcpServer:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        shutil.rmtree(self.directory)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        program = shutil.which("dnsmasq") or shutil.which("dnsmasq", path="/usr/sbin")
        if program is None:
            raise LabUnavailable("the DHCP server of the lab needs dnsmasq: install dnsmasq-base")
        begun = self.said().count("DHCP")
        with (self.directory / "log").open("a") as log:
            self._process = self.host.popen([program, *self._words()], stdout=log, stderr=log)
        end = time.monotonic() + PATIENCE
        while self.said().count("DHCP") == begun:
            if self._process.poll() is not None or time.monotonic() > end:
                raise LabError(f"dnsmasq does not start: {self.said()}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop it; what it gave stays in its file."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=PATIENCE)
            self._process = None

    def forget(self) -> None:
        """Lose the lease file, while it is stopped."""
        self.file.unlink(missing_ok=True)

    def leases(self) -> list[Given]:
        """What it gave, by its file."""
        lines = self.file.read_text().splitlines() if self.file.exists() else []
        rows = [line.split() for line in lines]
        return [Given(int(row[0]), *row[1:5]) for row in rows if row[0] != "duid" and len(row) == 5]

    def said(self) -> str:
        """Its log."""
        log = self.directory / "log"
        return log.read_text() if log.exists() else ""

    def _words(self) -> list[str]:
        first, last = self.pool
        words = ["--keep-in-foreground", "--log-facility=-", "--port=0", "--conf-file=/dev/null"]
        words += [f"--interface={self._interface}", "--bind-interfaces", "--user=root"]
        words += ["--no-ping", "--log-dhcp", "--pid-file=", f"--dhcp-leasefile={self.file}"]
        words += [f"--dhcp-range={first},{last},{self._lease}", "--dhcp-lease-max=1000"]
        if self._renew is not None:
            words.append(f"--dhcp-option=option:T1,{self._renew}")
        if self._rebind is not None:
            words.append(f"--dhcp-option=option:T2,{self._rebind}")
        return words + self._options
