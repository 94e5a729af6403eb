"""One host of a running lab: what can be run, called, cut and asked there."""

from __future__ import annotations

import shutil
import subprocess
import sys
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, ParamSpec, TypeVar

from fairlead.lab import netns
from fairlead.lab.errors import LabError
from fairlead.lab.state import namespace_of
from fairlead.lab.topology import SWITCH, HostSpec, Interface
from fairlead.lab.wiring import port_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from concurrent.futures import Executor
    from pathlib import Path

__all__ = ["Host"]

P = ParamSpec("P")
T = TypeVar("T")
Stream = int | IO[str] | IO[bytes] | None


class Host:
    """A handle on one namespace of a lab; made by the lab, never by hand.

    Processes are started by one long-lived thread of the lab, because the parent-death signal is
    bound to the *thread* that started the process: so they end with the lab and not with a short
    worker of the caller.
    """

    def __init__(self, *, lab: str, spec: HostSpec | None, spawner: Executor, mortal: bool) -> None:
        self._lab = lab
        self._spec = spec
        self._spawner = spawner
        self._mortal = mortal
        self.name: str = spec.name if spec else SWITCH
        self.namespace: str = namespace_of(lab, self.name)
        self.processes: list[subprocess.Popen[str]] = []

    def __repr__(self) -> str:
        return f"<Host {self.name} in {self.namespace}>"

    @property
    def spec(self) -> HostSpec:
        """What the topology says of this host. The switch has no such entry: LabError."""
        if self._spec is None:
            raise LabError("the switch is no host of the topology")
        return self._spec

    @property
    def netns(self) -> Path:
        """The path of the namespace, as `nsenter --net=PATH` takes it."""
        return netns.NETNS_DIR / self.namespace

    @property
    def v4(self) -> str:
        """The first IPv4 address, on the LAN if it has one there, else on the pod segment."""
        return self._first(4)

    @property
    def v6(self) -> str:
        """The first IPv6 address, on the LAN if it has one there, else on the pod segment."""
        return self._first(6)

    def run(
        self,
        argv: Sequence[str],
        *,
        input: str | None = None,
        timeout: float = 30.0,
        check: bool = False,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end and return what it wrote.

        Raises FileNotFoundError, subprocess.TimeoutExpired (the program is killed first) and, with
        `check`, subprocess.CalledProcessError.
        """
        stdin = subprocess.DEVNULL if input is None else subprocess.PIPE
        pipe = subprocess.PIPE
        with self._start(argv, stdin=stdin, stdout=pipe, stderr=pipe, env=env) as process:
            try:
                out, err = process.communicate(input, timeout=timeout)
            except BaseException:
                process.kill()
                raise
        done = subprocess.CompletedProcess(list(argv), process.returncode, out, err)
        if check:
            done.check_returncode()
        return done

    def popen(
        self,
        argv: Sequence[str],
        *,
        stdin: Stream = subprocess.DEVNULL,
        stdout: Stream = None,
        stderr: Stream = None,
        env: Mapping[str, str] | None = None,
        cwd: str | Path | None = None,
    ) -> subprocess.Popen[str]:
        """Start a program, in text mode. It is killed and waited for when the lab ends."""
        process = self._start(argv, stdin=stdin, stdout=stdout, stderr=stderr, env=env, cwd=cwd)
        self.processes.append(process)
        return process

    def call(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a Python function on a thread inside the namespace; return or raise what it does.

        Sockets it returns stay in the namespace, and may be used from any thread.
        """
        return netns.call_inside(self.netns, function, *args, **kwargs)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Put the calling thread into the namespace for the body of the `with`.

        Processes and threads started in the body are inside as well, so `asyncio.run(...)` there
        runs a whole driver in the namespace (without the parent-death signal of `popen`).
        """
        with netns.entered(self.netns):
            yield

    def echo(
        self,
        *,
        name: str | None = None,
        tcp: Sequence[int] = (),
        udp: Sequence[int] = (),
        sctp: Sequence[int] = (),
        http: Sequence[int] = (),
        bind: str | None = None,
    ) -> subprocess.Popen[str]:
        """Start an echo server here, beside those of the topology, and wait until it listens.

        It answers as `name` (default: the host's). LabError when a port is taken.
        """
        argv = [sys.executable, "-m", "fairlead.lab.echo", "--name", name or self.name]
        all_ports = (("--tcp", tcp), ("--udp", udp), ("--sctp", sctp), ("--http", http))
        for option, ports in all_ports:
            argv += [option, *map(str, ports)] if ports else []
        argv += ["--bind", bind] if bind else []
        process = self.popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert process.stdout is not None
        if (said := process.stdout.readline().strip()) != "ready":
            raise LabError(said or f"the echo server on {self.name} ended at once")
        return process

    def kill_processes(self) -> None:
        """Kill everything that runs here (its echo servers too), as when the host's power fails.

        The namespace, its addresses and its kernel state stay.
        """
        netns.end_processes([self.namespace])

    def ip(self, *args: str) -> str:
        """Run `ip` with these arguments here and return its output; LabError says what it said."""
        done = self.run(["ip", *args])
        if done.returncode != 0:
            raise LabError(f"ip {' '.join(args)} in {self.namespace}: {done.stderr.strip()}")
        return done.stdout

    def mac(self, interface: str = "lan") -> str:
        """The MAC address of an interface, as `aa:bb:cc:dd:ee:ff`."""
        words = self.ip("-o", "link", "show", "dev", interface).split()
        return words[words.index("link/ether") + 1]

    def cut(self, segment: str = "lan", *, silently: bool = False) -> None:
        """Pull the cable: the host sees its link go down, or, `silently`, only that nobody hears.

        `silently` takes the switch's port out of the bridge, as when a cable breaks further on.
        """
        how = ("nomaster",) if silently else ("down",)
        self._on_switch("link", "set", "dev", port_name(self.name, segment), *how)

    def mend(self, segment: str = "lan") -> None:
        """Undo `cut`, of either kind."""
        port = port_name(self.name, segment)
        self._on_switch("link", "set", "dev", port, "master", segment, "up")

    def _on_switch(self, *args: str) -> None:
        netns.ip_batch([" ".join(args)], namespace=namespace_of(self._lab, SWITCH))

    def _first(self, version: int) -> str:
        addresses: list[Interface] = [*self.spec.lan, *self.spec.pods]
        for address in addresses:
            if address.version == version:
                return str(address.ip)
        raise LabError(f"{self.name} has no IPv{version} address")

    def _start(
        self,
        argv: Sequence[str],
        *,
        stdin: Stream,
        stdout: Stream,
        stderr: Stream,
        env: Mapping[str, str] | None,
        cwd: str | Path | None = None,
    ) -> subprocess.Popen[str]:
        if shutil.which(argv[0]) is None:
            raise FileNotFoundError(f"no such program: {argv[0]}")
        bound = ("setpriv", "--pdeathsig", "KILL", "--") if self._mortal else ()

        def start() -> subprocess.Popen[str]:
            with self.entered():
                return subprocess.Popen(
                    [*bound, *argv],
                    stdin=stdin,
                    stdout=stdout,
                    stderr=stderr,
                    env=env,
                    cwd=cwd,
                    text=True,
                    start_new_session=not self._mortal,  # what stays must not hear a hang-up
                )

        return self._spawner.submit(start).result()
