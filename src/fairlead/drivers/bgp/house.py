"""Where FRR lives on this host, and how an agent starts it, keeps it, and lets it go.

There is one for each network namespace, in a directory of its own, apart from an FRR that the host
may have for itself. The daemons are not the agent's children but those of an owner
(:mod:`.owner`), which goes on while the agent is away.
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from fairlead.drivers.base import DriverError
from fairlead.drivers.bgp import owner

PROGRAMS = Path("/usr/lib/frr")
USER = "frr"
ROOT = Path("/run/fairlead")
READY = 10.0
"""Seconds until the daemons must answer."""
OWNED = 5.0
"""Seconds until the owner must."""

_LISTENING = {"tcp": (179,), "udp": (3784, 4784)}
"""BGP; BFD on one hop and on several (RFC 4271, 5881, 5883)."""


class House:
    """The FRR of the network namespace of the calling thread.

    ``directory``: where it lives; by default one named after the namespace, so that any agent in it
    finds it. ``hold``: seconds for which it goes on announcing without an agent.
    """

    def __init__(self, directory: Path | None = None, *, hold: float = owner.HOLD) -> None:
        self._directory = directory
        self._hold = hold

    @property
    def directory(self) -> Path:
        """Where it lives."""
        if self._directory is None:
            self._directory = ROOT / f"frr-{os.stat('/proc/thread-self/ns/net').st_ino}"
        return self._directory

    def vty(self, daemon: str) -> Path:
        """The vty socket of a daemon."""
        return self.directory / owner.PLACE / f"{daemon}.vty"

    def beat(self) -> bool:
        """Tell the owner that there is an agent; whether there is an owner."""
        return self._tell(f"beat {self._hold:g}")

    def start(self) -> bool:
        """See to it that FRR runs; whether it had to be started. Raises :class:`DriverError`."""
        if self.beat():
            return False
        missing = [one for one in ("zebra", "bfdd", "bgpd") if not (PROGRAMS / one).exists()]
        if missing:
            raise DriverError(
                f"bgp: {PROGRAMS / missing[0]} is not there: install FRR (apt-get install frr)"
            )
        for stranger in strangers():
            raise DriverError(
                f"bgp: somebody else on this host listens on {stranger}: an FRR of ours beside it "
                "would take its packets. Stop it, or let it announce the VIPs itself"
            )
        self._spawn()
        self._wait()
        return True

    def stop(self) -> None:
        """Let the owner withdraw everything and end, and wait for that. Idempotent."""
        deadline = time.monotonic() + READY
        while self._tell("stop") and time.monotonic() < deadline:
            time.sleep(0.02)

    def log(self) -> str:
        """The last words of the owner and the daemons."""
        try:
            lines = (self.directory / "log").read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return ""
        return " / ".join(lines[-5:])

    def _answer(self) -> bool:
        return all(_answers(self.vty(daemon)) for daemon in ("bfdd", "bgpd"))

    def _tell(self, message: str) -> bool:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            try:
                out.connect(str(self.directory / owner.SOCKET))
                out.send(message.encode())
            except (FileNotFoundError, ConnectionRefusedError):
                return False
            except OSError as error:
                raise DriverError(f"bgp: cannot reach the owner of FRR: {error}") from error
        return True

    def _spawn(self) -> None:
        """Start the owner, which neither hangs on this process nor on its terminal."""
        contained = ("setsid", "--fork", "unshare", "--pid", "--fork", "--kill-child=KILL", "--")
        program = (sys.executable, owner.__file__, str(self.directory), str(PROGRAMS), USER)
        try:
            self.directory.mkdir(mode=0o755, parents=True, exist_ok=True)
            with (self.directory / "log").open("wb") as log:
                subprocess.run(
                    [*contained, *program],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    check=True,
                    cwd="/",
                )
        except (OSError, subprocess.CalledProcessError) as error:
            raise DriverError(f"bgp: cannot start the owner of FRR: {error}") from error

    def _wait(self) -> None:
        owned, ready = time.monotonic() + OWNED, time.monotonic() + READY
        while not (beats := self.beat()) or not self._answer():
            if time.monotonic() > (ready if beats else owned):
                raise DriverError(f"bgp: FRR does not start: {self.log() or 'it says nothing'}")
            time.sleep(0.01)


def strangers() -> Iterator[str]:
    """The ports of BGP and BFD that somebody listens on in this namespace."""
    for protocol, ports in _LISTENING.items():
        for suffix in ("", "6"):
            found = _listening(Path(f"/proc/thread-self/net/{protocol}{suffix}"), protocol)
            yield from (f"{protocol.upper()} {port}" for port in ports if port in found)


def _listening(table: Path, protocol: str) -> set[int]:
    try:
        rows = [line.split() for line in table.read_text().splitlines()[1:]]
    except FileNotFoundError:  # a kernel without IPv6
        return set()
    listens = "0A" if protocol == "tcp" else "07"
    return {int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == listens}


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as vty:
        return vty.connect_ex(str(path)) == 0
