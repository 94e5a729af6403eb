"""A lab that lives as long as a `with` block, and the handle on one that was left up.

    with Lab(cluster(engines=2)) as lab:
        lab["client"].call(tcp_ask, "192.0.2.10", 80)

Whatever ends the block takes the lab with it: return, exception, Ctrl-C, and SIGTERM or SIGHUP
(they raise SystemExit while a lab is up, unless the program handles them itself). After `kill -9`
the processes die with their owner and the next start of any lab removes the rest.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from fairlead.lab import state
from fairlead.lab.errors import LabError
from fairlead.lab.host import Host
from fairlead.lab.layout import cluster
from fairlead.lab.wiring import build

if TYPE_CHECKING:
    from pathlib import Path
    from types import FrameType, TracebackType

    from fairlead.lab.topology import Role, Topology

__all__ = ["Hosts", "Lab", "populate"]

_counter: Final = itertools.count(1)
_FATAL: Final = (signal.SIGTERM, signal.SIGHUP)


class Hosts(Mapping[str, Host]):
    """The hosts of a running lab by name, in the order of the topology; `switch` stands beside."""

    def __init__(self, record: state.Record, *, mortal: bool) -> None:
        self.name: Final = record.name
        self.topology: Final = record.topology
        self.directory: Final = state.STATE_DIR / record.name
        self._spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lab spawner")
        make = partial(Host, lab=record.name, spawner=self._spawner, mortal=mortal)
        self.switch: Final = make(spec=None)
        self._hosts = {spec.name: make(spec=spec) for spec in record.topology.hosts}

    def __getitem__(self, name: str) -> Host:
        try:
            return self._hosts[name]
        except KeyError:
            raise KeyError(f"lab {self.name!r} has no host {name!r}, only {[*self]}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._hosts)

    def __len__(self) -> int:
        return len(self._hosts)

    def with_role(self, role: Role | str) -> list[Host]:
        """The hosts of one role, in the order of the topology."""
        return [host for host in self._hosts.values() if host.spec.role == role]

    def leave(self) -> None:
        """Have what was started through these handles go on without them."""
        for host in (self.switch, *self._hosts.values()):
            for process in host.processes:
                process.returncode = process.poll() or 0  # Popen then never asks for its end
                _close_streams(process)
            host.processes.clear()

    def close(self) -> None:
        """Let go of the lab; what was started through these handles is killed and waited for."""
        for host in (self.switch, *self._hosts.values()):
            for process in host.processes:
                process.kill()
                process.wait()
                _close_streams(process)
        self._spawner.shutdown()


class Lab:
    """The context manager; entering it builds the network and starts the echo servers.

    Without a name it gets one of its own, so that any number of labs can be up at once. Raises
    LabUnavailable when labs cannot be had here and LabError when the name is in use.
    """

    def __init__(self, topology: Topology | None = None, *, name: str | None = None) -> None:
        self.topology: Final = topology or cluster()
        self.name: Final = name or f"p{os.getpid()}n{next(_counter)}"
        self._hosts: Hosts | None = None
        self._handlers: dict[signal.Signals, object] = {}

    def __enter__(self) -> Hosts:
        self._take_signals()
        try:
            record = state.claim(self.name, self.topology)
            self._hosts = Hosts(record, mortal=True)
            try:
                build(record)
                populate(self._hosts, detach=False)
            except BaseException:
                self._remove()
                raise
        except BaseException:
            self._give_signals_back()
            raise
        return self._hosts

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._remove()
        finally:
            self._give_signals_back()

    def _remove(self) -> None:
        with state.locked():
            state.forget(self.name)
        if self._hosts is not None:
            self._hosts.close()
            self._hosts = None

    def _take_signals(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        for number in _FATAL:
            if signal.getsignal(number) is signal.SIG_DFL:
                self._handlers[number] = signal.signal(number, _leave)

    def _give_signals_back(self) -> None:
        for number in self._handlers:
            if signal.getsignal(number) is _leave:
                signal.signal(number, signal.SIG_DFL)
        self._handlers.clear()


def _leave(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)


def populate(hosts: Hosts, *, detach: bool) -> None:
    """Start the echo servers the topology asks for and wait until all of them listen."""
    entries = [
        {
            "name": host.name,
            "netns": str(host.netns),
            "tcp": host.spec.tcp,
            "udp": host.spec.udp,
            "sctp": host.spec.sctp,
        }
        for host in hosts.values()
        if host.spec.serves
    ]
    if not entries:
        return
    argv = [sys.executable, "-m", "fairlead.lab.echo", "--many", *(["--detach"] if detach else [])]
    log = hosts.directory / "echo.log"
    with log.open("w") as errors:
        launcher = hosts.switch.popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
        )
    assert launcher.stdin is not None
    assert launcher.stdout is not None
    with suppress(BrokenPipeError):  # it died at once; its log says why
        launcher.stdin.write(json.dumps(entries))
        launcher.stdin.close()
    if not launcher.stdout.readline():
        raise LabError(f"the echo servers did not start: {_last_line(log)}")
    if detach:
        launcher.wait()


def _close_streams(process: subprocess.Popen[str]) -> None:
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def _last_line(path: Path) -> str:
    lines = path.read_text().strip().splitlines()
    return lines[-1] if lines else "no reason given"
