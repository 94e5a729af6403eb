"""The process that owns FRR on an engine: it starts the daemons, and starts again those that end.

It outlives the agent, so that a crash or an upgrade of the agent withdraws nothing, but not for
long: when no agent was heard for some seconds (:data:`HOLD`, or what the last one asked for), it
tells the routers that nothing is here any more, and ends. It is the first process of a process
namespace, so the kernel ends the daemons with it, however it ends: no FRR announces for ever
because nobody is left to stop it.

It is run by path and imports nothing of the project, so that it starts in milliseconds. A datagram
to its socket says ``start SECONDS``, ``beat SECONDS`` or ``stop``; SIGTERM means ``stop``. As a
container beside the agent, which ends with it as a process namespace does, it is told to stay.
"""

import argparse
import fcntl
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

HOLD = 30.0
"""Seconds without an agent after which nothing is announced any more."""

CALM = 10.0
"""A daemon that ran for so many seconds is started again at once."""

SLOWEST = 5.0
"""The longest wait before a daemon that keeps ending is started again."""

ROOT, PROGRAMS, USER = Path("/run/fairlead"), Path("/usr/lib/frr"), "frr"
SOCKET, LOCK, PLACE = "owner.sock", "owner.lock", "frr"
"""What is in the directory: our socket, our lock, and the daemons' own directory."""
NOTHING = "none.conf"
"""In the latter while FRR runs: the configuration that the daemons start with."""

_TERMINATOR = b"\0\0\0"


def now() -> float:
    """Seconds, the time that the machine slept included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Daemon:
    """One program of FRR, and when to start it again."""

    def __init__(self, command: list[str]) -> None:
        self.command = command
        self.process: subprocess.Popen[bytes] | None = None
        self.since = 0.0
        self.wait = 0.0

    def runs(self) -> bool:
        """Whether it runs."""
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start it, unless it runs or its time has not come."""
        if self.runs():
            return
        if self.process is not None:
            if now() - self.since > CALM:
                self.wait = 0.0
            elif now() - self.since < self.wait:
                return
            self.wait = min(SLOWEST, 2 * self.wait or 0.25)
            say(f"{self.command[0]} ended with {self.process.returncode}; it is started again")
        self.since = now()
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL)


def commands(place: Path, programs: Path, user: str, zserv: Path) -> list[list[str]]:
    """How the daemons are run: no TCP console, no routes into the kernel, none taken out of it.

    Where zebra's socket is somewhere else, a bfdd is there already.
    """
    nothing = place / NOTHING
    nothing.touch(mode=0o640)
    os.chown(nothing, place.stat().st_uid, place.stat().st_gid)
    own = {"zebra": ["-r"], "bfdd": ["--bfdctl", str(place / "bfdd.sock")], "bgpd": ["-n"]}
    if zserv.parent != place:
        del own["bfdd"]
    return [
        [
            *(str(programs / name), "-f", str(nothing), "-i", str(place / f"{name}.pid")),
            *("-z", str(zserv), "--vty_socket", str(place), "-A", "127.0.0.1", "-P", "0"),
            *("-u", user, "-g", user, "--log", "stdout", "--log-level", "warnings", *extra),
        ]
        for name, extra in own.items()
    ]


