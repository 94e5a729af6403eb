"""Which labs exist, kept in files so that a later start can clean up after a dead owner.

`/run/fairlead-lab/NAME/lab.json` names the owner by pid *and* start time (a pid alone is recycled)
and the boot it belongs to. It is written before the first namespace is made and removed after the
last one is gone, so a namespace never exists without a record. A record without an owner is a
persistent lab: it lives until somebody takes it down or the machine restarts.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fairlead.lab import netns
from fairlead.lab.errors import LabError, LabUnavailable
from fairlead.lab.topology import SWITCH, HostSpec, Topology

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "STATE_DIR",
    "Owner",
    "Record",
    "check_name",
    "claim",
    "forget",
    "locked",
    "namespace_of",
    "read",
    "read_environment",
    "record_names",
    "remove_leftovers",
    "write",
    "write_environment",
]

STATE_DIR: Final = Path("/run/fairlead-lab")
_NAME: Final = re.compile(r"[a-z0-9]{1,24}")
_ENVIRONMENT: Final = "environment.json"
_STARTTIME: Final = 19  # index after the command name; field 22 of proc(5) /proc/pid/stat


@dataclass(frozen=True, slots=True)
class Owner:
    """A process, told from a later one of the same pid by its start (clock ticks since boot)."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Owner | None:
        """The process that has this pid now, or None when there is none."""
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return cls(pid, int(stat.rpartition(")")[2].split()[_STARTTIME]))

    @property
    def alive(self) -> bool:
        return Owner.of(self.pid) == self


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of a lab: `owner` is None for a persistent one."""

    name: str
    topology: Topology
    owner: Owner | None
    boot: str

    @property
    def alive(self) -> bool:
        return self.boot == boot_id() and (self.owner is None or self.owner.alive)

    @property
    def namespaces(self) -> list[str]:
        hosts = [SWITCH, *(host.name for host in self.topology.hosts)]
        return [namespace_of(self.name, host) for host in hosts]


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def namespace_of(lab: str, host: str) -> str:
    """The namespace name; lab names have no '-', so `fl-LAB-` belongs to one lab alone."""
    return f"fl-{lab}-{host}"


def check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise LabError(f"lab name {name!r}: use 1 to 24 of a-z and 0-9")


@contextmanager
def locked() -> Iterator[None]:
    """Hold the one lock under which labs are claimed and leftovers are removed."""
    try:
        STATE_DIR.mkdir(parents=True, exist_ok=True)
        handle = os.open(STATE_DIR / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except PermissionError:
        raise LabUnavailable(
            "the lab needs root to make network namespaces: run it with sudo"
        ) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def claim(name: str, topology: Topology) -> Record:
    """Remove what dead owners left, then take this name for the calling process.

    Raises LabError when the name belongs to a living lab.
    """
    check_name(name)
    with locked():
        remove_leftovers()
        present = read(name)
        if present is not None:
            whose = f"used by pid {present.owner.pid}" if present.owner else "up"
            raise LabError(f"lab {name!r} is already {whose}: take it down or use another name")
        forget(name)  # namespaces of this name without a record are nobody's
        record = Record(name, topology, Owner.of(os.getpid()), boot_id())
        write(record)
    return record


def remove_leftovers() -> list[str]:
    """Remove every lab whose owner is dead; return their names. The lock must be held."""
    dead = []
    for name in record_names():
        record = read(name)
        if record is None or not record.alive:
            dead.append(name)
            forget(name)
    return dead


def forget(name: str) -> None:
    """End the lab's processes, remove its namespaces, then its record. Nothing there: no error."""
    while namespaces := netns.names(namespace_of(name, "")):  # a process may just be making one
        netns.end_processes(namespaces)
        netns.remove(namespaces)
    shutil.rmtree(STATE_DIR / name, ignore_errors=True)


def record_names() -> list[str]:
    if not STATE_DIR.is_dir():
        return []
    return sorted(entry.name for entry in STATE_DIR.iterdir() if _NAME.fullmatch(entry.name))


def read(name: str) -> Record | None:
    """The record of this lab, or None when there is none (or its writer died before it was)."""
    try:
        raw = json.loads((STATE_DIR / name / "lab.json").read_text())
    except FileNotFoundError:
        return None
    owner = raw["owner"]
    return Record(
        name=raw["name"],
        topology=Topology(tuple(HostSpec.of(**host) for host in raw["hosts"])),
        owner=Owner(owner["pid"], owner["started"]) if owner else None,
        boot=raw["boot"],
    )


def write(record: Record) -> None:
    """Write the record so that a reader sees all of it or nothing."""
    directory = STATE_DIR / record.name
    directory.mkdir(mode=0o755, exist_ok=True)
    owner = record.owner
    raw = {
        "name": record.name,
        "owner": {"pid": owner.pid, "started": owner.started} if owner else None,
        "boot": record.boot,
        "hosts": [_plain(host) for host in record.topology.hosts],
    }
    draft = directory / "lab.json.new"
    draft.write_text(json.dumps(raw, indent=1))
    draft.rename(directory / "lab.json")


def write_environment(name: str, environment: dict[str, str]) -> None:
    """Say what programs need in their environment to use this lab; it must hold no secrets."""
    (STATE_DIR / name / _ENVIRONMENT).write_text(json.dumps(environment, indent=1))


def read_environment(name: str) -> dict[str, str]:
    """What `write_environment` wrote, or nothing."""
    try:
        found: dict[str, str] = json.loads((STATE_DIR / name / _ENVIRONMENT).read_text())
    except FileNotFoundError:
        return {}
    return found


def _plain(host: HostSpec) -> dict[str, Any]:
    """The keyword arguments of HostSpec.of that give this host again."""
    return {
        "name": host.name,
        "role": str(host.role),
        "lan": [str(interface) for interface in host.lan],
        "pods": [str(interface) for interface in host.pods],
        "routes": {str(route.to): str(route.via) for route in host.routes},
        "tcp": host.tcp,
        "udp": host.udp,
        "sctp": host.sctp,
    }
