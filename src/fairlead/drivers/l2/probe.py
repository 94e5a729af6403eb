"""Is somebody else using an address? Asked before it is taken for the first time.

RFC 5227 §2.1.1 (IPv4) and RFC 4862 §5.4 (IPv6): ask a few times without claiming, and take an
answer, or the same question from another host, as a conflict. The RFC's times are made for hosts on
slow links that boot at once after a power cut:

    PROBE_WAIT 1 s (a random delay), PROBE_NUM 3, PROBE_MIN 1 s and PROBE_MAX 2 s (between them),
    ANNOUNCE_WAIT 2 s

4 to 7 s per address. A host that has the address answers within milliseconds, and the planner gives
an address to one engine at a time, so there is nothing to desynchronise: the three questions go out
within a third of a second and the window closes at half a second (:class:`ProbeTiming`; slower LANs
may ask for more). All addresses are asked for together, so 500 take as long as one.
"""

import selectors
import socket
import time
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from fairlead.drivers.l2.host import Conflict, Link, ProbeResult, Station
from fairlead.drivers.l2.packets import ETHERTYPE_ARP, ETHERTYPE_IPV6, probe, sighting
from fairlead.drivers.l2.wire import listen
from fairlead.model.addresses import IPAddress

PROBE_WAIT = 1.0
PROBE_NUM = 3
PROBE_MIN = 1.0
PROBE_MAX = 2.0
ANNOUNCE_WAIT = 2.0
"""RFC 5227 §1.1, in seconds (PROBE_NUM: a number). Only the number is kept: see above."""


class ProbeTiming(NamedTuple):
    """How often and how long to ask: ``times`` questions, ``interval`` seconds apart, and ``wait``
    seconds for an answer after the last."""

    times: int = PROBE_NUM
    interval: float = 0.15
    wait: float = 0.2


class _Ear(NamedTuple):
    """One interface and family being probed."""

    link: Link
    heard: socket.socket
    questions: tuple[bytes, ...]
    asked: frozenset[IPAddress]


def probe_all(
    stations: Collection[Station], *, timing: ProbeTiming, own: Collection[bytes]
) -> ProbeResult:
    """Probe all addresses at once; takes as long as ``timing`` says.

    ``own``: the MAC addresses of this host, whose frames prove nothing.
    """
    with ExitStack() as stack:
        survey = _Survey(own)
        ears = survey.open(stations, stack)
        if ears:
            survey.ask(ears, timing)
    return ProbeResult(survey.conflicts, survey.problems)


class _Survey:
    """The findings of one probe."""

    def __init__(self, own: Collection[bytes]) -> None:
        self.conflicts: dict[IPAddress, Conflict] = {}
        self.problems: dict[Link, str] = {}
        self._own = own

    def open(self, stations: Collection[Station], stack: ExitStack) -> list[_Ear]:
        """Listen on each interface, before anything is asked."""
        grouped: dict[tuple[Link, int], list[Station]] = defaultdict(list)
        for station in stations:
            grouped[station.link, station.address.version].append(station)
        ears: list[_Ear] = []
        for (link, version), group in grouped.items():
            with self._blaming(link):
                heard = listen(link, ETHERTYPE_ARP if version == 4 else ETHERTYPE_IPV6)
                stack.enter_context(heard)
                questions = tuple(probe(one.address, link.mac) for one in group)
                ears.append(_Ear(link, heard, questions, frozenset(one.address for one in group)))
        return ears

    def ask(self, ears: Collection[_Ear], timing: ProbeTiming) -> None:
        """Ask as often as the timing says, and hear until the window closes."""
        with selectors.DefaultSelector() as selector:
            for ear in ears:
                selector.register(ear.heard, selectors.EVENT_READ, ear)
            start = time.monotonic()
            for nth in range(timing.times):
                for ear in ears:
                    self._question(ear)
                pause = timing.interval if nth < timing.times - 1 else timing.wait
                self._hear_until(start + nth * timing.interval + pause, selector)

    def _question(self, ear: _Ear) -> None:
        with self._blaming(ear.link):
            ear.heard.setblocking(True)  # a full queue delays the question; it must not lose it
            for question in ear.questions:
                ear.heard.send(question)

    def _hear_until(self, end: float, selector: selectors.BaseSelector) -> None:
        while (left := end - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                with self._blaming(key.data.link):
                    self._hear(key.data)

    def _hear(self, ear: _Ear) -> None:
        ear.heard.setblocking(False)
        while True:
            try:
                seen = sighting(ear.heard.recv(256))
            except BlockingIOError:
                return
            if seen and seen.address in ear.asked and seen.mac not in self._own:
                conflict = Conflict(seen.address, seen.mac.hex(":"), ear.link.name)
                self.conflicts.setdefault(seen.address, conflict)

    @contextmanager
    def _blaming(self, link: Link) -> Iterator[None]:
        """Note an error as the interface's: its addresses stay unknown, the others go on."""
        try:
            yield
        except OSError as error:
            problem = f"cannot ask whether the address is free: {error.strerror}"
            self.problems[link] = problem
