"""BGP routers as engines speak to them, and what they are told of a VIP.

What people write is :class:`~fairlead.model.objects.BGPPeerSpec`; here it is checked and typed.
"""

from typing import NamedTuple

from msgspec import Struct

from fairlead.model.addresses import Family, IPAddress, IPNetwork
from fairlead.model.objects import SecretKey

Community = tuple[int, ...]
"""Two numbers (RFC 1997) or three (RFC 8092)."""

WELL_KNOWN: dict[str, Community] = {
    "graceful-shutdown": (65535, 0),
    "accept-own": (65535, 1),
    "llgr-stale": (65535, 6),
    "no-llgr": (65535, 7),
    "blackhole": (65535, 666),
    "no-export": (65535, 65281),
    "no-advertise": (65535, 65282),
    "local-AS": (65535, 65283),
    "no-peer": (65535, 65284),
}
"""The names of communities (IANA), spelt as FRR does."""


def parse_community(text: str) -> Community:
    """``a:b``, ``a:b:c`` or a well-known name; ValueError otherwise."""
    if text in WELL_KNOWN:
        return WELL_KNOWN[text]
    parts = text.split(":")
    if not all(part.isascii() and part.isdigit() and len(part) <= 10 for part in parts):
        raise ValueError(f"{text[:64]!r} is no community")
    numbers = tuple(map(int, parts))
    most = {2: 0xFFFF, 3: 0xFFFFFFFF}.get(len(numbers), -1)
    if max(numbers) > most:
        raise ValueError(f"{text[:64]!r} is no community")
    return numbers


class BfdTimes(NamedTuple):
    """How fast BFD notices: milliseconds between packets, and how many must be missing."""

    transmit: int = 100
    receive: int = 100
    multiplier: int = 3


class BgpRoute(Struct, frozen=True, gc=False):
    """What is said of a VIP. ``labels``: only routers with one of these learn it; none: all do.

    The attributes come on top of a router's own.
    """

    labels: tuple[str, ...] = ()
    communities: tuple[Community, ...] = ()
    local_preference: int | None = None
    prepend: int = 0


class BgpPeer(Struct, frozen=True, gc=False, kw_only=True):
    """One router, or all routers that connect from a range. Times are seconds.

    ``remote``: its address, or the range. ``password``: where it is kept; the value never gets
    here. ``hops``: 0 for a neighbour on the LAN. ``prepend``: how often ``local_asn`` comes once
    more.
    """

    remote: IPAddress | IPNetwork
    asn: int
    local_asn: int
    port: int = 179
    password: SecretKey | None = None
    hops: int = 0
    keepalive: int = 3
    hold: int = 9
    bfd: BfdTimes | None = BfdTimes()
    communities: tuple[Community, ...] = ()
    local_preference: int | None = None
    prepend: int = 0
    graceful_restart: bool = True
    labels: frozenset[str] = frozenset()

    @property
    def family(self) -> Family:
        """4 or 6: the family of the session, and of the VIPs that it tells."""
        return self.remote.version

    @property
    def internal(self) -> bool:
        """Whether it is iBGP."""
        return self.asn == self.local_asn

    def takes(self, route: BgpRoute) -> bool:
        """Whether it learns a VIP of which that is said."""
        return not route.labels or not self.labels.isdisjoint(route.labels)
