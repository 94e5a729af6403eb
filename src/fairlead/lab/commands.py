"""Labs for people: one that stays after the command ends, and what is done with it.

The functions behind `fairlead lab up|down|exec`; they print nothing.
"""

from __future__ import annotations

import os
import shutil
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NoReturn

from fairlead.lab import netns, state
from fairlead.lab.errors import LabError
from fairlead.lab.lab import Hosts, Lab, populate
from fairlead.lab.topology import SWITCH, Topology
from fairlead.lab.wiring import build

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["LabInfo", "attach", "down", "exec_", "list_labs", "up"]


@dataclass(frozen=True, slots=True)
class LabInfo:
    """A lab as `list_labs` shows it. `owner` is a pid, or None for one that stays until `down`."""

    name: str
    topology: Topology
    owner: int | None
    alive: bool

    @property
    def persistent(self) -> bool:
        return self.owner is None

    @classmethod
    def of(cls, record: state.Record) -> LabInfo:
        owner = record.owner.pid if record.owner else None
        return cls(record.name, record.topology, owner, record.alive)


def up(
    name: str,
    topology: Topology,
    *,
    detach: bool = True,
    furnish: Callable[[Hosts], None] | None = None,
    ready: Callable[[LabInfo], None] | None = None,
) -> LabInfo:
    """Build a lab that stays; `furnish` starts more in it, `ready` is called once it stands.

    With `detach=False` it stays in the foreground until Ctrl-C, takes the lab down and returns; on
    SIGTERM and SIGHUP it takes the lab down too and raises SystemExit. Raises LabError (the name is
    in use, something could not be built; then nothing is left) or LabUnavailable.
    """
    if not detach:
        return _foreground(name, topology, furnish, ready)
    record = state.claim(name, topology)
    hosts = Hosts(record, mortal=False)
    try:
        build(record)
        populate(hosts, detach=True)
        if furnish is not None:
            furnish(hosts)
        record = replace(record, owner=None)
        state.write(record)
        hosts.leave()
    except BaseException:
        with state.locked():
            state.forget(name)
        raise
    finally:
        hosts.close()
    info = LabInfo.of(record)
    if ready is not None:
        ready(info)
    return info


def down(name: str) -> None:
    """Take a lab down, whoever's it is, processes included. LabError when there is none."""
    state.check_name(name)
    with state.locked():
        if name not in state.record_names():
            raise LabError(f"there is no lab {name!r}; there are: {_known()}")
        state.forget(name)


def list_labs() -> list[LabInfo]:
    """All labs with a record, by name; a dead one (`alive` False) goes with the next start."""
    records = [state.read(name) for name in state.record_names()]
    return [LabInfo.of(record) for record in records if record is not None]


@contextmanager
def attach(name: str) -> Iterator[Hosts]:
    """The hosts of a lab that is up, whoever's it is.

    Leaving the block leaves the lab as it is, but ends what was started with `popen` in it.
    """
    hosts = Hosts(_living(name), mortal=True)
    try:
        yield hosts
    finally:
        hosts.close()


def exec_(name: str, host: str, argv: Sequence[str]) -> NoReturn:
    """Become this program inside a host of a lab that is up (`switch` is one too).

    What `state.write_environment` left is set for it; its PATH is searched first. Replaces the
    calling process, so that terminals and signals are the program's own. Raises LabError when lab
    or host are not there and FileNotFoundError when the program is not.
    """
    record = _living(name)
    known = [SWITCH, *(spec.name for spec in record.topology.hosts)]
    if host not in known:
        raise LabError(f"lab {name!r} has no host {host!r}, only {', '.join(known)}")
    for key, value in state.read_environment(name).items():
        os.environ[key] = f"{value}:{os.environ.get(key, '')}" if key == "PATH" else value
    program = shutil.which(argv[0])
    if program is None:
        raise FileNotFoundError(f"no such program: {argv[0]}")
    namespace = netns.NETNS_DIR / state.namespace_of(name, host)
    netns.enter(os.open(namespace, os.O_RDONLY | os.O_CLOEXEC))
    os.execv(program, list(argv))


def _foreground(
    name: str,
    topology: Topology,
    furnish: Callable[[Hosts], None] | None,
    ready: Callable[[LabInfo], None] | None,
) -> LabInfo:
    with Lab(topology, name=name) as hosts:
        if furnish is not None:
            furnish(hosts)
        info = LabInfo.of(_living(name))
        with suppress(KeyboardInterrupt):
            if ready is not None:
                ready(info)
            while True:  # not signal.pause(): a signal just before it would be lost
                time.sleep(0.5)
    return info


def _living(name: str) -> state.Record:
    state.check_name(name)
    record = state.read(name)
    if record is None or not record.alive:
        raise LabError(f"there is no lab {name!r}; there are: {_known()}")
    return record


def _known() -> str:
    return ", ".join(info.name for info in list_labs() if info.alive) or "none"
