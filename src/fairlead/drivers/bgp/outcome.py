"""What a round could not do, as values first and as one exception at the end.

One router or address that fails must not stop the others, so failures are collected and raised
together.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from fairlead.drivers.base import DriverError
from fairlead.model.addresses import IPAddress, canonical

NAMED = 3
"""How many addresses a message names before it counts."""


class Failure(NamedTuple):
    """Something that is not as wished, and why (with what to do about it): a VIP, a router by the
    name of its object, or, with neither, the speaker itself."""

    problem: str
    address: IPAddress | None = None
    peer: str = ""


class BgpError(DriverError):
    """Some of it failed, the rest is done."""

    def __init__(self, failures: Iterable[Failure]) -> None:
        self.failures = tuple(failures)
        super().__init__(describe(self.failures))


def describe(failures: Iterable[Failure]) -> str:
    """One clause per problem; names the first addresses and counts the others."""
    grouped: dict[tuple[str, str], list[IPAddress]] = defaultdict(list)
    for problem, address, peer in failures:
        grouped[peer, problem] += [] if address is None else [address]
    return "; ".join(
        f"bgp: {f'BGPPeer {peer}: ' if peer else ''}{problem}{_named(addresses)}"
        for (peer, problem), addresses in grouped.items()
    )


def _named(addresses: list[IPAddress]) -> str:
    if not addresses:
        return ""
    text = ", ".join(map(canonical, addresses[:NAMED]))
    more = len(addresses) - NAMED
    return f" ({text} and {more} more)" if more > 0 else f" ({text})"
