"""What an agent prepares for its fence: for every VIP, who holds it while whom else is alive.

VIPs with the same candidates are one berth, so that a fence decides, and tells its peers, by a
handful of berths however many VIPs there are.
"""

from collections.abc import Mapping
from functools import cached_property
from hashlib import blake2b
from ipaddress import IPv4Address, IPv6Address

from msgspec import Struct

from fairlead.model.addresses import IPAddress
from fairlead.model.cell import Partition


class Berth(Struct, frozen=True, dict=True):
    """VIPs with the same ``order`` of candidates, of whom the first ``engines`` alive hold them.
    One that is to leave them to the others is named once more at the end. ``place``: the interface
    that is asked for; empty: the one whose subnet holds the address."""

    order: tuple[str, ...]
    addresses: frozenset[IPv4Address | IPv6Address]
    engines: int = 1
    place: str = ""

    @cached_property
    def candidates(self) -> tuple[str, ...]:
        """Everybody in the order, once."""
        return tuple(dict.fromkeys(self.order))

    @cached_property
    def leaving(self) -> frozenset[str]:
        """Who is to hold it only while nobody else can."""
        return frozenset(self.order[len(self.candidates) :])

    @cached_property
    def mark(self) -> str:
        """Its name among fences: what it is the same for, whatever VIPs it has at the moment, and
        whoever leaves."""
        text = f"{self.engines} {' '.join(self.candidates)}"
        text += f" on {self.place}" if self.place else ""
        return blake2b(text.encode(), digest_size=6).hexdigest()


class Table(Struct, frozen=True, kw_only=True, dict=True):
    """Everything a fence must know to go on without its agent.

    ``peers``: the other engines of the cell, and the address each is reached at; ``address``: this
    one's own.
    """

    me: str
    address: IPv4Address | IPv6Address
    peers: dict[str, IPv4Address | IPv6Address]
    berths: tuple[Berth, ...] = ()
    fresh: frozenset[IPv4Address | IPv6Address] = frozenset()
    partition: Partition = "consistent"

    @property
    def cell(self) -> frozenset[str]:
        """All engines of the cell."""
        return frozenset((self.me, *self.peers))

    @cached_property
    def places(self) -> Mapping[IPAddress, str]:
        """All VIPs, each with the interface that is asked for."""
        return {address: berth.place for berth in self.berths for address in berth.addresses}

    def addresses(self) -> frozenset[IPAddress]:
        """All VIPs."""
        return frozenset().union(*(berth.addresses for berth in self.berths))
