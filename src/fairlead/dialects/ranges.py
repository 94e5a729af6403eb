"""Sets of addresses as sorted intervals: look-ups and differences that stay fast for any number of
ranges."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from fairlead.model.addresses import AddressRange, Family, IPAddress

Mark = tuple[Family, int]
"""An address as a family and a number, which sort across families."""


def address_at(mark: Mark) -> IPAddress:
    """The address of a mark."""
    family, number = mark
    return IPv4Address(number) if family == 4 else IPv6Address(number)


class Coverage(NamedTuple):
    """The union of some ranges, as sorted, disjoint intervals."""

    starts: tuple[Mark, ...] = ()
    ends: tuple[Mark, ...] = ()

    def holds(self, address: IPAddress) -> bool:
        """Whether the address lies in one of the ranges."""
        mark = (address.version, int(address))
        place = bisect_right(self.starts, mark) - 1
        return place >= 0 and mark <= self.ends[place]


def coverage(ranges: Iterable[AddressRange]) -> Coverage:
    """The union of ranges, for logarithmic look-ups."""
    starts: list[Mark] = []
    ends: list[Mark] = []
    for family, first, last in sorted((r.family, int(r.first), int(r.last)) for r in ranges):
        if starts and (family, first) <= ends[-1]:
            ends[-1] = max(ends[-1], (family, last))
        else:
            starts.append((family, first))
            ends.append((family, last))
    return Coverage(tuple(starts), tuple(ends))


def trimmed(ranges: Iterable[AddressRange]) -> tuple[AddressRange, ...]:
    """The ranges in their order, each without what one before it already holds."""
    starts: list[Mark] = []
    ends: list[Mark] = []
    kept: list[AddressRange] = []
    for span in ranges:
        gaps = _gaps(span, starts, ends)
        if gaps == [(int(span.first), int(span.last))]:
            kept.append(span)
        else:
            kept.extend(_span(span.family, first, last) for first, last in gaps)
        for first, last in gaps:
            place = bisect_left(starts, (span.family, first))
            starts.insert(place, (span.family, first))
            ends.insert(place, (span.family, last))
    return tuple(kept)


def _span(family: Family, first: int, last: int) -> AddressRange:
    return AddressRange(address_at((family, first)), address_at((family, last)))


def _gaps(span: AddressRange, starts: list[Mark], ends: list[Mark]) -> list[tuple[int, int]]:
    """The parts of a range between the intervals that are taken."""
    family, at, last = span.family, int(span.first), int(span.last)
    place = max(bisect_right(starts, (family, at)) - 1, 0)
    gaps = []
    while place < len(starts) and starts[place] <= (family, last) and at <= last:
        (_, begin), (owner, end) = starts[place], ends[place]
        if owner == family and end >= at:
            if begin > at:
                gaps.append((at, begin - 1))
            at = end + 1
        place += 1
    if at <= last:
        gaps.append((at, last))
    return gaps
