"""Recording what passes an interface of a host, for assertions about who said what and when.

    with Capture(lab["client"]) as capture:
        ...
        capture.wait_for(lambda f: isinstance(f.payload, Arp) and f.payload.operation == "reply")
    assert {arp.sender_mac for _, arp in capture.arps()} == {...}

A packet socket sees what its host receives and sends. To see the whole LAN capture on the switch
(`Capture(lab.switch, None)`): every frame is then seen once when it enters by a port, whose name
(`l-HOST` on the LAN, `p-HOST` on the pod segment) says which host it came from, and once more,
marked `outgoing`, for each port it leaves by; broadcasts also show up on the bridge itself.
"""

from __future__ import annotations

import os
import selectors
import socket
import threading
import time
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Final, Self

from fairlead.lab.frames import Arp, Frame, Neighbour, parse_frame

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from fairlead.lab.host import Host

__all__ = ["Capture"]

_ETH_P_ALL: Final = 3
_SO_RCVBUFFORCE: Final = 33
_BUFFER: Final = 8 << 20


class Capture:
    """Frames of one interface (None: all) from entering the `with` until leaving it."""

    def __init__(self, host: Host, interface: str | None = "lan") -> None:
        self._host = host
        self._interface = interface
        self._frames: list[Frame] = []
        self._news = threading.Condition()

    def __enter__(self) -> Self:
        self._socket = self._host.call(_open, self._interface)
        self._stop = os.eventfd(0, os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._collect, name="capture", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.eventfd_write(self._stop, 1)
        self._thread.join()
        self._socket.close()
        os.close(self._stop)

    @property
    def frames(self) -> list[Frame]:
        """All frames until now, in the order they came."""
        with self._news:
            return list(self._frames)

    def arps(self, sender_ip: IPv4Address | str | None = None) -> list[tuple[Frame, Arp]]:
        """The ARP packets, of this sender protocol address if one is given."""
        wanted = None if sender_ip is None else IPv4Address(str(sender_ip))
        return [
            (frame, frame.payload)
            for frame in self.frames
            if isinstance(frame.payload, Arp) and wanted in (None, frame.payload.sender_ip)
        ]

    def advertisements(
        self, target_ip: IPv6Address | str | None = None
    ) -> list[tuple[Frame, Neighbour]]:
        """The neighbour advertisements, of this target address if one is given."""
        wanted = None if target_ip is None else IPv6Address(str(target_ip))
        return [
            (frame, frame.payload)
            for frame in self.frames
            if isinstance(frame.payload, Neighbour)
            and frame.payload.kind == "advertisement"
            and wanted in (None, frame.payload.target_ip)
        ]

    def wait_for(self, wanted: Callable[[Frame], bool], timeout: float = 1.0) -> Frame | None:
        """The first frame (also an earlier one) that is wanted, or None after `timeout` seconds."""

        seen = 0

        def found() -> Frame | None:
            nonlocal seen
            fresh, seen = self._frames[seen:], len(self._frames)
            return next((frame for frame in fresh if wanted(frame)), None)

        with self._news:
            return self._news.wait_for(found, timeout)

    def _collect(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            selector.register(self._stop, selectors.EVENT_READ)
            stopping = False
            while not stopping:
                # On stopping the socket is emptied once more: what came before counts.
                stopping = any(key.fileobj == self._stop for key, _ in selector.select())
                self._drain()

    def _drain(self) -> None:
        with suppress(BlockingIOError):
            while True:
                raw, (interface, _, kind, *_) = self._socket.recvfrom(65536)
                frame = parse_frame(
                    raw,
                    time=time.monotonic(),
                    interface=interface,
                    outgoing=kind == socket.PACKET_OUTGOING,
                )
                if frame is not None:
                    with self._news:
                        self._frames.append(frame)
                        self._news.notify_all()


def _open(interface: str | None) -> socket.socket:
    protocol = socket.htons(_ETH_P_ALL) if interface is None else 0
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, protocol)
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
    if interface is not None:
        sock.bind((interface, _ETH_P_ALL))
    return sock
