"""What a running ``up`` serves, for others to read: ``status.json`` in the state directory.

It holds the objects that ``up`` goes by (not the files, which may have moved on, or be held back by
the guard) and what only ``up`` knows: the health of its drivers and who else uses its addresses. A
reader plans these objects against the ledger with the same pure functions, so ``get`` and
``explain`` can say everything that ``plan`` can, and say what is served.
"""

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from fairlead.dialects.translate import translate
from fairlead.model.addresses import IPAddress, canonical, parse_address
from fairlead.model.config import Config
from fairlead.model.kube import KubeObject
from fairlead.model.names import Ref
from fairlead.model.objects import EngineForward
from fairlead.model.plan import Plan
from fairlead.model.verdict import Code, Reason
from fairlead.model.world import Change, World
from fairlead.planner import plan as plan_of
from fairlead.publish.forwards import read as forward_of
from fairlead.runtime.health import DriverHealth
from fairlead.runtime.lock import writer_of
from fairlead.runtime.shelter import sheltered
from fairlead.runtime.store import LedgerStore, StateUnreadable
from fairlead.runtime.verdicts import Impediment, overlaid
from fairlead.sources.kinds import KINDS

FILE = "status.json"
BOOT = Path("/proc/sys/kernel/random/boot_id")


class Held(Struct, frozen=True):
    """What the guard holds back: objects, addresses, the token that confirms it, the message."""

    objects: tuple[Ref, ...]
    addresses: tuple[str, ...]
    token: str
    message: str


class Snapshot(Struct, frozen=True, kw_only=True):
    """The file. Addresses are text here: this is an edge.

    ``in_place``: the addresses this host had on its LANs. ``forwards``: its ports on the
    gateway. ``objects``: kind -> the objects.
    ``unusable``: objects that cannot be used, and why.
    """

    pid: int
    boot: str
    host: str
    started: datetime
    written: datetime
    config: Config
    drivers: tuple[DriverHealth, ...] = ()
    in_place: tuple[str, ...] = ()
    impediments: tuple[tuple[str, Code, str], ...] = ()
    forwards: tuple[EngineForward, ...] = ()
    held: Held | None = None
    sheltering: bool = False
    unusable: tuple[tuple[Ref, Reason], ...] = ()
    objects: dict[str, msgspec.Raw] = {}


class Running(NamedTuple):
    """What is served. ``pid`` is None when the ``up`` that wrote it is no more. ``plan`` has the
    impediments on its verdicts."""

    snapshot: Snapshot
    world: World
    plan: Plan
    pid: int | None


def read(directory: Path) -> Running | None:
    """What the ``up`` on a state directory serves, or served last; None where none ever ran.

    Raises :class:`~fairlead.runtime.lock.StateError`.
    """
    snapshot = load(directory)
    if snapshot is None:
        return None
    try:
        world = _world(snapshot)
        impediments = [Impediment(parse_address(a), code, m) for a, code, m in snapshot.impediments]
    except (msgspec.DecodeError, KeyError, ValueError) as error:
        raise _unreadable(directory / FILE, error) from None
    forwards = [one for one in map(forward_of, snapshot.forwards) if one is not None]
    claims, ledger = translate(world, None), LedgerStore.read(directory)
    plan = plan_of(sheltered(claims, ledger) if snapshot.sheltering else claims, ledger, None)
    return Running(snapshot, world, overlaid(plan, impediments, forwards), writer_of(directory))


def load(directory: Path) -> Snapshot | None:
    """The file alone. Raises :class:`StateUnreadable`."""
    path = directory / FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Snapshot)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, OSError) as error:
        raise _unreadable(path, error) from None


def last(directory: Path) -> Snapshot | None:
    """What the run before left; None also when it cannot be read, for it is only a hint."""
    try:
        return load(directory)
    except StateUnreadable:
        return None


def save(directory: Path, snapshot: Snapshot) -> None:
    """Replace the file in one step: a reader sees the one before or this one. Raises OSError."""
    part = directory / f"{FILE}.part"
    part.write_bytes(msgspec.json.encode(snapshot))
    part.replace(directory / FILE)


def known_addresses(snapshot: Snapshot | None) -> frozenset[IPAddress]:
    """The addresses that this host had when the file was written, if it is the same boot: no other
    host can have taken them since without ours noticing."""
    if snapshot is None or snapshot.boot != boot():
        return frozenset()
    return frozenset(map(parse_address, snapshot.in_place))


def boot() -> str:
    """Which boot this is."""
    return BOOT.read_text().strip()


def objects_of(world: World) -> dict[str, msgspec.Raw]:
    """All objects of a world, encoded by kind."""
    encode = msgspec.json.encode
    return {
        kind: msgspec.Raw(encode([one for rows in table.values() for one in rows.values()]))
        for kind, table in world.tables.items()
    }


def texts(addresses: frozenset[IPAddress] | set[IPAddress]) -> tuple[str, ...]:
    """Addresses as sorted text."""
    return tuple(sorted(map(canonical, addresses)))


def new(**fields: Any) -> Snapshot:
    """A snapshot of this process and boot."""
    return Snapshot(pid=os.getpid(), boot=boot(), **fields)


def _world(snapshot: Snapshot) -> World:
    kinds = {kind.KIND: kind for kind in KINDS.values()}
    changes = [
        Change(one.ref, one)
        for kind, raw in snapshot.objects.items()
        for one in _decoded(raw, kinds[kind])
    ]
    problems = [Change(ref, None, reason) for ref, reason in snapshot.unusable]
    return World(config=snapshot.config, host=snapshot.host).evolve([*changes, *problems])


def _decoded(raw: msgspec.Raw, kind: type[KubeObject]) -> Iterator[KubeObject]:
    yield from msgspec.json.decode(raw, type=list[kind])  # type: ignore[valid-type]


def _unreadable(path: Path, error: Exception) -> StateUnreadable:
    return StateUnreadable(f"{path} cannot be read: {error}. The next 'fairlead up' writes it anew")
