"""Sockets that notice when the other side is gone without a word.

A node that loses its power, or a firewall that forgets a connection, sends no FIN: a watch would
wait for its silence to be noticed. The kernel asks, and gives up after about half a minute.
"""

import socket
from typing import Any, Final

IDLE: Final = 15
"""Seconds without traffic before the kernel asks, and then between two questions 5."""
UNANSWERED_MS: Final = 30_000
"""Milliseconds after which data that nobody acknowledges ends the connection."""


def open_socket(address: tuple[Any, ...]) -> socket.socket:
    """A TCP socket for an entry of ``getaddrinfo``."""
    family, kind, protocol, *_ = address
    found = socket.socket(family, kind, protocol)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        (socket.TCP_KEEPIDLE, IDLE),
        (socket.TCP_KEEPINTVL, 5),
        (socket.TCP_KEEPCNT, 3),
        (socket.TCP_USER_TIMEOUT, UNANSWERED_MS),
        (socket.TCP_NODELAY, 1),
    ):
        found.setsockopt(socket.IPPROTO_TCP, option, value)
    return found
