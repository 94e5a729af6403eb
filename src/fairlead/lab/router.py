"""A real router of the lab: FRR on one of its hosts, configured in FRR's words or in Cisco's.

    with Router(lab["router"], from_cisco(text, interfaces={"gigabitEthernet3": "lan"})) as router:
        router.show("ip route 10.10.16.224/32")

The daemons end with the lab, also when it is killed: each is alone in a process namespace that the
kernel ends with the process that made it.
"""

from __future__ import annotations

import ipaddress
import json
import re
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fairlead.lab.errors import LabError, LabUnavailable

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

    from fairlead.lab.host import Host

__all__ = ["Router", "from_cisco"]

PROGRAMS: Final = Path("/usr/lib/frr")
DAEMONS: Final = ("zebra", "bfdd", "bgpd")
PATIENCE: Final = 10.0
# FRR changes its user, and the kernel forgets then whose death it should share; the shell does not.
_CONTAINED: Final = ("unshare", "--pid", "--fork", "--kill-child=KILL", "--")
_WAITING: Final = ("sh", "-c", '"$@" & wait', "sh")


class Router:
    """FRR on a host. LabUnavailable when FRR is not installed, LabError when it does not start or
    refuses a line of the configuration."""

    def __init__(self, host: Host, config: str) -> None:
        self.host: Final = host
        self._config = config
        self._directory: Path | None = None
        self._running: dict[str, subprocess.Popen[str]] = {}

    def __enter__(self) -> Router:
        if not (PROGRAMS / "bgpd").exists():
            raise LabUnavailable("the router of the lab needs FRR: install frr")
        self._directory = Path(tempfile.mkdtemp(prefix="fairlead-router-"))
        shutil.chown(self._directory, "frr", "frr")
        (self._directory / "vtysh.conf").touch()
        try:
            self.start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    @property
    def directory(self) -> Path:
        """Where its sockets are, for `vtysh --vty_socket`."""
        if self._directory is None:
            raise LabError(f"the router on {self.host.name} is not started")
        return self._directory

    def start(self) -> None:
        """Start what does not run and give it the configuration."""
        for name in DAEMONS:
            if name not in self._running:
                self._running[name] = self._launch(name)
        self.configure(self._config)

    def kill(self) -> None:
        """The daemons end at once, as when the router's power fails; routes stay in its kernel."""
        for process in self._running.values():
            inner = _children(process.pid)
            process.kill()
            process.wait()
            self.wait(lambda pids=inner: not any(map(_alive, pids)), "the router's daemons end")  # type: ignore[misc]
        self._running.clear()

    def configure(self, text: str) -> None:
        """More configuration, as typed after `configure terminal`."""
        file = self.directory / "typed.conf"
        file.write_text(text)
        said = self._vtysh("-f", str(file))
        if refused := [line for line in said.splitlines() if line.startswith(("%", "line "))]:
            raise LabError(f"the router on {self.host.name} refuses: {'; '.join(refused)}")

    def show(self, what: str) -> Any:
        """`show WHAT json`, read."""
        said = self._vtysh("-c", f"show {what} json")
        try:
            return json.loads(said or "{}")
        except ValueError:
            raise LabError(f"show {what}: {said.strip()}") from None

    def next_hops(self, prefix: str) -> set[str]:
        """Where the kernel sends what is for this prefix."""
        version = ipaddress.ip_network(prefix).version
        routes = json.loads(self.host.ip("-j", f"-{version}", "route", "show", prefix) or "[]")
        return set(_gateways(routes))

    def wait(self, what: Callable[[], bool], why: str, *, patience: float = PATIENCE) -> float:
        """Poll until it holds; the seconds it took. LabError after `patience` seconds."""
        start = time.monotonic()
        while not what():
            if time.monotonic() - start > patience:
                raise LabError(f"not within {patience} s: {why}")
            time.sleep(0.005)
        return time.monotonic() - start

    def _launch(self, name: str) -> subprocess.Popen[str]:
        place = self.directory
        nothing = place / "none.conf"
        nothing.touch()
        for stale in (place / f"{name}.vty", *([place / "zserv.api"] if name == "zebra" else [])):
            stale.unlink(missing_ok=True)
        files = ("-f", str(nothing), "-i", str(place / f"{name}.pid"))
        sockets = ("-z", str(place / "zserv.api"), "--vty_socket", str(place), "-P", "0")
        own = ("--bfdctl", str(place / "bfdd.sock")) if name == "bfdd" else ()
        with (place / f"{name}.log").open("w") as log:
            process = self.host.popen(
                [
                    *_CONTAINED,
                    *_WAITING,
                    str(PROGRAMS / name),
                    *files,
                    *sockets,
                    *own,
                    "-A",
                    "127.0.0.1",
                ],
                stdout=log,
                stderr=log,
            )
        expected = [f"{name}.vty", *(["zserv.api"] if name == "zebra" else [])]
        try:
            self.wait(lambda: all((place / entry).exists() for entry in expected), f"{name} starts")
        except LabError as error:
            raise LabError(f"{error}: {(place / f'{name}.log').read_text().strip()}") from None
        return process

    def _vtysh(self, *args: str) -> str:
        base = ("vtysh", "--vty_socket", str(self.directory), "--config_dir", str(self.directory))
        done = self.host.run([*base, *args])
        return done.stdout + done.stderr

    def _end(self) -> None:
        self.kill()
        if self._directory is not None:
            with suppress(FileNotFoundError):
                shutil.rmtree(self._directory)


