"""Engines with a fence and an agent each, as processes, and who of them holds which VIP.

    engines = Engines(lab, ["engine-1", "engine-2"], directory, homes=homes, source=["-f", folder])
    engines.start()
    engines.crash("engine-1")

What is asked about holders is read from the hosts' interfaces; what a client sees of it is asked by
`fairlead.lab.probe.Holders`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from ipaddress import ip_address
from pathlib import Path
from signal import SIGKILL, Signals
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from fairlead.lab.errors import LabError
from fairlead.lab.topology import Address

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from fairlead.lab.host import Host

__all__ = ["AGENT", "FENCE", "Engines", "open_directory"]

AGENT: Final = "agent"
FENCE: Final = "fence"
_SEGMENTS: Final = ("lan", "pods")
_LAST_WORDS: Final = 4000
_SIDE: Final = '"event": "side"'
_LOSS: Final = "netdev lab_loss"


def open_directory() -> TemporaryDirectory[str]:
    """A directory for :class:`Engines`, open to all: bfdd is another user."""
    made = TemporaryDirectory(prefix="fairlead-engines-")
    Path(made.name).chmod(0o755)
    return made


class Engines:
    """Not started yet. ``homes``: the VIPs, and the engine that each is at home on; ``source``:
    the arguments that tell an agent what to serve. The lab ends the processes."""

    def __init__(
        self,
        hosts: Mapping[str, Host],
        names: Sequence[str],
        directory: Path,
        *,
        homes: Mapping[Address, str],
        source: Sequence[str],
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.names: Final = list(names)
        self.homes: Final = dict(homes)
        self._hosts = hosts
        self._directory = directory
        self._source = list(source)
        self._env = {**os.environ, **(env or {})}
        self._running: dict[tuple[str, str], subprocess.Popen[str]] = {}
        self._begun: dict[tuple[str, str], int] = {}

    def start(self) -> None:
        """Start every fence and every agent; does not wait."""
        for name in self.names:
            (self._directory / name).mkdir(mode=0o755, exist_ok=True)
            self.start_fence(name)
            self.start_agent(name)

    def start_fence(self, name: str) -> None:
        """Start the fence of an engine."""
        self._run(name, FENCE, "--directory", str(self._directory / name))

    def start_agent(self, name: str) -> None:
        """Start the agent of an engine."""
        where = self._directory / name
        own = ["--engine", name, "--state", str(where / "state"), "--fence", str(where)]
        self._run(name, AGENT, *own, *self._source)

    def start_again(self, name: str, what: str) -> None:
        """Start the one of an engine that was ended."""
        if what == FENCE:
            self.start_fence(name)
        else:
            self.start_agent(name)

    def pid(self, name: str, what: str) -> int:
        """The process of a fence or agent."""
        return self._running[name, what].pid

    def send(self, name: str, what: str, number: Signals) -> None:
        """Send a signal to a fence or agent."""
        os.kill(self.pid(name, what), number)

    def end(self, name: str, what: str, number: Signals = SIGKILL) -> None:
        """Send it a signal that ends it, and wait for its end."""
        self.send(name, what, number)
        self._running.pop((name, what)).wait(timeout=20)

    def crash(self, name: str, *, silently: bool = False) -> None:
        """Cut both cables of an engine, as when its power fails."""
        for segment in _SEGMENTS:
            self._hosts[name].cut(segment, silently=silently)

    def mend(self, name: str) -> None:
        """Undo :meth:`crash`."""
        for segment in _SEGMENTS:
            self._hosts[name].mend(segment)

    def deafen(self, name: str, to: Iterable[str]) -> None:
        """Have an engine hear nothing that these others say, as where frames are lost one way.
        What clients say is heard."""
        macs = ", ".join(map(self.mac, to))
        hook = "type filter hook ingress device lan priority 0;"
        rule = f"chain in {{ {hook} ether saddr {{ {macs} }} drop; }}"
        text = f"table {_LOSS} {{ {rule}; }}\n"
        self._hosts[name].run(["nft", "-f", "-"], input=text, check=True)

    def hear(self, name: str) -> None:
        """Undo :meth:`deafen`."""
        self._hosts[name].run(["nft", "delete", "table", *_LOSS.split()])

    def part(self, name: str) -> None:
        """Cut an engine off from the other engines alone: clients reach it yet."""
        others = [one for one in self.names if one != name]
        self.deafen(name, others)
        for one in others:
            self.deafen(one, [name])

    def join(self) -> None:
        """Undo :meth:`part`."""
        for name in self.names:
            self.hear(name)

    def mac(self, name: str) -> str:
        """The MAC address by which an engine answers."""
        return self._hosts[name].mac()

    def at_home_on(self, name: str) -> list[Address]:
        """The VIPs of an engine while all are well."""
        return [vip for vip, home in self.homes.items() if home == name]

    def held(self, name: str) -> set[Address]:
        """The VIPs that an engine has on its LAN."""
        shown = self._hosts[name].ip("-o", "address", "show", "dev", "lan").split()
        found = {ip_address(w.split("/")[0]) for w in shown if w.endswith(("/32", "/128"))}
        return found & self.homes.keys()

    def held_once(self) -> bool:
        """Whether every VIP is on exactly one engine."""
        found = [vip for name in self.names for vip in self.held(name)]
        return len(found) == len(self.homes) and set(found) == self.homes.keys()

    def at_home(self) -> bool:
        """Whether every VIP is at home, and nowhere else."""
        return all(self.held(name) == set(self.at_home_on(name)) for name in self.names)

    def together(self) -> bool:
        """Whether every fence said last that it rules together with all others."""
        return all(self._side(name) == set(self.names) for name in self.names)

    def well(self) -> bool:
        """Whether nothing is left of any fault."""
        return self.at_home() and self.together()

    def held_without(self, name: str) -> bool:
        """Whether the others have everything."""
        return self.homes.keys() <= set[Address]().union(
            *(self.held(one) for one in self.names if one != name)
        )

    def until(self, condition: Callable[[], bool], what: str, *, seconds: float = 30) -> float:
        """Wait; the seconds it took. LabError says who holds what, and what was said last."""
        began = time.monotonic()
        while not condition():
            if time.monotonic() - began > seconds:
                held = {name: len(self.held(name)) for name in self.names}
                raise LabError(f"not within {seconds:g} s: {what}; held: {held}\n{self.said()}")
            time.sleep(0.05)
        return time.monotonic() - began

    def log(self, name: str, what: str) -> str:
        """All that a fence or agent said."""
        return self._log(name, what).read_text()

    def said(self) -> str:
        """The last words of all."""
        logs = sorted(self._directory.glob("*.log"))
        return "\n".join(f"--- {p.name}\n{p.read_text()[-_LAST_WORDS:]}" for p in logs)

    def _side(self, name: str) -> set[str]:
        """By the fence that runs now."""
        text = self.log(name, FENCE)[self._begun[name, FENCE] :]
        said = [json.loads(line) for line in text.splitlines() if _SIDE in line]
        return set(said[-1]["side"]) if said and said[-1]["rightful"] else set()

    def _log(self, name: str, what: str) -> Path:
        return self._directory / f"{name}-{what}.log"

    def _run(self, name: str, what: str, *arguments: str) -> None:
        argv = [sys.executable, "-m", "fairlead", what, *arguments]
        with self._log(name, what).open("a") as log:
            self._begun[name, what] = log.tell()
            process = self._hosts[name].popen(argv, stdout=log, stderr=log, env=self._env)
        self._running[name, what] = process
