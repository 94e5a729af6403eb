"""The real `fairlead up` as a process in the namespace of a host of the lab.

What it says goes to a file; what it serves is read from its state directory, as `fairlead get`
does. What the kernel has is asked with `ip` and `nft`, never through Fairlead's own drivers.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from fairlead.lab import Host
from fairlead.publish.contract import ServiceEntry
from fairlead.publish.document import document
from fairlead.runtime import snapshot

from .manifests import Folder

PATIENCE = 15.0
"""Seconds within which everything must have come true; a full round comes every 5 s."""
TABLE = "fairlead"
P = ParamSpec("P")
Value = TypeVar("Value")


def until(
    what: str, look: Callable[[], Value], wanted: Callable[[Value], bool], seconds: float = PATIENCE
) -> Value:
    """Look again and again until what is seen is wanted; what was seen then. Else fail with what
    was seen last."""
    end = time.monotonic() + seconds
    while True:
        seen = look()
        if wanted(seen):
            return seen
        if time.monotonic() > end:
            raise AssertionError(f"never came in {seconds} s: {what}; last seen: {seen!r}")
        time.sleep(0.01)


def becomes(expected: Value, look: Callable[P, Value], *args: P.args, **kwargs: P.kwargs) -> None:
    """Look again and again until it is as expected."""
    until(repr(expected), lambda: look(*args, **kwargs), lambda seen: seen == expected)


class Up:
    """One `fairlead up`, which may be started again on the same folder and state."""

    def __init__(self, host: Host, directory: Path, folder: Folder | None = None) -> None:
        self.host = host
        self.state = directory / f"state-{host.name}"
        self.folder = folder or Folder(directory / "manifests")
        self.log = directory / f"{host.name}.log"
        self.process: subprocess.Popen[str] | None = None

    def start(self, *arguments: str) -> None:
        """Start it and wait until it says so."""
        begun = len(self.said())
        self.process = self.spawn(*arguments)
        until("the start", self.said, lambda said: "serves as engine" in said[begun:])

    def spawn(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start it, without waiting."""
        command = [sys.executable, "-m", "fairlead", *self.command_line(*arguments)]
        command += ["--state", str(self.state), "--engine", self.host.name]
        with self.log.open("a") as log:
            return self.host.popen(command, stdout=log, stderr=log, env=_environment())

    def command_line(self, *arguments: str) -> list[str]:
        """The command, without whose state and engine it is."""
        return ["up", "-f", str(self.folder.path), *arguments]

    def stop(self) -> int:
        """Stop it as systemd does; its exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(timeout=30)

    def kill(self) -> None:
        """Kill it at once; what it did stays."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        """Kill it if it runs, and take out of the kernel what it left there."""
        if self.process is not None and self.process.poll() is None:
            self.kill()
        if self.tables():
            self.host.run(["nft", "delete", "table", "inet", TABLE], check=True)
        for address in self.held():
            interface = "lo" if address in self.held("lo") else "lan"
            self.host.ip("address", "delete", address, "dev", interface)

    def said(self) -> str:
        """Everything it said so far."""
        return self.log.read_text() if self.log.exists() else ""

    def command(self, *words: str) -> str:
        """What another `fairlead` command says about this state."""
        argv = [sys.executable, "-m", "fairlead", *words, "--state", str(self.state)]
        return self.host.run(argv, check=True, env=_environment()).stdout

    def entry(self, name: str, namespace: str = "default") -> ServiceEntry | None:
        """What is said of a Service now."""
        running = snapshot.read(self.state)
        if running is None:
            return None
        services = document(running.plan, running.world).services
        return next((s for s in services if (s.namespace, s.name) == (namespace, name)), None)

    def verdict(self, name: str, namespace: str = "default") -> str:
        """The state of a Service, with the code of the reason if there is one."""
        entry = self.entry(name, namespace)
        return f"{entry.state} {entry.reason}".strip() if entry else "unknown"

    def addresses(self, name: str, namespace: str = "default") -> list[str]:
        """The addresses of a Service, sorted."""
        entry = self.entry(name, namespace)
        return entry.addresses if entry else []

    def held(self, interface: str = "") -> list[str]:
        """The host addresses (/32, /128) in the kernel, without the loopback ones."""
        device = ("dev", interface) if interface else ()
        links: list[Any] = json.loads(self.host.ip("-j", "address", "show", *device))
        return sorted(
            entry["local"]
            for link in links
            for entry in link.get("addr_info", ())
            if entry["prefixlen"] == (32 if entry["family"] == "inet" else 128)
            and entry["local"] not in ("127.0.0.1", "::1")
        )

    def tables(self) -> list[str]:
        """Fairlead's nftables tables in the kernel."""
        listed = json.loads(self.host.run(["nft", "-j", "list", "tables"], check=True).stdout)
        names = [entry["table"]["name"] for entry in listed["nftables"] if "table" in entry]
        return [name for name in names if name.startswith(TABLE)]

    def listeners(self) -> set[str]:
        """The IPv4 listeners in the kernel, as `tcp 192.0.2.10:80`."""
        if TABLE not in self.tables():
            return set()
        argv = ["nft", "-j", "list", "map", "inet", TABLE, "listeners4"]
        listed = json.loads(self.host.run(argv, check=True).stdout)
        elements = next(e["map"] for e in listed["nftables"] if "map" in e).get("elem", ())
        keys = (key["concat"] for key, _ in elements)
        return {f"{protocol} {address}:{port}" for address, protocol, port in keys}


def _environment() -> dict[str, str]:
    """Without what a developer may have set, which would be configuration."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("FAIRLEAD_", "lb_class"))}
