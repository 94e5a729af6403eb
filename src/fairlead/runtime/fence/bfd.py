"""Live sessions with the other engines: FRR's bfdd, over its control socket.

bfdd is a daemon that outlives the fence, so that a restarted fence finds its sessions up. It needs
no other part of FRR: peers are added through the same socket that pushes their state. A frame is
length (u32), id (u16), type (u8) and version (u8), big-endian, then JSON (FRR, ``bfdctl.h``).
"""

import asyncio
import json
import os
import shutil
import struct
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any

from fairlead.model.addresses import IPAddress, canonical, parse_address
from fairlead.runtime.fence.urgency import lift_session

HEADER = struct.Struct("!IHBB")
VERSION = 1
ADD, DELETE, SUBSCRIBE, NOTIFY = 2, 3, 4, 4
EVERYTHING = b"\xff" * 8
BFDD = "/usr/lib/frr/bfdd"
USER = "frr"
PATIENCE = 5.0
"""Seconds that bfdd gets from its start to its socket; a second one would be in the way."""
AGAIN = 0.2
"""Seconds between two attempts to reach bfdd."""
RECOVERY = 5.0
"""Seconds after which sessions that a restarted bfdd has not got again are down."""


class Unavailable(Exception):
    """bfdd is not installed or does not start."""


class Sessions:
    """Sessions of this engine, ``multiplier`` times ``interval`` milliseconds each. ``changed`` is
    called with who is up whenever that differs. ``bfdd``: the socket of one that somebody else
    runs; None: it lives in ``directory`` and is started here."""

    def __init__(
        self,
        directory: Path,
        *,
        own: IPAddress,
        changed: Callable[[frozenset[IPAddress]], None],
        interval: int = 100,
        multiplier: int = 3,
        bfdd: Path | None = None,
    ) -> None:
        self.up: frozenset[IPAddress] = frozenset()
        self.socket = bfdd or directory / "bfdd.sock"
        self._starts = bfdd is None
        self._directory, self._own, self._changed = directory, own, changed
        self._timing = {
            "detect-multiplier": multiplier,
            "receive-interval": interval,
            "transmit-interval": interval,
        }
        self._wanted: frozenset[IPAddress] = frozenset()
        self._known: set[IPAddress] = set()
        self._writer: asyncio.StreamWriter | None = None
        self._start_at = 0.0
        self._lost = frozenset[IPAddress]()
        self._recovered_by = 0.0

    def want(self, peers: Collection[IPAddress]) -> None:
        """Have sessions with exactly these."""
        self._wanted = frozenset(peers)
        self._adjust()
        self._tell(self.up & self._wanted)

    async def run(self) -> None:
        """Until cancelled: follow bfdd, started where it does not run."""
        while True:
            try:
                reader, self._writer = await asyncio.open_unix_connection(str(self.socket))
            except OSError:
                if self._starts and monotonic() >= self._start_at:
                    self._start_at = monotonic() + PATIENCE
                    start(self._directory)
                await asyncio.sleep(AGAIN)
                continue
            self._known.clear()
            try:
                self._send(SUBSCRIBE, EVERYTHING)
                self._adjust()
                await self._read(reader)
            except (OSError, asyncio.IncompleteReadError):
                pass  # it has ended: said below, before others notice it by themselves
            finally:
                self._writer.close()
                self._writer = None
                self._lost |= self.up
                self._recovered_by = monotonic() + RECOVERY
                self._tell(frozenset())  # without bfdd nobody is known to be alive
            await asyncio.sleep(AGAIN)

    @property
    def reached(self) -> bool:
        """Whether bfdd answers."""
        return self._writer is not None

    @property
    def blind(self) -> bool:
        """Whether bfdd ended and has not got back yet what it had: then its silence says nothing
        about the others, and theirs about this engine neither."""
        if self._lost <= self.up or monotonic() > self._recovered_by:
            self._lost = frozenset()
        return bool(self._lost)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while True:
            length, _, kind, _ = HEADER.unpack(await reader.readexactly(HEADER.size))
            payload = await reader.readexactly(length)
            if kind == NOTIFY:
                self._notified(json.loads(payload))

    def _notified(self, said: Mapping[str, Any]) -> None:
        with suppress(KeyError, ValueError):
            peer = parse_address(said["peer-address"])
            if said["op"] == "status":
                up = said["state"] == "up" and peer in self._wanted
                self._tell(self.up | {peer} if up else self.up - {peer})

    def _adjust(self) -> None:
        if self._writer is None:
            return
        for peer in self._wanted - self._known:
            self._send(ADD, self._peer(peer))
        for peer in self._known - self._wanted:
            self._send(DELETE, self._peer(peer))
        self._known = set(self._wanted)

    def _peer(self, peer: IPAddress) -> bytes:
        entry = {"peer-address": canonical(peer), "local-address": canonical(self._own)}
        return json.dumps({f"ipv{peer.version}": [entry | self._timing]}).encode()

    def _send(self, kind: int, payload: bytes) -> None:
        if self._writer is not None:
            self._writer.write(HEADER.pack(len(payload), 1, kind, VERSION) + payload)

    def _tell(self, up: frozenset[IPAddress]) -> None:
        if up != self.up:
            self.up = up
            self._changed(up)


def start(directory: Path) -> None:
    """Start bfdd as a daemon with its files in a directory of its own; it stays when we end.

    Raises :class:`Unavailable`.
    """
    if not Path(BFDD).exists():
        raise Unavailable(f"{BFDD} is missing: install frr")
    directory.mkdir(parents=True, exist_ok=True)
    shutil.chown(directory, USER, USER)
    empty = directory / "bfdd.conf"
    empty.touch()
    shutil.chown(empty, USER, USER)
    argv = [BFDD, "-d", "-f", str(empty), "-i", str(directory / "bfdd.pid")]
    argv += ["-z", str(directory / "zserv.api"), "--vty_socket", str(directory)]
    argv += ["--bfdctl", str(directory / "bfdd.sock"), "-u", USER, "-g", USER, "-P", "0"]
    code = os.spawnv(os.P_WAIT, BFDD, argv)
    if code:
        raise Unavailable(f"{BFDD} does not start (exit code {code})")
    with suppress(OSError, ValueError):  # it has ended again: it is started again
        lift_session(int((directory / "bfdd.pid").read_text()))
