"""IP addresses, ranges and networks: text at the edges, :mod:`ipaddress` objects inside."""

import socket
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    collapse_addresses,
    ip_address,
    ip_network,
    summarize_address_range,
)
from typing import NamedTuple

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network
Family = int
"""4 or 6, as :attr:`IPAddress.version`."""


@lru_cache(maxsize=1 << 18)
def parse_address(text: str) -> IPAddress:
    """An address from its text; ValueError when it is none.

    Cached, because the same few node and pod addresses come back with every object. Scoped IPv6
    addresses (``fe80::1%eth0``) are refused: a VIP or backend cannot be one.
    """
    try:
        return IPv4Address(int.from_bytes(socket.inet_pton(socket.AF_INET, text)))
    except (OSError, ValueError):
        pass  # not IPv4: the general parser decides and words the error
    if "%" in text:
        raise ValueError(f"{text[:64]!r} has a zone, which no VIP or backend can have")
    try:
        return ip_address(text)
    except ValueError:
        raise ValueError(f"{text[:64]!r} is not an IP address") from None


def parse_network(text: str) -> IPNetwork:
    """A CIDR from its text (host bits are allowed and dropped); ValueError when it is none."""
    try:
        return ip_network(text.strip(), strict=False)
    except ValueError:
        raise ValueError(f"{text[:64]!r} is not a CIDR") from None


def merged(networks: Iterable[IPNetwork]) -> tuple[IPNetwork, ...]:
    """The same addresses as the fewest networks, IPv4 first, ascending."""
    given = tuple(networks)
    return (
        *collapse_addresses(one for one in given if isinstance(one, IPv4Network)),
        *collapse_addresses(one for one in given if isinstance(one, IPv6Network)),
    )


class AddressRange(NamedTuple):
    """``first`` to ``last`` inclusive, of one family. ``cidr``: it was written as a CIDR."""

    first: IPAddress
    last: IPAddress
    cidr: bool = False

    @property
    def size(self) -> int:
        """How many addresses it holds."""
        return int(self.last) - int(self.first) + 1

    @property
    def family(self) -> Family:
        """4 or 6."""
        return self.first.version

    def __contains__(self, address: object) -> bool:
        """Whether the address lies in the range; an address of the other family never does."""
        if not isinstance(address, IPv4Address | IPv6Address) or address.version != self.family:
            return False
        return int(self.first) <= int(address) <= int(self.last)

    def __str__(self) -> str:
        """``first-last``, the single address, or the CIDR it was written as."""
        if self.cidr:
            return ", ".join(map(str, self.networks()))
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"

    def networks(self) -> tuple[IPNetwork, ...]:
        """The fewest CIDRs that cover exactly the range."""
        return tuple(summarize_address_range(self.first, self.last))


def parse_range(text: str) -> AddressRange:
    """``a-b``, a CIDR or a single address; ValueError that says what is wrong otherwise."""
    text = text.strip()
    if "/" in text:
        network = parse_network(text)
        return AddressRange(network.network_address, network.broadcast_address, cidr=True)
    first_text, dash, last_text = text.partition("-")
    first = parse_address(first_text.strip())
    last = parse_address(last_text.strip()) if dash else first
    if first.version != last.version:
        raise ValueError(f"{text[:96]!r} mixes IPv4 and IPv6")
    if int(first) > int(last):
        raise ValueError(f"{text[:96]!r} ends before it begins")
    return AddressRange(first, last)


def usable(span: AddressRange, *, avoid_first_last: bool) -> AddressRange:
    """The part of a range that may be handed out.

    ``avoid_first_last`` skips network and broadcast of IPv4 CIDRs of /30 and larger; a range
    written as ``a-b`` is used whole.
    """
    if not (avoid_first_last and span.cidr and span.family == 4 and span.size >= 4):
        return span
    return AddressRange(span.first + 1, span.last - 1)


def canonical(address: IPAddress) -> str:
    """The one text of an address (RFC 5952 for IPv6)."""
    return address.compressed
