"""Whether the table's rules are what we made them, whoever edited it and whatever version nft is.

Comparing text would compare versions of nft's printer. Instead the same rules are loaded once into
a dormant table (its chains are hooked nowhere), and both tables are compared as the kernel reports
them, without what legitimately differs: handles, use counts, names of the table.
"""

import struct
from collections.abc import Iterable

from fairlead.drivers.base import DriverError
from fairlead.drivers.nft.client import NftClient
from fairlead.drivers.nft.netlink import (
    BODY,
    NFTABLES,
    Interrupted,
    Netlink,
    attribute,
    attributes,
)
from fairlead.drivers.nft.render import remove
from fairlead.drivers.nft.schema import Shape, shape_of, skeleton

Print = frozenset[tuple[str, str, int, bytes]]
"""What a table consists of: kind, name (of the chain or set), position, and the rest as bytes."""

_INET = 1
_GET_TABLE, _GET_CHAIN, _GET_RULE = NFTABLES | 1, NFTABLES | 4, NFTABLES | 7
_GET_SET, _GET_GENERATION = NFTABLES | 10, NFTABLES | 16
_TABLE, _NAME = 1, 3
_RULE_CHAIN, _SET_NAME = 2, 2
_TABLE_FLAGS = 2
# Attributes that say what a thing is. The others are handles, counters, padding and ids.
_CHAIN_PARTS = (4, 5, 7, 10)  # hook, policy, type, flags
_RULE_PARTS = (4, 5)  # expressions, compat
_SET_PARTS = (3, 4, 5, 6, 7, 9, 11, 12, 17)  # flags, types and lengths, description, time-out
_ATTEMPTS = 10


def generation(link: Netlink) -> int:
    """nftables' generation number: every commit by anybody in the namespace raises it by one."""
    (number,) = struct.unpack(">I", attributes(link.get(_GET_GENERATION)[BODY:])[1])
    return int(number)


def exists(link: Netlink, table: str) -> bool:
    """Whether there is such a table, active (a dormant one filters nothing)."""
    return any(
        _text(one[_TABLE]) == table and not int.from_bytes(one.get(_TABLE_FLAGS, b""))
        for one in _dump(link, _GET_TABLE, table)
    )


def shapes_in(link: Netlink, table: str) -> frozenset[Shape]:
    """The shapes whose chains a table has."""
    chains = (one for one in _dump(link, _GET_CHAIN, table) if _text(one[_TABLE]) == table)
    return frozenset(shape for one in chains if (shape := shape_of(_text(one[_NAME]))))


def fingerprint(link: Netlink, table: str) -> Print:
    """What a table's chains, rules and sets are, without their elements."""
    return frozenset((*_chains(link, table), *_rules(link, table), *_sets(link, table)))


class Reference:
    """The fingerprint that a table of given shapes must have, learned from the kernel once
    each."""

    def __init__(self, *, table: str, client: NftClient, link: Netlink) -> None:
        """``table``: the name of the table to compare; the dormant one is named after it."""
        self.table = f"{table}-reference"
        self._client = client
        self._link = link
        self._known: tuple[frozenset[Shape], Print] | None = None

    def fingerprint(self, shapes: frozenset[Shape]) -> Print:
        """The right fingerprint. Raises :class:`DriverError`."""
        if self._known is None or self._known[0] != shapes:
            text = remove(self.table) + skeleton(self.table, shapes, dormant=True)
            self._client.run(text)
            try:
                self._known = (shapes, fingerprint(self._link, self.table))
            finally:
                self._client.run(remove(self.table))
        return self._known[1]


def _chains(link: Netlink, table: str) -> list[tuple[str, str, int, bytes]]:
    return [
        ("chain", _text(one[_NAME]), 0, _parts(one, _CHAIN_PARTS))
        for one in _dump(link, _GET_CHAIN, table)
        if _text(one[_TABLE]) == table
    ]


def _rules(link: Netlink, table: str) -> list[tuple[str, str, int, bytes]]:
    found = []
    positions: dict[str, int] = {}
    for one in _dump(link, _GET_RULE, table):
        if _text(one[_TABLE]) == table:
            chain = _text(one[_RULE_CHAIN])
            positions[chain] = positions.get(chain, -1) + 1
            found.append(("rule", chain, positions[chain], _parts(one, _RULE_PARTS)))
    return found


def _sets(link: Netlink, table: str) -> list[tuple[str, str, int, bytes]]:
    return [
        ("set", _text(one[_SET_NAME]), 0, _parts(one, _SET_PARTS))
        for one in _dump(link, _GET_SET, table)
        if _text(one[_TABLE]) == table
    ]


def _parts(one: dict[int, bytes], wanted: Iterable[int]) -> bytes:
    return b"".join(attribute(kind, one[kind]) for kind in wanted if kind in one)


def _dump(link: Netlink, kind: int, table: str) -> list[dict[int, bytes]]:
    """A dump of one table's rules or sets (of all tables and chains: there the kernel has no
    filter)."""
    body = attribute(_TABLE, table.encode() + b"\0") if kind in (_GET_RULE, _GET_SET) else b""
    for _ in range(_ATTEMPTS):
        try:
            return [attributes(m[BODY:]) for m in link.dump(kind, family=_INET, body=body)]
        except Interrupted:
            continue
    raise DriverError("nft: the ruleset changes faster than it can be read; retry")


def _text(value: bytes) -> str:
    return value.rstrip(b"\0").decode()
