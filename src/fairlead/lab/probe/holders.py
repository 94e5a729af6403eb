"""Who answers for each VIP, asked again and again: what a failover is measured and judged by.

    with Holders(lab["client"], vips) as seen:
        cut = seen.now()
        lab["engine-1"].cut()
        ...
    seen.outage(vip, since=cut)

A thread in the host's namespace asks for each VIP every ``every`` seconds by ARP or neighbour
solicitation, and notes every answer, and every frame that claims a VIP unasked. Frames bear the
kernel's time of arrival, so a busy machine blurs only the questions: ``lag`` is the longest time
that one was late, which is the error of what is said here; ``lost`` counts frames that the kernel
had to drop. The questions are spread over the period, so that hundreds do not come in one burst.
"""

from __future__ import annotations

import ctypes
import os
import selectors
import socket
import struct
import threading
import time
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Final

from fairlead.lab.frames import arp_request, neighbour_solicitation
from fairlead.lab.probe.sightings import Answered, Claimed, Sightings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType
    from typing import Self

    from fairlead.lab.host import Host
    from fairlead.lab.topology import Address

__all__ = ["Holders"]

_ARP: Final = 0x0806
_IPV6: Final = 0x86DD
_INTERFACE: Final = "lan"
_SLICES: Final = 20
_BUFFER: Final = 16 << 20
_NICE: Final = -10
_SO_ATTACH_FILTER: Final = 26
_SO_SNDBUFFORCE: Final = 32
_SO_RCVBUFFORCE: Final = 33
_SO_TIMESTAMPNS: Final = 35
_SOL_PACKET: Final = 263
_PACKET_STATISTICS: Final = 6
_TIMESPEC: Final = struct.Struct("@qq")

# Classic BPF: ICMPv6 of type 135 or 136 (neighbour solicitation, advertisement), nothing else.
_NEIGHBOURS_ONLY: Final = (
    (0x30, 0, 0, 20),
    (0x15, 0, 4, 58),
    (0x30, 0, 0, 54),
    (0x15, 1, 0, 135),
    (0x15, 0, 1, 136),
    (0x06, 0, 0, 0xFFFF),
    (0x06, 0, 0, 0),
)


class Holders(Sightings):
    """The watch; a context manager."""

    def __init__(self, host: Host, vips: Sequence[Address], every: float = 0.02) -> None:
        super().__init__(every)
        self.host, self.vips = host, vips
        self.lost = self.asked = 0
        self._names = {vip.packed: vip for vip in vips}
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="holders", daemon=True)
        self._error: BaseException | None = None
        self._drift = time.clock_gettime(time.CLOCK_REALTIME) - time.monotonic()

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        if self._error is not None and error is None:
            raise self._error

    @staticmethod
    def now() -> float:
        """The clock of the answers."""
        return time.monotonic()

    def _run(self) -> None:
        try:
            self.host.call(self._watch)
        except BaseException as error:
            self._error = error
        finally:
            self._ready.set()

    def _watch(self) -> None:
        with suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        with _listener(_ARP) as arp, _listener(_IPV6) as nd, selectors.DefaultSelector() as ready:
            self._mac = arp.getsockname()[4]
            ready.register(arp, selectors.EVENT_READ, self._heard_arp)
            ready.register(nd, selectors.EVENT_READ, self._heard_nd)
            self._ready.set()
            wires = {4: arp, 6: nd}
            questions = [(wires[vip.version], self._question(vip)) for vip in self.vips]
            self._ask_and_listen(ready, questions)
            self._listen(ready, until=time.monotonic() + self.every)
            self.lost = _dropped(arp) + _dropped(nd)

    def _ask_and_listen(
        self,
        ready: selectors.BaseSelector,
        questions: Sequence[tuple[socket.socket, bytes]],
    ) -> None:
        count = min(_SLICES, len(questions))
        slices = [questions[n::count] for n in range(count)]
        due, turn = time.monotonic(), 0
        while not self._stop.is_set():
            now = time.monotonic()
            if now >= due:
                self.lag = max(self.lag, now - due)
                for wire, question in slices[turn]:
                    wire.send(question)
                self.asked += len(slices[turn])
                turn = (turn + 1) % count
                due = max(due + self.every / count, now)
            self._listen(ready, until=due)

    def _listen(self, ready: selectors.BaseSelector, *, until: float) -> None:
        while (left := until - time.monotonic()) > 0:
            for key, _ in ready.select(left):
                self._drain(key.fileobj, key.data)  # type: ignore[arg-type]

    def _drain(self, wire: socket.socket, heard: Callable[[bytes, float], None]) -> None:
        with suppress(BlockingIOError):
            for _ in range(256):
                raw, extra, _, _ = wire.recvmsg(128, 64)
                seconds, nanoseconds = _TIMESPEC.unpack(extra[0][2])
                heard(raw, seconds + nanoseconds / 1e9 - self._drift)

    def _heard_arp(self, raw: bytes, at: float) -> None:
        sender = raw[28:32]
        vip = self._names.get(sender)
        if vip is None:
            return
        mac, request = raw[22:28].hex(":"), raw[21] == 1
        if sender == raw[38:42]:
            self.claims[vip].append(Claimed(at, mac, "announcement"))
        elif request:
            self.claims[vip].append(Claimed(at, mac, "question"))
        else:
            self.answers[vip].append(Answered(at, mac))

    def _heard_nd(self, raw: bytes, at: float) -> None:
        mac = raw[6:12].hex(":")
        if raw[54] == 135:
            asker = self._names.get(raw[22:38])
            if asker is not None:
                self.claims[asker].append(Claimed(at, mac, "question"))
            return
        vip = self._names.get(raw[62:78])
        if vip is not None and raw[58] & 0x40:
            self.answers[vip].append(Answered(at, mac))
        elif vip is not None:
            self.claims[vip].append(Claimed(at, mac, "announcement"))

    def _question(self, vip: Address) -> bytes:
        if isinstance(vip, IPv4Address):
            return arp_request(self._mac, vip, IPv4Address(self.host.v4))
        return neighbour_solicitation(self._mac, vip, IPv6Address(self.host.v6))


def _listener(ethertype: int) -> socket.socket:
    """A socket that sends, and hears what comes in of one ethertype, with the time of arrival."""
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    for option in (_SO_SNDBUFFORCE, _SO_RCVBUFFORCE):
        wire.setsockopt(socket.SOL_SOCKET, option, _BUFFER)
    wire.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    if ethertype == _IPV6:
        code = ctypes.create_string_buffer(
            b"".join(struct.pack("=HBBI", *step) for step in _NEIGHBOURS_ONLY)
        )
        program = struct.pack("@HP", len(_NEIGHBOURS_ONLY), ctypes.addressof(code))
        wire.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
    wire.bind((_INTERFACE, ethertype))
    wire.setblocking(False)
    return wire


def _dropped(wire: socket.socket) -> int:
    """Frames that found no room in the socket's buffer (packet(7), PACKET_STATISTICS)."""
    said = wire.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
    return int(struct.unpack("=II", said)[1])
