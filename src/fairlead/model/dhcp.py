"""Addresses that a DHCP server gives: what is asked for, by whom, and what came of it.

A lease belongs to a group and a family. Its MAC and client identifier follow from the group, so
every engine asks as the same client and the server gives every one of them the same address. All of
it is values; who asks on the network is ``drivers.dhcp``.
"""

from hashlib import blake2b
from re import sub
from typing import Literal, NamedTuple

from msgspec import Struct

from fairlead.model.addresses import Family, IPAddress
from fairlead.model.names import GroupKey

LeaseState = Literal["Bound", "Refused", "Lost"]
"""``Bound``: an address is leased. ``Refused``: none is to be had, and it is asked for on.
``Lost``: there was one and it is not ours any more; a new one is asked for."""
FAMILY_NAMES: dict[Family, str] = {4: "IPv4", 6: "IPv6"}
LONGEST_ID = 250
"""Octets of a client identifier: an option holds 255, one of them is its type (RFC 2132, 9.14)."""


class LeaseKey(NamedTuple):
    """Which lease: one for each family of a group."""

    group: GroupKey
    family: Family

    @property
    def name(self) -> str:
        """The name of its object: readable, and unique by a digest of the whole key."""
        group = self.group
        text = sub(r"[^a-z0-9]+", "-", f"{group.namespace}-{group.name}".lower()).strip("-")
        return f"{text[:40].strip('-') or 'lease'}-{_digest(group).hex()[:8]}-v{self.family}"


class Leased(Struct, frozen=True, gc=False, kw_only=True):
    """What is known of a lease. ``address`` when it is bound. ``server``: who gave it, or said no.
    ``expires``: seconds since the epoch; None: never, or not known. ``client_id``: under which it
    is held. ``engine``: who said so."""

    family: Family
    state: LeaseState
    address: IPAddress | None = None
    server: str = ""
    message: str = ""
    client_id: str = ""
    bound: float | None = None
    renew: float | None = None
    rebind: float | None = None
    expires: float | None = None
    engine: str = ""


class DhcpWish(Struct, frozen=True, gc=False, kw_only=True):
    """What a claim asks of a DHCP server: an address of each of the ``families``.

    ``mac`` and ``requested`` as written by somebody, else empty. ``leased``: what is known of the
    leases of its group.
    """

    families: tuple[Family, ...]
    hostname: str = ""
    mac: str = ""
    requested: tuple[IPAddress, ...] = ()
    broadcast: bool = False
    leased: tuple[Leased, ...] = ()

    def of(self, family: Family) -> Leased | None:
        """What is known of one family's lease; None: nothing yet."""
        return next((one for one in self.leased if one.family == family), None)


class LeaseOrder(Struct, frozen=True, gc=False, kw_only=True):
    """A lease that somebody is to hold: who it is for, and as which client. ``requested``: the
    address to ask for. ``interface``: on which; empty: where the address belongs. ``known``: what
    is known of it."""

    key: LeaseKey
    mac: str
    client_id: str = ""
    hostname: str = ""
    requested: IPAddress | None = None
    broadcast: bool = False
    engine_group: str
    role: Literal["engine", "edge"] = "engine"
    interface: str = ""
    known: Leased | None = None


def mac_of(group: GroupKey) -> str:
    """The MAC of a group's lease: locally administered, unicast, the same everywhere and for ever
    (IEEE 802, the two lowest bits of the first octet)."""
    raw = bytearray(_digest(group)[:6])
    raw[0] = raw[0] & 0xFC | 0x02
    return raw.hex(":")


def duid_of(group: GroupKey) -> str:
    """The DHCPv6 client identifier of a group, as hexadecimal digits: a DUID by UUID (RFC 8415,
    11.5), so that no two VIPs are one client."""
    return (b"\0\4" + _digest(group)).hex()


def own_id(hostname: str, group: GroupKey) -> str:
    """A client identifier that no other group has, for one whose hostname is another's already."""
    return f"{hostname[: LONGEST_ID - 9]}-{_digest(group).hex()[:8]}"


def _digest(group: GroupKey) -> bytes:
    return blake2b("\0".join(group).encode(), digest_size=16, person=b"fairlead-dhcp").digest()
