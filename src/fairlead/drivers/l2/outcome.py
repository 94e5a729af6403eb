"""What a round of the announcer could not do, as values first and as one exception at the end.

One address or interface that fails must not stop the others, so failures are collected and raised
together; the runtime reads :attr:`L2Error.failures` to say so on the right objects.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from fairlead.drivers.base import DriverError
from fairlead.model.addresses import IPAddress, canonical

NAMED = 3
"""How many addresses a message names before it counts."""


class Failure(NamedTuple):
    """An address that is not served as wished, where, and why (with what to do about it)."""

    address: IPAddress
    interface: str
    problem: str


class L2Error(DriverError):
    """Some addresses failed, the rest is done. ``failures`` has one entry per address."""

    def __init__(self, failures: Iterable[Failure]) -> None:
        self.failures = tuple(failures)
        super().__init__(describe(self.failures))


def describe(failures: Iterable[Failure]) -> str:
    """One clause per interface and problem; names the first addresses and counts the others."""
    grouped: dict[tuple[str, str], list[IPAddress]] = defaultdict(list)
    for failure in failures:
        grouped[failure.interface, failure.problem].append(failure.address)
    return "; ".join(
        f"{interface}: {problem} ({_named(addresses)})"
        for (interface, problem), addresses in grouped.items()
    )


def _named(addresses: list[IPAddress]) -> str:
    text = ", ".join(map(canonical, addresses[:NAMED]))
    more = len(addresses) - NAMED
    return f"{text} and {more} more" if more > 0 else text