def _children(pid: int) -> list[int]:
    with suppress(FileNotFoundError):
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def _gateways(routes: Any) -> Iterator[str]:
    for route in routes:
        hops = route.get("nexthops", [route])
        yield from (hop["gateway"] for hop in hops if "gateway" in hop)


def from_cisco(text: str, *, interfaces: Mapping[str, str]) -> str:
    """A configuration of IOS in FRR's words; `interfaces` says what its interfaces are called here.

    What the two say alike passes as it is. IOS takes routes from eBGP neighbours without a policy,
    and a listen range before its peer group; its BFD times are the interface's.
    """
    lines: list[str] = []
    ranges: list[str] = []
    times = "bfd"
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith("bgp listen range "):
            ranges.append(f" {line}")
        elif found := re.fullmatch(r"bfd interval (\d+) min_rx (\d+) multiplier (\d+)", line):
            words = ("transmit-interval", "receive-interval", "detect-multiplier")
            values = zip(words, found.groups(), strict=True)
            times = "\n".join(
                ["bfd", " profile cisco", *(f"  {a} {b}" for a, b in values), " exit"]
            )
        else:
            lines += _translated(raw, interfaces)
    at = next(i for i, line in enumerate(lines) if line.strip().startswith("address-family"))
    return "\n".join([times, "exit", *lines[:at], *ranges, *lines[at:], ""])


def _translated(raw: str, interfaces: Mapping[str, str]) -> list[str]:
    indent = raw[: len(raw) - len(raw.lstrip())]
    match raw.split():
        case ["router", "bgp", _]:
            return [raw, " no bgp ebgp-requires-policy"]
        case ["neighbor", who, "fall-over", "bfd"]:
            return [f"{indent}neighbor {who} bfd", f"{indent}neighbor {who} bfd profile cisco"]
        case ["maximum-paths", "eibgp", count]:
            return [f"{indent}maximum-paths {count}", f"{indent}maximum-paths ibgp {count}"]
        case ["interface", name]:
            return [f"interface {interfaces[name]}"]
        case ["ip", "address", address, mask]:
            return [f"{indent}ip address {ipaddress.ip_interface(f'{address}/{mask}')}"]
        case [word, *_] if not word.startswith("!"):
            return [raw]
    return []
