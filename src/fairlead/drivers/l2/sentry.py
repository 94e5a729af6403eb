"""Does somebody else use an address that is held here? Heard all the time (RFC 5227 §2.4).

A socket for each interface and family, with a filter in the kernel that lets through nothing but
ARP packets that claim a held address as their sender's, and neighbour advertisements for one: at
rest nobody wakes up. A probe claims nothing; the kernel answers it.

What is heard within :data:`CALM` seconds of a take-over is the former holder, or another engine of
ours that takes over from us; a rival is who goes on after that. The address is defended by one
announcement in :data:`DEFEND_INTERVAL` seconds (§2.4 (b)), so two hosts that both insist do not
flood the LAN, and the rival is reported until it was silent for :data:`REMEMBERED` seconds.
"""

import os
import selectors
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from fairlead.drivers.l2.host import Conflict, Link, Station
from fairlead.drivers.l2.packets import ETHERTYPE_ARP, ETHERTYPE_IPV6, claim
from fairlead.drivers.l2.wire import listen, only_claims
from fairlead.model.addresses import IPAddress

if TYPE_CHECKING:
    import socket

CALM = 3.0
DEFEND_INTERVAL = 10.0
"""RFC 5227 §1.1."""
REMEMBERED = 60.0

_log = structlog.get_logger(__name__)
_Ear = tuple[Link, int]


class _Rival:
    """Who else claims an address, and when that was heard first and last."""

    def __init__(self, conflict: Conflict, now: float) -> None:
        self.conflict, self.first, self.last = conflict, now, now
        self.defended = float("-inf")


class Sentry:
    """Listens in the network namespace of the thread that calls :meth:`attend`. ``defend``: says
    once that an address is here."""

    def __init__(
        self,
        defend: Callable[[Station], object],
        *,
        clock: Callable[[], float] = time.monotonic,
        calm: float = CALM,
    ) -> None:
        self._defend, self._clock, self._calm = defend, clock, calm
        self._lock = threading.Lock()
        self._stations: dict[IPAddress, Station] = {}
        self._since: dict[IPAddress, float] = {}
        self._rivals: dict[IPAddress, _Rival] = {}
        self._own: frozenset[bytes] = frozenset()
        self._ears: dict[_Ear, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        self._poke: int | None = None
        self._thread: threading.Thread | None = None

    def attend(self, stations: Collection[Station], own: Collection[bytes]) -> None:
        """Listen for exactly these. ``own``: the MAC addresses of this host. What cannot be
        listened to is not: the address is held all the same."""
        now, wanted = self._clock(), {one.address: one for one in stations}
        with self._lock:
            self._own = frozenset(own)
            if wanted == self._stations and self._ears.keys() == set(_ears(wanted.values())):
                return
            self._stations = wanted
            self._since = {one: self._since.get(one, now) for one in self._stations}
            gone = self._rivals.keys() - self._stations.keys()
            for address in gone:
                del self._rivals[address]
            self._tune()

    def rivals(self) -> Mapping[IPAddress, Conflict]:
        """Who else uses which of the addresses."""
        now = self._clock()
        with self._lock:
            for address, rival in list(self._rivals.items()):
                if now - rival.last > REMEMBERED:
                    del self._rivals[address]
            return {
                address: rival.conflict
                for address, rival in self._rivals.items()
                if now - rival.first >= self._calm
            }

    def close(self) -> None:
        """Listen no more. It may be used again."""
        self.attend((), ())
        with self._lock:
            thread, self._thread = self._thread, None
            poke, self._poke = self._poke, None
        if thread is not None and poke is not None:
            os.write(poke, b".")
            thread.join()
            os.close(poke)

    # -- sockets ---------------------------------------------------------------------------------

    def _tune(self) -> None:
        wanted = _ears(self._stations.values())
        for ear in self._ears.keys() - wanted.keys():
            self._silence(ear)
        for ear, addresses in wanted.items():
            with suppress(OSError):  # the interface goes this moment: its addresses go too
                if ear not in self._ears:
                    self._ears[ear] = listen(*ear)
                    self._selector.register(self._ears[ear], selectors.EVENT_READ, ear)
                only_claims(self._ears[ear], ear[1], addresses)
        if self._ears and self._thread is None:
            self._start()

    def _silence(self, ear: _Ear) -> None:
        heard = self._ears.pop(ear)
        with suppress(KeyError, ValueError):  # the thread has found that its interface is gone
            self._selector.unregister(heard)
        heard.close()

    def _start(self) -> None:
        reader, self._poke = os.pipe2(os.O_CLOEXEC)
        self._selector.register(reader, selectors.EVENT_READ, None)
        self._thread = threading.Thread(
            target=self._run, args=(reader,), name="l2-sentry", daemon=True
        )
        self._thread.start()

    # -- the thread ------------------------------------------------------------------------------

    def _run(self, reader: int) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    self._selector.unregister(reader)
                    os.close(reader)
                    return
                self._hear(key.data)

    def _hear(self, ear: _Ear) -> None:
        while True:
            with self._lock:
                heard = self._ears.get(ear)
                if heard is None:
                    return
                try:
                    frame = heard.recv(256)
                except BlockingIOError:
                    return
                except OSError:  # the interface went down or away
                    self._silence(ear)
                    return
                station = self._note(frame, ear[0])
            if station is not None:
                self._defend(station)

    def _note(self, frame: bytes, link: Link) -> Station | None:
        """Note a claim; the address to defend, if it is time for that."""
        found, now = claim(frame), self._clock()
        station = self._stations.get(found.address) if found is not None else None
        if found is None or station is None or station.link != link or found.mac in self._own:
            return None
        if now - self._since[found.address] < self._calm:
            return None
        conflict = Conflict(found.address, found.mac.hex(":"), link.name)
        rival = self._rivals.get(found.address)
        if rival is None:
            rival = self._rivals[found.address] = _Rival(conflict, now)
        rival.conflict, rival.last = conflict, now
        if now - rival.first < self._calm or now - rival.defended < DEFEND_INTERVAL:
            return None
        rival.defended = now
        _log.warning("address in use", address=str(found.address), mac=conflict.mac, on=link.name)
        return station


def _ears(stations: Iterable[Station]) -> dict[_Ear, list[IPAddress]]:
    found: dict[_Ear, list[IPAddress]] = {}
    for address, link in stations:
        kind = ETHERTYPE_ARP if address.version == 4 else ETHERTYPE_IPV6
        found.setdefault((link, kind), []).append(address)
    return found
