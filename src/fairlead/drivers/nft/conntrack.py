"""Flows that must not go on: conntrack keeps sending a known flow where it went before.

A UDP client with a fixed port would stay on a removed backend for ever, and so would one whose
first packet came before its listener did. Rule: after a change, an entry of a listener goes unless
its backend (the reply's source) may still answer. With a VIP go all its entries. Only zone 0 is
looked at: other zones are somebody else's (OVN keeps its own).
"""

import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from msgspec import Struct

from fairlead.drivers.base import DriverError
from fairlead.drivers.nft.elements import NUMBERS
from fairlead.drivers.nft.netlink import (
    BODY,
    CONNTRACK,
    NESTED,
    Interrupted,
    Netlink,
    attribute,
    attributes,
)
from fairlead.model.addresses import IPAddress
from fairlead.model.desired import L4Key

_GET, _DELETE = CONNTRACK | 1, CONNTRACK | 2
_TUPLE_ORIG, _TUPLE_REPLY, _ID, _ZONE, _FILTER = 1, 2, 12, 18, 25
_ORIG_FLAGS = 1
_IP, _PROTO, _TUPLE_ZONE = 1, 2, 3
_NUMBER, _SOURCE_PORT, _DESTINATION_PORT = 1, 2, 3
_BY_ADDRESS, _BY_PROTOCOL, _BY_PORT = 1 << 1, 1 << 3, 1 << 5
_FILTERED_AT_MOST = 8
"""Up to so many listeners the kernel filters; past it, one dump of everything is cheaper."""

_ATTEMPTS = 5


class Where(NamedTuple):
    """Address (packed) and port; a VIP's protocol and port are None."""

    address: bytes
    protocol: int | None
    port: int | None


class Stale(Struct, frozen=True):
    """What to end: per listener the backends that may go on (none: no flow may), and whole
    VIPs."""

    listeners: Mapping[L4Key, frozenset[tuple[IPAddress, int]]]
    vips: frozenset[IPAddress] = frozenset()

    def __bool__(self) -> bool:
        """Whether there is anything to look for."""
        return bool(self.listeners or self.vips)


class _Family(NamedTuple):
    number: int  # AF_INET, AF_INET6
    source: int  # CTA_IP_V4_SRC, CTA_IP_V6_SRC
    destination: int
    length: int


_FAMILIES = {4: _Family(2, 1, 2, 4), 6: _Family(10, 3, 4, 16)}


def end_flows(link: Netlink, stale: Stale) -> int:
    """Delete the entries of ``stale``; returns how many. Raises :class:`DriverError`."""
    return sum(_end(link, version, stale) for version in (4, 6))


def _end(link: Netlink, version: int, stale: Stale) -> int:
    family = _FAMILIES[version]
    keep = {
        Where(key.address.packed, NUMBERS[key.protocol], key.port): frozenset(
            (address.packed, port) for address, port in live
        )
        for key, live in stale.listeners.items()
        if key.address.version == version
    }
    keep |= {Where(a.packed, None, None): frozenset() for a in stale.vips if a.version == version}
    if not keep:
        return 0
    doomed = _read(link, family, keep)
    link.delete_all(_DELETE, doomed, family=family.number)
    return len(doomed)


def _read(
    link: Netlink, family: _Family, keep: Mapping[Where, frozenset[tuple[bytes, int]]]
) -> list[bytes]:
    """The entries to delete. A table that changes while it is read is read again."""
    few = len(keep) <= _FILTERED_AT_MOST
    filters = {_filter(family, where) for where in keep} if few else {b""}
    for _ in range(_ATTEMPTS):
        try:
            found: dict[bytes, None] = {}
            for body in {b""} if b"" in filters else filters:
                messages = link.dump(_GET, family=family.number, body=body)
                found |= dict.fromkeys(_doomed(messages, family, keep))
            return list(found)
        except Interrupted:
            continue
    raise DriverError("conntrack: the table changes faster than it can be read; retry")


def _doomed(
    messages: Iterable[bytes],
    family: _Family,
    keep: Mapping[Where, frozenset[tuple[bytes, int]]],
) -> Iterator[bytes]:
    addresses = {where.address for where in keep}
    for message in messages:
        if _elsewhere(message, family, addresses):
            continue
        entry = attributes(message[BODY:])
        if _ZONE in entry or _TUPLE_ZONE in attributes(entry[_TUPLE_ORIG]):
            continue
        to, _ = _ends(entry[_TUPLE_ORIG], family)
        _, answered_by = _ends(entry[_TUPLE_REPLY], family)
        live = keep.get(Where(to.address, None, None), keep.get(to))
        if live is not None and answered_by not in live:
            yield attribute(_TUPLE_ORIG | NESTED, entry[_TUPLE_ORIG]) + attribute(_ID, entry[_ID])


def _elsewhere(message: bytes, family: _Family, addresses: set[bytes]) -> bool:
    """Whether the entry is visibly for another address. The kernel writes the original tuple first
    and its destination at a fixed place; where it does not, the entry is read in full."""
    start = BODY + 8 + 4 + family.length
    header = struct.pack("=HH", 4 + family.length, family.destination)
    if message[start : start + 4] != header:
        return False
    return message[start + 4 : start + 4 + family.length] not in addresses


def _ends(data: bytes, family: _Family) -> tuple[Where, tuple[bytes, int]]:
    """Destination, and source, of a tuple. What has no ports (ICMP) has port 0."""
    parts = attributes(data)
    ip, proto = attributes(parts[_IP]), attributes(parts[_PROTO])
    port = int.from_bytes(proto.get(_DESTINATION_PORT, b""))
    source_port = int.from_bytes(proto.get(_SOURCE_PORT, b""))
    return (
        Where(ip[family.destination], proto[_NUMBER][0], port),
        (ip[family.source], source_port),
    )


def _filter(family: _Family, where: Where) -> bytes:
    """Make the kernel filter (Linux 5.8; an older one answers with everything, which is as right).

    Not by IPv6 address: there the kernel (6.18 still) compares the wrong way round and leaves out
    exactly the entries that were asked for.
    """
    flags, parts = 0, b""
    if family is _FAMILIES[4]:
        flags |= _BY_ADDRESS
        parts += attribute(_IP | NESTED, attribute(family.destination, where.address))
    if where.protocol is not None and where.port is not None:
        flags |= _BY_PROTOCOL | _BY_PORT
        number = attribute(_NUMBER, bytes([where.protocol]))
        port = attribute(_DESTINATION_PORT, where.port.to_bytes(2))
        parts += attribute(_PROTO | NESTED, number + port)
    if not flags:
        return b""
    wanted = attribute(_ORIG_FLAGS, struct.pack("=I", flags))
    return attribute(_TUPLE_ORIG | NESTED, parts) + attribute(_FILTER | NESTED, wanted)
