"""Hearing of interfaces that come, go, go up or down, or lose their cable, as it happens.

The kernel tells (rtnetlink, RTNLGRP_LINK), so nobody has to look again and again. It also tells of
much that is of no matter here; what counts is what an announcer would see.
"""

import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from fairlead.drivers.l2.addresses import RTM_GETLINK, link_of, links_request
from fairlead.drivers.l2.netlink import ROUTE, Netlink, split

if TYPE_CHECKING:
    from fairlead.drivers.l2.host import Link

RTMGRP_LINK = 1
RTM_NEWLINK, RTM_DELLINK = 16, 17
LARGEST = 1 << 16


class Links:
    """The interfaces of the network namespace of the calling thread, followed. OSError."""

    def __init__(self) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, ROUTE
        )
        try:
            self._socket.bind((0, RTMGRP_LINK))
            with Netlink(ROUTE) as netlink:
                found = map(link_of, netlink.dump(RTM_GETLINK, links_request()))
                self._known: dict[int, Link] = {link.ifindex: link for link in found}
        except OSError:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """Readable when the kernel has told something."""
        return self._socket.fileno()

    def changed(self) -> bool:
        """Whether anything of matter changed since the last call. Never waits."""
        found = False
        with suppress(BlockingIOError):
            while True:
                try:
                    messages = self._socket.recv(LARGEST)
                except OSError as error:
                    if isinstance(error, BlockingIOError):
                        raise
                    found = True  # more was told than the kernel could keep (ENOBUFS)
                    continue
                for kind, _, _, body in split(messages):
                    found |= self._take(kind, body)
        return found

    def close(self) -> None:
        """Give the socket back. Idempotent."""
        self._socket.close()

    def _take(self, kind: int, body: bytes) -> bool:
        if kind not in (RTM_NEWLINK, RTM_DELLINK):
            return False
        link = link_of(body)
        if kind == RTM_DELLINK:
            return self._known.pop(link.ifindex, None) is not None
        before, self._known[link.ifindex] = self._known.get(link.ifindex), link
        return before != link
