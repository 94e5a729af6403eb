"""Addresses and interfaces in rtnetlink: reading them, and the messages that add and delete ours.

An address of ours is ``/32`` or ``/128`` with ``preferred_lft 0`` (deprecated: IPv6 never chooses
it as a source, and IPv4 not while the host's own address stands before it), ``noprefixroute`` and,
for IPv6, ``nodad``. It bears two marks:

- the address protocol :data:`PROTOCOL` (IFA_PROTO, kernel 5.18 and later, Debian 12's 6.1
  included),
- the metric :data:`METRIC` (IFA_RT_PRIORITY, kernel 4.18 and later). Without a prefix route it has
  no effect, but it marks on older kernels, which drop IFA_PROTO silently, and shows in ``ip addr``
  as ``metric 64030``, which Debian 12's iproute2 does not do for the protocol.

An address is ours when the metric is there and the protocol is not another's. An address on ``lo``
has scope ``host``: with a wider one the kernel would take it as source for interfaces without an
address.
"""

import socket
import struct
from ipaddress import IPv4Address, IPv6Address, ip_network

from fairlead.drivers.l2.host import AddressRow, Edit, Link, Snapshot
from fairlead.drivers.l2.netlink import (
    CREATE,
    EXCLUSIVE,
    REPLACE,
    Message,
    Netlink,
    attribute,
    attributes,
)
from fairlead.model.addresses import IPAddress

PROTOCOL = 241
"""Our IFA_PROTO; the kernel uses 1 to 3."""

METRIC = 64030
"""Our IFA_RT_PRIORITY."""

FOREVER = 0xFFFFFFFF
"""A lifetime without end (INFINITY_LIFE_TIME)."""

RTM_GETLINK = 18
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22

IFLA_ADDRESS, IFLA_IFNAME = 1, 3
IFA_ADDRESS, IFA_LOCAL, IFA_CACHEINFO, IFA_FLAGS, IFA_RT_PRIORITY, IFA_PROTO = 1, 2, 6, 8, 9, 11

IFF_UP, IFF_LOOPBACK, IFF_POINTOPOINT, IFF_NOARP, IFF_LOWER_UP = 0x1, 0x8, 0x10, 0x80, 0x10000
ARPHRD_ETHER = 1

IFA_F_NODAD, IFA_F_NOPREFIXROUTE = 0x02, 0x200
RT_SCOPE_UNIVERSE, RT_SCOPE_HOST = 0, 254

_FLAGS = {
    "add": CREATE | EXCLUSIVE,
    "renew": CREATE | REPLACE,
    "delete": 0,
}

_LINK = struct.Struct("=BxHiII")
_ADDRESS = struct.Struct("=BBBBI")
_U32 = struct.Struct("=I")
_LIFETIMES = struct.Struct("=IIII")


def read(netlink: Netlink) -> Snapshot:
    """All interfaces and addresses of the namespace. Raises OSError."""
    links = (link_of(body) for body in netlink.dump(RTM_GETLINK, links_request()))
    rows = (_row(body) for body in netlink.dump(RTM_GETADDR, _ADDRESS.pack(0, 0, 0, 0, 0)))
    return Snapshot({link.ifindex: link for link in links}, tuple(row for row in rows if row))


def message(edit: Edit, *, lifetime: int) -> Message:
    """The message for an edit. ``lifetime``: seconds until the kernel itself drops the address."""
    address, link = edit.station
    version4 = address.version == 4
    scope = RT_SCOPE_HOST if version4 and link.loopback else RT_SCOPE_UNIVERSE
    family = socket.AF_INET if version4 else socket.AF_INET6
    body = _ADDRESS.pack(family, address.max_prefixlen, 0, scope, link.ifindex)
    body += attribute(IFA_LOCAL, address.packed) + attribute(IFA_ADDRESS, address.packed)
    if edit.action == "delete":
        return Message(RTM_DELADDR, 0, body)
    flags = IFA_F_NOPREFIXROUTE | (0 if version4 else IFA_F_NODAD)
    body += attribute(IFA_FLAGS, _U32.pack(flags))
    body += attribute(IFA_RT_PRIORITY, _U32.pack(METRIC))
    body += attribute(IFA_PROTO, bytes((PROTOCOL,)))
    body += attribute(IFA_CACHEINFO, _LIFETIMES.pack(0, lifetime, 0, 0))
    return Message(RTM_NEWADDR, _FLAGS[edit.action], body)


def links_request() -> bytes:
    """What asks for all interfaces (RTM_GETLINK)."""
    return _LINK.pack(0, 0, 0, 0, 0)


def link_of(body: bytes) -> Link:
    """An interface, from a message about it."""
    _, hardware, index, flags, _ = _LINK.unpack_from(body)
    attrs = attributes(body, _LINK.size)
    mac = attrs.get(IFLA_ADDRESS, b"")
    silent = flags & (IFF_LOOPBACK | IFF_POINTOPOINT | IFF_NOARP)
    return Link(
        ifindex=index,
        name=attrs[IFLA_IFNAME].rstrip(b"\0").decode(),
        mac=mac,
        up=bool(flags & IFF_UP),
        lan=hardware == ARPHRD_ETHER and len(mac) == 6 and not silent,
        loopback=bool(flags & IFF_LOOPBACK),
        carrier=bool(flags & IFF_LOWER_UP),
    )


def _row(body: bytes) -> AddressRow | None:
    family, prefix, _, _, index = _ADDRESS.unpack_from(body)
    attrs = attributes(body, _ADDRESS.size)
    opened = _address(family, attrs.get(IFA_ADDRESS))
    own = _address(family, attrs.get(IFA_LOCAL)) or opened
    if own is None or opened is None:
        return None
    network = ip_network((int(opened) if own.version == 4 else opened.packed, prefix), strict=False)
    return AddressRow(index, own, network, _marked(attrs))


def _address(family: int, packed: bytes | None) -> IPAddress | None:
    match family, packed:
        case socket.AF_INET, bytes() if packed:
            return IPv4Address(packed)
        case socket.AF_INET6, bytes() if packed:
            return IPv6Address(packed)
    return None


def _marked(attrs: dict[int, bytes]) -> bool:
    metric = attrs.get(IFA_RT_PRIORITY)
    if metric is None or _U32.unpack(metric)[0] != METRIC:
        return False
    return attrs.get(IFA_PROTO, bytes((PROTOCOL,)))[0] == PROTOCOL
