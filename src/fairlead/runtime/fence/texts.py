"""Tables as bytes, for the socket and the file that a restarted fence begins with."""

from ipaddress import IPv4Address, IPv6Address

import msgspec
from msgspec import Struct

from fairlead.model.addresses import IPAddress, canonical, parse_address
from fairlead.model.berth import Berth, Table
from fairlead.model.cell import Partition


class _Berth(Struct, array_like=True):
    order: tuple[str, ...]
    addresses: tuple[str, ...]
    engines: int
    place: str = ""


class _Table(Struct):
    me: str
    address: str
    peers: dict[str, str]
    berths: tuple[_Berth, ...]
    fresh: tuple[str, ...]
    partition: Partition


def written(table: Table) -> bytes:
    """A table as MessagePack."""
    whole = _Table(
        me=table.me,
        address=canonical(table.address),
        peers={name: canonical(address) for name, address in table.peers.items()},
        berths=tuple(
            _Berth(b.order, _texts(b.addresses), b.engines, b.place) for b in table.berths
        ),
        fresh=_texts(table.fresh),
        partition=table.partition,
    )
    return msgspec.msgpack.encode(whole)


def table_of(data: bytes) -> Table:
    """The inverse of :func:`written`; raises :class:`msgspec.MsgspecError`."""
    read = msgspec.msgpack.decode(data, type=_Table)
    try:
        return Table(
            me=read.me,
            address=parse_address(read.address),
            peers={name: parse_address(text) for name, text in read.peers.items()},
            berths=tuple(
                Berth(b.order, _addresses(b.addresses), b.engines, b.place) for b in read.berths
            ),
            fresh=_addresses(read.fresh),
            partition=read.partition,
        )
    except ValueError as error:
        raise msgspec.ValidationError(str(error)) from None


def _texts(addresses: frozenset[IPv4Address | IPv6Address]) -> tuple[str, ...]:
    return tuple(sorted(map(canonical, addresses)))


def _addresses(texts: tuple[str, ...]) -> frozenset[IPAddress]:
    return frozenset(map(parse_address, texts))
