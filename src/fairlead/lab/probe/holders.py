"""Who answers for each VIP, asked again and again: what a failover is measured and judged by.

    with Holders(lab["client"], vips) as seen:
        cut = seen.now()
        lab["engine-1"].cut()
        ...
    seen.outage(vip, since=cut)

A thread in the host's namespace sends an ARP request or neighbour solicitation for each VIP every
``every`` seconds and notes every answer, with its MAC address. It knows its own lag: the longest
time that it was late, which is the error of what it says.
"""

from __future__ import annotations

import select
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from fairlead.lab.frames import (
    Arp,
    Frame,
    Neighbour,
    arp_request,
    neighbour_solicitation,
    parse_frame,
)
from fairlead.lab.host import Host
from fairlead.lab.topology import Address

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

__all__ = ["Answered", "Holders"]

_EVERYTHING: Final = 0x0003
_INTERFACE: Final = "lan"


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer to a question: when (monotonic seconds), and by which MAC address."""

    at: float
    mac: str


@dataclass
class Holders:
    """The watch; a context manager. ``lag`` is how late it was at worst, in seconds."""

    host: Host
    vips: Sequence[Address]
    every: float = 0.02
    lag: float = 0.0
    answers: dict[Address, list[Answered]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="holders", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    @staticmethod
    def now() -> float:
        """The clock of the answers."""
        return time.monotonic()

    def outage(self, vip: Address, *, since: float, until: float = float("inf")) -> float:
        """The longest silence that began or lasted after ``since``, in seconds."""
        times = [one.at for one in self.answers[vip] if one.at <= until]
        before = [at for at in times if at <= since]
        after = [at for at in times if at > since]
        marks = [max(before, default=since), *after]
        return max((b - a for a, b in pairwise(marks)), default=float("inf"))

    def doubles(self, vip: Address, *, since: float = 0.0) -> float:
        """For how long several answered at once: the longest overlap of the times between the first
        and the last answer of two holders that follow each other, in seconds."""
        runs: list[tuple[str, float, float]] = []
        spans: dict[str, tuple[float, float]] = {}
        for one in self.answers[vip]:
            if one.at < since:
                continue
            first, last = spans.get(one.mac, (one.at, one.at))
            if one.at - last > 10 * self.every:  # it was somebody else's turn meanwhile
                runs.append((one.mac, first, last))
                first = one.at
            spans[one.mac] = (first, one.at)
        runs += [(mac, first, last) for mac, (first, last) in spans.items()]
        overlaps = (
            min(a[2], b[2]) - max(a[1], b[1])
            for n, a in enumerate(runs)
            for b in runs[n + 1 :]
            if a[0] != b[0]
        )
        return max((overlap for overlap in overlaps if overlap > 0), default=0.0)

    def holder(self, vip: Address) -> str | None:
        """The MAC address that answered last."""
        found = self.answers[vip]
        return found[-1].mac if found else None

    def _run(self) -> None:
        self.host.call(self._watch)

    def _watch(self) -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_EVERYTHING)) as wire:
            wire.bind((_INTERFACE, 0))
            mac = wire.getsockname()[4]
            questions = [self._question(mac, vip) for vip in self.vips]
            due = time.monotonic()
            while not self._stop.is_set():
                now = time.monotonic()
                if now >= due:
                    self.lag = max(self.lag, now - due)
                    for question in questions:
                        wire.send(question)
                    due = max(due + self.every, now)
                self._listen(wire, until=due)

    def _question(self, mac: bytes, vip: Address) -> bytes:
        if isinstance(vip, IPv4Address):
            return arp_request(mac, vip, IPv4Address(self.host.v4))
        return neighbour_solicitation(mac, vip, IPv6Address(self.host.v6))

    def _listen(self, wire: socket.socket, *, until: float) -> None:
        known = set(self.vips)
        while (left := until - time.monotonic()) > 0:
            if not select.select([wire], [], [], left)[0]:
                return
            raw, source = wire.recvfrom(2048)
            at = time.monotonic()
            frame = parse_frame(
                raw, time=at, interface=_INTERFACE, outgoing=source[2] == socket.PACKET_OUTGOING
            )
            answer = _answer(frame)
            if answer is not None and answer[0] in known:
                self.answers[answer[0]].append(Answered(at, answer[1]))


def _answer(frame: Frame | None) -> tuple[Address, str] | None:
    """Whose answer to a question it is; None for announcements and everything else."""
    match frame.payload if frame is not None else None:
        case Arp(operation="reply", sender_ip=ip, sender_mac=mac, target_ip=asker) if asker != ip:
            return ip, mac
        case Neighbour(kind="advertisement", solicited=True, target_ip=ip6, link_address=mac):
            return (ip6, mac) if mac else None
    return None
