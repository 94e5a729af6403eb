"""Telling the LAN where an address is: a burst at once, and repeats from a small thread.

Linux ignores a gratuitous ARP within a second of the last change of an entry (``locktime``),
switches and other systems may lose or ignore one too: so the burst is repeated, past one second. An
address let go must never be announced again: sending and letting go exclude each other by a lock.

The thread lives only while there is something to repeat, so an idle announcer holds nothing.
"""

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from heapq import heappop, heappush
from itertools import chain, count, groupby

import structlog

from fairlead.drivers.l2.host import Link, Station
from fairlead.drivers.l2.packets import announcement
from fairlead.drivers.l2.wire import Wire
from fairlead.model.addresses import IPAddress

REPEATS = (0.1, 1.1, 2.2)
"""Seconds after the first burst."""

_log = structlog.get_logger(__name__)


class Announcer:
    """Announces addresses in the network namespace of the thread that calls :meth:`announce`."""

    def __init__(self, repeats: Sequence[float] = REPEATS) -> None:
        self._repeats = tuple(repeats)
        self._awake = threading.Condition()
        self._turns = count()
        self._turn_of: dict[IPAddress, int] = {}
        self._due: list[tuple[float, int, int, Sequence[Station]]] = []
        self._wire = Wire()
        self._thread: threading.Thread | None = None

    def announce(self, stations: Sequence[Station]) -> Mapping[Link, str]:
        """Send the first burst and plan the repeats; what went wrong per interface."""
        now = time.monotonic()
        with self._awake:
            turn = next(self._turns)
            self._turn_of |= dict.fromkeys((station.address for station in stations), turn)
            problems = self._send(stations)
            for nth, delay in enumerate(self._repeats):
                heappush(self._due, (now + delay, turn, nth, stations))
            self._ensure_thread()
            self._awake.notify()
        return problems

    def hush(self, addresses: Iterable[IPAddress]) -> None:
        """Stop announcing these; none leaves after the return."""
        with self._awake:
            for address in addresses:
                self._turn_of.pop(address, None)

    def close(self) -> None:
        """Stop announcing and end the thread."""
        with self._awake:
            self._turn_of.clear()
            self._due.clear()
            thread = self._thread
            self._awake.notify()
        if thread is not None:
            thread.join()

    def _ensure_thread(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._repeat, name="l2-announcer", daemon=True)
            self._thread.start()

    def _repeat(self) -> None:
        with self._awake:
            while self._due:
                wait = self._due[0][0] - time.monotonic()
                if wait > 0:
                    self._awake.wait(wait)
                    continue
                _, turn, _, stations = heappop(self._due)
                self._report(self._send(self._current(stations, turn)))
            self._thread = None
            self._turn_of.clear()
            used, self._wire = self._wire, Wire()
        used.close()  # outside the lock: closing a packet socket waits for the kernel's readers

    def _current(self, stations: Sequence[Station], turn: int) -> list[Station]:
        return [station for station in stations if self._turn_of.get(station.address) == turn]

    def _send(self, stations: Iterable[Station]) -> dict[Link, str]:
        problems: dict[Link, str] = {}
        by_link = sorted(stations, key=lambda station: station.link.ifindex)
        for link, group in groupby(by_link, key=lambda station: station.link):
            frames = chain.from_iterable(
                announcement(station.address, station.link.mac) for station in group
            )
            try:
                self._wire.send(link, frames)
            except OSError as error:
                problems[link] = f"cannot announce: {error.strerror}"
        return problems

    def _report(self, problems: Mapping[Link, str]) -> None:
        for link, problem in problems.items():
            _log.warning("announcement not repeated", interface=link.name, problem=problem)