class Owner:
    """The loop of the process."""

    def __init__(self, directory: Path, programs: Path, user: str, zserv: Path | None) -> None:
        self.place = directory / PLACE
        self.zserv = zserv or self.place / "zserv.api"
        self.hold = HOLD
        self.heard = now()
        self.stopping = self.terminated = False
        self.socket = self._listen(directory / SOCKET)
        self.programs, self.user = programs, user
        self.daemons: list[Daemon] = []

    def wait(self) -> None:
        """Until an agent needs FRR."""
        signal.signal(signal.SIGTERM, _ended)
        while not (message := self.socket.recv(256)).startswith(b"start"):
            continue
        self._hear(message)

    def run(self) -> None:
        """Until there is no agent any more, or one says stop."""
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        argvs = commands(self.place, self.programs, self.user, self.zserv)
        self.daemons = [Daemon(one) for one in argvs]
        self._start_zebra()
        while not self.stopping and now() - self.heard < self.hold:
            for daemon in self.daemons:
                daemon.start()
            readable, _, _ = select.select([self.socket.fileno(), reader], [], [], self._nap())
            if reader in readable:
                os.read(reader, 4096)
            if self.socket.fileno() in readable:
                self._hear(self.socket.recv(256))
        say("told to stop" if self.stopping else f"no agent for {self.hold:g} seconds")
        self._end()

    def _nap(self) -> float:
        waiting = not all(map(Daemon.runs, self.daemons))
        left = max(0.0, self.heard + self.hold - now())
        return min(left, 0.1 if waiting else 1.0)

    def _start_zebra(self) -> None:
        """The others look for zebra's socket once, and then not again for ten seconds."""
        self.zserv.unlink(missing_ok=True)
        self.daemons[0].start()
        deadline = now() + 5
        while not self.zserv.exists() and now() < deadline:
            time.sleep(0.005)

    def _hear(self, message: bytes) -> None:
        match message.decode(errors="replace").split():
            case ["beat" | "start", seconds]:
                self.heard, self.hold = now(), float(seconds)
            case ["stop"]:
                self.stopping = True

    def _stop(self, *_: object) -> None:
        self.stopping = self.terminated = True

    def _end(self) -> None:
        """Tell the routers, then end the daemons. The end of bgpd alone would not do: where
        graceful restart is agreed, routers take it for a restart and keep the routes. An agent that
        comes now finds nobody, and waits for our lock."""
        self.socket.close()
        try:
            silence(self.place / "bgpd.vty")
        except OSError as error:
            say(f"bgpd cannot be told to withdraw: {error}")
        for daemon in reversed(self.daemons):
            if daemon.process is not None:
                daemon.process.terminate()
        deadline = now() + 2
        while now() < deadline and any(map(Daemon.runs, self.daemons)):
            time.sleep(0.01)
        shutil.rmtree(self.place, ignore_errors=True)

    def _listen(self, path: Path) -> socket.socket:
        path.unlink(missing_ok=True)
        opened = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        opened.bind(str(path))
        os.chmod(path, 0o600)
        return opened


def silence(path: Path) -> None:
    """Shut every BGP instance down: each router gets a notification after which it keeps nothing
    (RFC 8538, hard reset)."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as vty:
        vty.settimeout(2)
        vty.connect(str(path))
        _ask(vty, "enable")
        instances = re.findall(rb"^router bgp .*$", _ask(vty, "show running-config"), re.MULTILINE)
        _ask(vty, "configure terminal")
        for instance in instances:
            _ask(vty, instance.decode())
            _ask(vty, "bgp shutdown")
            _ask(vty, "exit")
    time.sleep(0.2)  # for the notifications to leave


def _ask(vty: socket.socket, command: str) -> bytes:
    vty.sendall(command.encode() + b"\0")
    heard = b""
    while len(heard) < 4 or heard[-4:-1] != _TERMINATOR:
        part = vty.recv(1 << 16)
        if not part:
            raise ConnectionResetError("it ended")
        heard += part
    return heard[:-4]


def furnish(place: Path, user: str) -> None:
    """The daemons' own directory, without what dead ones left there."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(mode=0o750)
    shutil.chown(place, user, user)


def say(text: str) -> None:
    """A line of the log."""
    print(f"owner: {text}", flush=True)


def home() -> Path:
    """Where the FRR of this network namespace lives."""
    return ROOT / f"frr-{os.stat('/proc/thread-self/ns/net').st_ino}"


def main() -> int:
    """The process; 3 when there is one already."""
    parser = argparse.ArgumentParser(prog="owner", description="Owns FRR for a Fairlead agent.")
    parser.add_argument("--directory", type=Path, default=home())
    parser.add_argument("--programs", type=Path, default=PROGRAMS, help="where the daemons are")
    parser.add_argument("--user", default=USER, help="whom they run as")
    parser.add_argument("--zserv", type=Path, help="zebra's socket, where a bfdd runs already")
    parser.add_argument("--stay", action="store_true", help="wait for the next agent at the end")
    given = parser.parse_args()
    given.directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    with (given.directory / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return 3
        while True:
            furnish(given.directory / PLACE, given.user)
            owner = Owner(given.directory, given.programs, given.user, given.zserv)
            if given.stay:
                owner.wait()
            owner.run()
            if owner.terminated or not given.stay:
                return 0


def _ended(*_: object) -> None:
    """SIGTERM while nothing runs."""
    sys.exit(0)


if __name__ == "__main__":
    sys.exit(main())
