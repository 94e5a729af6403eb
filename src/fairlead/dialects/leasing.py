"""A wish for an address from DHCP: who asks as which client, and what is known of the lease.

A lease that is bound gives the claim its address, as if somebody had written it. So what a DHCP
server says is an input of planning like any object, and the rules about static addresses are the
rules about leased ones.
"""

from collections.abc import Iterator
from re import fullmatch

from fairlead.dialects.reading import Hint, invalid
from fairlead.dialects.view import View
from fairlead.model.addresses import Family, IPAddress, parse_address
from fairlead.model.addresslease import AddressLease, leased_of
from fairlead.model.dhcp import DhcpWish, Leased, LeaseKey
from fairlead.model.names import GroupKey
from fairlead.model.verdict import Reason
from fairlead.model.world import World

MAC = r"[0-9a-fA-F]{1,2}([:-][0-9a-fA-F]{1,2}){5}"
HOST = r"[A-Za-z0-9]([-A-Za-z0-9.]{0,251}[A-Za-z0-9])?"
FAMILIES: tuple[Family, ...] = (4, 6)


def lease_hint(group: GroupKey) -> Hint:
    """How a reading that depends on the leases of a group is indexed."""
    return ("lease", *group)


def groups_of_lease(name: str, before: World, world: World) -> Iterator[GroupKey]:
    """The groups that a lease was, or is, for."""
    for snapshot in (before, world):
        one = snapshot.find(AddressLease, name)
        if one is not None:
            yield one.key.group


def known_leases(group: GroupKey, view: View) -> tuple[Leased, ...]:
    """What is known of the leases of a group."""
    if AddressLease.KIND not in view.world.tables:
        return ()
    found = (view.world.find(AddressLease, LeaseKey(group, f).name) for f in FAMILIES)
    said = (leased_of(one) for one in found if one is not None and one.key.group == group)
    return tuple(one for one in said if one is not None)


def leased_addresses(wish: DhcpWish) -> tuple[IPAddress, ...]:
    """The addresses that are leased now, of the families that are wanted."""
    found = (wish.of(family) for family in wish.families)
    return tuple(one.address for one in found if one is not None and one.address is not None)


def read_mac(field: str, text: str | None) -> tuple[str, tuple[Reason, ...]]:
    """A hardware address as somebody wrote it, in its usual form; empty where there is none that a
    host can have."""
    if not text:
        return "", ()
    octets = [int(part, 16) for part in text.replace("-", ":").split(":")] if _is_mac(text) else []
    if not octets or octets[0] & 1 or not any(octets):
        why = "is no hardware address of a host; write six octets such as 02:00:00:00:00:01"
        return "", (invalid(field, text, why),)
    return ":".join(f"{octet:02x}" for octet in octets), ()


def _is_mac(text: str) -> bool:
    return fullmatch(MAC, text) is not None


def read_requested(
    field: str, text: str | None
) -> tuple[tuple[IPAddress, ...], tuple[Reason, ...]]:
    """The addresses to ask for, at most one of each family."""
    found: dict[Family, IPAddress] = {}
    for entry in (text or "")[:256].split(","):
        try:
            address = parse_address(entry.strip()) if entry.strip() else None
        except ValueError:
            return (), (invalid(field, text, "is no list of addresses; it has no effect"),)
        if address is not None and int(address):
            found.setdefault(address.version, address)
    return tuple(found.values()), ()


def read_hostname(field: str, text: str) -> tuple[str, tuple[Reason, ...]]:
    """The name to tell a server; empty where it is none that a host can have (RFC 1123, 2.1)."""
    if not text or fullmatch(HOST, text):
        return text, ()
    return "", (invalid(field, text, "is no host name, so no DHCP server is told of it"),)
