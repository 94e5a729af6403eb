"""What a client and a server say to each other, without the wire: the two protocols answer alike.

DHCPv4 (RFC 2131) and DHCPv6 (RFC 8415) differ in messages and agree in everything that matters
here: an address is granted for a time, renewed with its server, rebound with any, confirmed after a
restart, and given back.
"""

from typing import NamedTuple, Protocol

from fairlead.model.addresses import IPAddress

FOREVER = float("inf")


class Parent(NamedTuple):
    """The interface that leads to the LAN. ``address``: one of its own IPv4 addresses, if it has
    any; ``link_local``: its own IPv6 one. ``macvlan``: whether it hears unicast for the lease."""

    name: str
    number: int
    mac: str
    address: str = ""
    link_local: str = ""
    macvlan: bool = True


class Terms(NamedTuple):
    """A granted lease. Times are seconds since the epoch, :data:`FOREVER` for one that never ends.
    ``server``: its identifier; ``mac``: how to reach it on the wire (DHCPv4)."""

    address: IPAddress
    server: str
    bound: float
    renew: float
    rebind: float
    expires: float
    mac: str = ""


class Denied(NamedTuple):
    """A server said no."""

    server: str
    message: str


Answer = Terms | Denied | None
"""``None``: nobody answered in time."""


class Exchange(Protocol):
    """One client's conversations. ``wait``: seconds of patience with one message."""

    async def acquire(self, wish: IPAddress | None, *, only: bool, wait: float) -> Answer:
        """A new lease, if possible of that address; ``only``: of no other."""
        ...

    async def confirm(self, terms: Terms, *, wait: float) -> Answer:
        """Whether a lease that was held before is still good (INIT-REBOOT)."""
        ...

    async def renew(self, terms: Terms, *, wait: float) -> Answer:
        """A longer lease, from the server that gave it."""
        ...

    async def rebind(self, terms: Terms, *, wait: float) -> Answer:
        """A longer lease, from any server."""
        ...

    async def release(self, terms: Terms) -> None:
        """Give it back; nobody answers."""
        ...

    async def who(self, *, wait: float) -> str:
        """A server that is there at all; empty: none answers."""
        ...


def timed(
    *, now: float, lease: float, renew: float | None, rebind: float | None
) -> tuple[float, float, float]:
    """When to renew, when to rebind and when it ends, from what a server said; times that make no
    sense are replaced by a half and seven eighths (RFC 2131, 4.4.5)."""
    if lease == FOREVER:
        return FOREVER, FOREVER, FOREVER
    second = rebind if rebind is not None and 0 < rebind < lease else lease * 7 / 8
    first = renew if renew is not None and 0 < renew <= second else min(lease / 2, second)
    return now + first, now + second, now + lease
