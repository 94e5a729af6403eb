"""Ports that are open on the gateway of a network (UPnP Internet Gateway Device), as it is wanted.

IPv4 is a port mapping (WANIPConnection); IPv6 has no NAT, so there it is a pinhole in the gateway's
firewall (WANIPv6FirewallControl).
"""

from collections.abc import Mapping
from typing import NamedTuple

from msgspec import Struct

from fairlead.model.addresses import IPAddress
from fairlead.model.names import Protocol, Ref

DEFAULT_LEASE = 3600
"""Seconds that a mapping lives without renewal, unless a Service says otherwise."""
PERMANENT = 0
"""The lease of a mapping that never ends (UPnP: NewLeaseDuration 0)."""
LONGEST_LEASE = 604800
"""Seconds; WANIPConnection:2 knows no longer lease."""
SHORTEST_LEASE = 120
"""Seconds; a shorter one could lapse between two looks."""
FORWARDED: tuple[Protocol, ...] = ("TCP", "UDP")
"""What a gateway forwards."""


class ForwardKey(NamedTuple):
    """A port of a VIP that is open on the gateway, under the same number there."""

    client: IPAddress
    protocol: Protocol
    port: int


class Forwarding(NamedTuple):
    """Whose port it is, and for how many seconds it is asked for (0: for ever)."""

    service: Ref
    lease: int = DEFAULT_LEASE


class UpnpDesired(Struct, frozen=True):
    """The ``upnp`` driver's whole desired state on one engine. ``elsewhere``: what other engines
    keep up, and this one leaves alone. ``external``: observed only, the gateway's address."""

    forwards: Mapping[ForwardKey, Forwarding]
    elsewhere: frozenset[ForwardKey] = frozenset()
    external: IPAddress | None = None


class UpnpChanges(Struct, frozen=True):
    """The difference between two :class:`UpnpDesired`: a row of ``None`` is closed. ``handed``:
    what another engine keeps up from now on, so that it is forgotten and stays open."""

    forwards: Mapping[ForwardKey, Forwarding | None]
    handed: frozenset[ForwardKey] = frozenset()

    def __bool__(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.forwards or self.handed)
