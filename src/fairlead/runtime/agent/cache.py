"""What an agent serves by, on disk: so that it can start while the API server is away.

One line of JSON for each object after a first line that says what the file is; the last line counts
them, so that a file that was cut short is known as one. It is only a hint: an agent that finds no
usable one leaves the data plane as it is and waits for the API server.
"""

import asyncio
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from msgspec import Struct

from fairlead.model.addresses import IPAddress, parse_address
from fairlead.model.world import Change, World
from fairlead.runtime.reconcile import undisturbed
from fairlead.runtime.snapshot import boot
from fairlead.sources.kinds import KINDS

if TYPE_CHECKING:
    from fairlead.model.kube import KubeObject

FILE = "agent.json"
FORMAT = 1
EVERY = 3.0
"""Seconds between two writes, at least."""
SHARE = 50
"""Writing may take one part in so many of the time."""
CHUNK = 1 << 18
TYPES = {kind.KIND: kind for kind in KINDS.values()}


class Header(Struct, frozen=True, kw_only=True):
    """The first line. ``boot``: in which it was written; ``dataplane``: what the objects suffice
    for; ``in_place``: the addresses that this engine had."""

    format: int = FORMAT
    engine: str
    dataplane: str
    boot: str
    written: datetime
    in_place: tuple[str, ...] = ()


class _Footer(Struct):
    objects: int


class Cached(NamedTuple):
    """What was read."""

    header: Header
    changes: tuple[Change, ...]

    @property
    def known(self) -> frozenset[IPAddress]:
        """The addresses that this engine has held since before, if that was in this boot."""
        if self.header.boot != boot():
            return frozenset()
        return frozenset(map(parse_address, self.header.in_place))


class UnusableCache(Exception):
    """A cache that cannot be used; the message says why."""


def load(directory: Path, *, engine: str, dataplane: str) -> Cached | None:
    """The cache; None where there is none. Raises :class:`UnusableCache`."""
    path = directory / FILE
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UnusableCache(f"{path} cannot be read: {error.strerror}") from None
    try:
        header, changes = _decoded(lines)
    except (msgspec.MsgspecError, KeyError, ValueError, IndexError) as error:
        raise UnusableCache(f"{path} cannot be used: {error}") from None
    if (header.engine, header.dataplane) != (engine, dataplane):
        text = f"it is of engine {header.engine}, dataplane {header.dataplane}"
        raise UnusableCache(f"{path} cannot be used: {text}")
    return Cached(header, changes)


def _decoded(lines: list[bytes]) -> tuple[Header, tuple[Change, ...]]:
    header = msgspec.json.decode(lines[0], type=Header)
    if header.format != FORMAT:
        raise ValueError(f"its format is {header.format}, not {FORMAT}")
    count = msgspec.json.decode(lines[-1], type=_Footer).objects
    if count != len(lines) - 2:
        raise ValueError("it is cut short")
    changes = [_change(line) for line in lines[1:-1]]
    return header, tuple(changes)


def _change(line: bytes) -> Change:
    kind, raw = msgspec.json.decode(line, type=tuple[str, msgspec.Raw])
    one: KubeObject = msgspec.json.decode(raw, type=TYPES[kind])
    return Change(one.ref, one)


def save(directory: Path, header: Header, world: World) -> None:
    """Replace the file in one step. Raises OSError."""
    part = directory / f"{FILE}.part"
    with part.open("wb", buffering=CHUNK) as file:
        for line in _lines(header, world):
            file.write(line)
            file.write(b"\n")
        file.flush()
        os.fsync(file.fileno())
    part.replace(directory / FILE)


def _lines(header: Header, world: World) -> Iterator[bytes]:
    encode = msgspec.json.encode
    yield encode(header)
    count = 0
    for kind, spaces in sorted(world.tables.items()):
        for rows in spaces.values():
            for one in rows.values():
                count += 1
                yield encode((kind, one))
    yield encode(_Footer(count))


class CacheKeeper:
    """Keeps the cache true. ``told``: whether it can be written; an empty text when it can."""

    def __init__(
        self, directory: Path, header: Callable[[], Header], told: Callable[[str], None]
    ) -> None:
        self._directory, self._header, self._told = directory, header, told
        self._world: World | None = None
        self._written: World | None = None
        self._wake = asyncio.Event()
        self._earliest = 0.0

    def offer(self, world: World) -> None:
        """This is what is served by from now on."""
        self._world = world
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await asyncio.sleep(max(0.0, self._earliest - monotonic()))
            await self.write()

    async def write(self) -> None:
        """Write it now, unless it is written."""
        world = self._world
        if world is None or world is self._written:
            return
        started = monotonic()
        try:
            await undisturbed(save, self._directory, self._header(), world)
        except OSError as error:
            self._told(f"{self._directory / FILE} cannot be written: {error.strerror}")
            self._wake.set()
        else:
            self._told("")
            self._written = world
        now = monotonic()
        self._earliest = now + max(EVERY, SHARE * (now - started))


def header(*, engine: str, dataplane: str, in_place: tuple[str, ...]) -> Header:
    """The header of a file that is written now."""
    return Header(
        engine=engine,
        dataplane=dataplane,
        boot=boot(),
        written=datetime.now(UTC),
        in_place=in_place,
    )
