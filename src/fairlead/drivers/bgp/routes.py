"""Routed VIPs are local on this host: one route each in the kernel's local table (AnyIP).

Without it an engine would neither answer ICMP for a VIP nor deliver to a process of its own. A
route costs a twentieth of an address when there are thousands. It bears the protocol number of
:data:`PROTOCOL`, by which ours are told from the kernel's own.
"""

import errno
import os
import socket
import struct
from collections.abc import Collection, Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from fairlead.drivers.l2 import addresses as l2
from fairlead.drivers.l2.host import AddressRow
from fairlead.drivers.l2.netlink import (
    CREATE,
    EXCLUSIVE,
    ROUTE,
    Message,
    Netlink,
    attribute,
    attributes,
)
from fairlead.model.addresses import IPAddress

PROTOCOL = 241
"""Our RTA protocol; below 192 are the well-known daemons'."""

RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RT_TABLE_LOCAL, RTN_LOCAL, RT_SCOPE_HOST = 255, 2, 254
RTA_DST, RTA_OIF = 1, 4

_ROUTE = struct.Struct("=BBBBBBBBI")
_INDEX = struct.Struct("=I")
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


class Lan(NamedTuple):
    """An Ethernet interface that is up, and the host's own IPv4 subnets there."""

    name: str
    networks: tuple[AddressRow, ...]


class Host(NamedTuple):
    """The host's own addresses, other than routed VIPs, and its LANs."""

    own: frozenset[IPAddress]
    lans: tuple[Lan, ...]


def look() -> Host:
    """The addresses and LANs of this namespace. Raises OSError."""
    with Netlink(ROUTE) as netlink:
        snapshot = l2.read(netlink)
    rows = [row for row in snapshot.rows if row.address.version == 4 and not row.ours]
    lans = tuple(
        Lan(link.name, tuple(row for row in rows if row.ifindex == link.ifindex))
        for link in snapshot.links.values()
        if link.lan and link.up
    )
    return Host(frozenset(row.address for row in snapshot.rows), lans)


def read() -> frozenset[IPAddress]:
    """The addresses that our routes make local. Raises OSError."""
    with Netlink(ROUTE) as netlink:
        return frozenset(_ours(netlink))


def add(addresses: Collection[IPAddress]) -> Mapping[IPAddress, str]:
    """Make the addresses local; what went wrong by address. One that is local already is success.

    Raises OSError.
    """
    said = _each(addresses, RTM_NEWROUTE, CREATE | EXCLUSIVE)
    return {one: os.strerror(code) for one, code in said.items() if code not in (0, errno.EEXIST)}


def delete(addresses: Collection[IPAddress]) -> Mapping[IPAddress, str]:
    """Undo :func:`add`; what is not there is gone. Raises OSError."""
    said = _each(addresses, RTM_DELROUTE, 0)
    gone = (0, errno.ESRCH, errno.ENOENT)
    return {one: os.strerror(code) for one, code in said.items() if code not in gone}


def _each(addresses: Collection[IPAddress], kind: int, flags: int) -> dict[IPAddress, int]:
    """One message for each; per address 0 or the errno."""
    if not addresses:
        return {}
    loopback = socket.if_nametoindex("lo")
    ordered = list(addresses)
    messages = [Message(kind, flags, _body(address, loopback)) for address in ordered]
    with Netlink(ROUTE) as netlink:
        return dict(zip(ordered, netlink.batch(messages), strict=True))


def _body(address: IPAddress, interface: int) -> bytes:
    scope = RT_SCOPE_HOST if address.version == 4 else 0
    head = _ROUTE.pack(
        _FAMILIES[address.version],
        address.max_prefixlen,
        0,
        0,
        RT_TABLE_LOCAL,
        PROTOCOL,
        scope,
        RTN_LOCAL,
        0,
    )
    return head + attribute(RTA_DST, address.packed) + attribute(RTA_OIF, _INDEX.pack(interface))


def _ours(netlink: Netlink) -> Iterator[IPAddress]:
    for kind in (IPv4Address, IPv6Address):
        family = _FAMILIES[kind(0).version]
        request = _ROUTE.pack(family, 0, 0, 0, RT_TABLE_LOCAL, PROTOCOL, 0, RTN_LOCAL, 0)
        for row in netlink.dump(RTM_GETROUTE, request):
            table, protocol, _, sort = row[4:8]
            if (table, protocol, sort) == (RT_TABLE_LOCAL, PROTOCOL, RTN_LOCAL):
                yield kind(attributes(row, _ROUTE.size)[RTA_DST])
