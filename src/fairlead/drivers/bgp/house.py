"""Where FRR lives on this host, and how an agent starts it, keeps it, and lets it go.

There is one for each network namespace, in a directory of its own, apart from an FRR that the host
may have for itself. The daemons are not the agent's children but those of an owner
(:mod:`.owner`), which goes on while the agent is away.
"""

import fcntl
import socket
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from fairlead.drivers.base import DriverError
from fairlead.drivers.bgp import owner

PROGRAMS, USER = owner.PROGRAMS, owner.USER
READY = 10.0
"""Seconds until the daemons must answer."""
OWNED = 5.0
"""Seconds until the owner must."""
ENDING = 1.0
"""Seconds for the daemons of an owner that was killed."""

_BGP = {"tcp": (179,)}
_BFD = {"udp": (3784, 4784)}
"""RFC 4271; RFC 5881 (one hop) and 5883 (several)."""


class House:
    """The FRR of the network namespace of the calling thread.

    ``directory``: where it lives; by default one named after the namespace, so that any agent in it
    finds it. ``hold``: seconds for which it goes on announcing without an agent. ``bfdd``: the
    directory of a bfdd that runs already (a fence's), which is used instead of one of our own: two
    on one host would take each other's packets.
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        hold: float = owner.HOLD,
        bfdd: Path | None = None,
    ) -> None:
        self._directory = directory
        self._hold = hold
        self._bfdd = bfdd

    @property
    def directory(self) -> Path:
        """Where it lives."""
        if self._directory is None:
            self._directory = owner.home()
        return self._directory

    def vty(self, daemon: str) -> Path:
        """The vty socket of a daemon."""
        shared = self._bfdd if daemon == "bfdd" else None
        return (shared or self.directory / owner.PLACE) / f"{daemon}.vty"

    def beat(self) -> bool:
        """Tell the owner that there is an agent; whether there is an owner, and FRR with it."""
        return self._tell(f"beat {self._hold:g}") and self._furnished()

    def start(self) -> bool:
        """See to it that FRR runs; whether it had to be started. Raises :class:`DriverError`."""
        if self.beat():
            return False
        if not self._tell(f"start {self._hold:g}"):
            self._found()
        self._wait()
        return True

    def _found(self) -> None:
        """Start an owner where there is none."""
        self._vacate()
        missing = [one for one in ("zebra", "bfdd", "bgpd") if not (PROGRAMS / one).exists()]
        if missing:
            raise DriverError(
                f"bgp: {PROGRAMS / missing[0]} is not there: install FRR (apt-get install frr)"
            )
        self._stand_back()
        self._spawn()

    def stop(self) -> None:
        """Let the owner withdraw everything and end FRR, and wait for that. Idempotent."""
        deadline = time.monotonic() + OWNED
        told = self._tell("stop")
        while told and self._furnished() and time.monotonic() < deadline:
            time.sleep(0.01)

    def log(self) -> str:
        """The last words of the owner and the daemons."""
        try:
            lines = (self.directory / "log").read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return ""
        return " / ".join(lines[-5:])

    def _furnished(self) -> bool:
        return (self.directory / owner.PLACE / owner.NOTHING).exists()

    def _answer(self) -> bool:
        own = ("bgpd",) if self._bfdd else ("bfdd", "bgpd")
        return all(_answers(self.vty(daemon)) for daemon in own)

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

    def _stand_back(self) -> None:
        """See that nobody else speaks BGP or BFD here. Daemons whose owner was killed may take a
        moment to end."""
        deadline = time.monotonic() + ENDING
        ports = _BGP if self._bfdd else _BGP | _BFD
        while found := list(strangers(ports)):
            if time.monotonic() > deadline:
                raise DriverError(
                    f"bgp: somebody else on this host listens on {found[0]}: an FRR of ours beside "
                    "it would take its packets. Stop it, or let it announce the VIPs itself"
                )
            time.sleep(0.02)

    def _vacate(self) -> None:
        """Wait for the end of an owner that is ending."""
        deadline = time.monotonic() + OWNED
        while not self._vacant():
            if time.monotonic() > deadline:
                raise DriverError("bgp: the owner of FRR neither hears nor ends")
            time.sleep(0.01)

    def _vacant(self) -> bool:
        try:
            with (self.directory / owner.LOCK).open() as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except FileNotFoundError:
            return True
        return True

    def _spawn(self) -> None:
        """Start the owner, which neither hangs on this process nor on its terminal."""
        contained = ("setsid", "--fork", "unshare", "--pid", "--fork", "--kill-child=KILL", "--")
        program = [sys.executable, owner.__file__, "--directory", str(self.directory)]
        program += ["--programs", str(PROGRAMS), "--user", USER]
        if self._bfdd is not None:
            program += ["--zserv", str(self._bfdd / "zserv.api")]
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
        while not (owner_there := self._tell(f"start {self._hold:g}")) or not self._answer():
            if time.monotonic() > (ready if owner_there else owned):
                raise DriverError(f"bgp: FRR does not start: {self.log() or 'it says nothing'}")
            time.sleep(0.01)


def strangers(wanted: Mapping[str, Collection[int]]) -> Iterator[str]:
    """Those of the ports that somebody listens on in this namespace."""
    for protocol, ports in wanted.items():
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
