"""DHCPv6 messages as far as one address needs them (RFC 8415): no library with a fitting licence
speaks them as a client.

What comes from the network is read with every length checked; what makes no sense is no message.
"""

import struct
from collections.abc import Iterator
from ipaddress import IPv6Address
from typing import NamedTuple

SOLICIT, ADVERTISE, REQUEST, CONFIRM, RENEW, REBIND, REPLY, RELEASE = 1, 2, 3, 4, 5, 6, 7, 8
INFORMATION_REQUEST = 11
CLIENT_ID, SERVER_ID, IA_NA, IA_ADDRESS, OPTION_REQUEST = 1, 2, 3, 5, 6
ELAPSED, STATUS, FQDN = 8, 13, 39
DNS_SERVERS = 23
SUCCESS, NO_ADDRESSES, NO_BINDING, NOT_ON_LINK = 0, 2, 3, 4
INFINITE = 0xFFFFFFFF
LONGEST_DUID = 130
"""Octets, the type included (RFC 8415, 11.1)."""
_OPTION = struct.Struct("!HH")
_ASSOCIATION = struct.Struct("!III")
_LIFETIMES = struct.Struct("!II")


class Lease6(NamedTuple):
    """An address that was given, with its times in seconds. ``valid`` 0: it is not ours."""

    address: IPv6Address
    renew: int
    rebind: int
    valid: int


class Reply(NamedTuple):
    """What a server said. ``status``: the first that is no success, with its text. ``source``: the
    address that it came from."""

    kind: int
    xid: int
    client: bytes
    server: bytes
    lease: Lease6 | None
    status: int
    text: str
    source: str = ""


def option(code: int, body: bytes) -> bytes:
    """An option."""
    return _OPTION.pack(code, len(body)) + body


def association(number: int, address: IPv6Address | None) -> bytes:
    """An IA_NA, with the address that it is about."""
    body = _ASSOCIATION.pack(number, 0, 0)
    if address is not None:
        body += option(IA_ADDRESS, address.packed + _LIFETIMES.pack(0, 0))
    return option(IA_NA, body)


def fqdn(name: str) -> bytes:
    """A Client FQDN (RFC 4704), for the server to register; a partial name ends without a root."""
    labels = [label.encode()[:63] for label in name.split(".") if label]
    return option(FQDN, b"\x01" + b"".join(bytes([len(one)]) + one for one in labels))


def message(kind: int, xid: int, *options: bytes) -> bytes:
    """A message from a client."""
    return struct.pack("!I", kind << 24 | xid) + b"".join(options)


def read(data: bytes, number: int) -> Reply | None:
    """A message from a server about the association of that number; None for anything else."""
    if len(data) < 4:
        return None
    found = dict(_options(data[4:]))
    server, client = found.get(SERVER_ID, b""), found.get(CLIENT_ID, b"")
    if not server or len(server) > LONGEST_DUID:
        return None
    lease, status, text = None, *_status(found)
    body = found.get(IA_NA, b"")
    if len(body) >= _ASSOCIATION.size and _ASSOCIATION.unpack_from(body)[0] == number:
        inner = dict(_options(body[_ASSOCIATION.size :]))
        lease = _lease(body, inner.get(IA_ADDRESS, b""))
        if status == SUCCESS:
            status, text = _status(inner)
    return Reply(data[0], int.from_bytes(data[1:4], "big"), client, server, lease, status, text)


def _lease(association: bytes, body: bytes) -> Lease6 | None:
    if len(body) < 16 + _LIFETIMES.size:
        return None
    _, renew, rebind = _ASSOCIATION.unpack_from(association)
    address = IPv6Address(body[:16])
    if address.is_multicast or address.is_link_local or address.is_unspecified:
        return None
    status, _ = _status(dict(_options(body[16 + _LIFETIMES.size :])))
    _, valid = _LIFETIMES.unpack_from(body, 16)
    return Lease6(address, renew, rebind, valid if status == SUCCESS else 0)


def _status(options: dict[int, bytes]) -> tuple[int, str]:
    body = options.get(STATUS, b"")
    if len(body) < 2:
        return SUCCESS, ""
    text = body[2:202].decode("utf-8", "replace")
    return int.from_bytes(body[:2], "big"), "".join(filter(str.isprintable, text))


def _options(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The options, the first of each code last, so that it counts; one that is cut off ends
    them."""
    found = []
    offset = 0
    while offset + _OPTION.size <= len(data):
        code, length = _OPTION.unpack_from(data, offset)
        offset += _OPTION.size
        if offset + length > len(data):
            break
        found.append((code, data[offset : offset + length]))
        offset += length
    yield from reversed(found)
