"""AddressPools as the planner's pools.

An entry that cannot be read rejects the object, but the entries that can stay in use: a typo in one
line must not take the addresses of all others away. Ranges of one pool that overlap are trimmed, so
that no address counts twice; pools that overlap each other only get a warning, since the ledger
keeps an address with one group whichever pool it came from.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from fairlead.dialects.ranges import address_at, trimmed
from fairlead.dialects.reading import accepted, invalid
from fairlead.model.addresses import AddressRange, Family, parse_range, usable
from fairlead.model.claim import Pool
from fairlead.model.names import Ref
from fairlead.model.objects import AddressPool
from fairlead.model.verdict import Code, Reason, State, Verdict

FORBIDDEN = tuple(
    (parse_range(cidr), what)
    for cidr, what in (
        ("0.0.0.0/8", "addresses of this network"),
        ("127.0.0.0/8", "loopback addresses"),
        ("169.254.0.0/16", "link-local addresses"),
        ("224.0.0.0/4", "multicast addresses"),
        ("240.0.0.0/4", "reserved addresses"),
        ("::/127", "the unspecified and the loopback address"),
        ("::ffff:0:0/96", "IPv4 addresses in IPv6 clothes"),
        ("fe80::/10", "link-local addresses"),
        ("ff00::/8", "multicast addresses"),
    )
)


class Reads(NamedTuple):
    """A pool as read: whole ranges, and why some entries were not."""

    ranges: tuple[AddressRange, ...]
    problems: tuple[Reason, ...]


def read_pools(
    objects: Iterable[AddressPool], taken_names: Iterable[str]
) -> tuple[list[Pool], list[AddressRange], dict[Ref, Verdict]]:
    """The pools, their ranges before anything is left out, and what there is to say about them.

    ``taken_names`` belong to pools that a language's own configuration defines.
    """
    pools: list[Pool] = []
    declared: list[tuple[AddressPool, tuple[AddressRange, ...]]] = []
    verdicts: dict[Ref, Verdict] = {}
    taken = set(taken_names)
    for item in sorted(objects, key=_age):
        reads = _read(item, taken)
        if reads.problems:
            verdicts[item.ref] = Verdict(item.ref, State.REJECTED, _first(reads.problems))
        if reads.ranges:
            pools.append(_pool(item, reads.ranges))
            declared.append((item, reads.ranges))
    for ref, warning in _overlaps(declared):
        verdicts.setdefault(ref, accepted(ref, (warning,)))
    return pools, [span for _, ranges in declared for span in ranges], verdicts


def read_span(field: str, entry: str) -> AddressRange | Reason:
    """A CIDR, range or address that VIPs may come from."""
    try:
        span = parse_range(entry)
    except ValueError:
        return invalid(field, entry, "is no CIDR, range (first-last) or address; correct it")
    for forbidden, what in FORBIDDEN:
        if _meet(span, forbidden):
            return invalid(field, entry, f"holds {what}; leave them out")
    return span


def in_order(pools: Iterable[Pool]) -> tuple[Pool, ...]:
    """Pools as they are tried: higher priority first, then by name."""
    return tuple(sorted(pools, key=lambda pool: (-pool.priority, pool.name)))


def _age(item: AddressPool) -> tuple[str, str]:
    return item.metadata.creation_timestamp or "", item.name


def _read(item: AddressPool, taken: set[str]) -> Reads:
    if item.name in taken:
        why = "is the name of a pool that the cloud provider's ConfigMap defines; rename this one"
        return Reads((), (invalid("metadata.name", item.name, why),))
    spans: list[AddressRange] = []
    problems: list[Reason] = []
    for entry in item.spec.addresses:
        span = read_span("spec.addresses", entry)
        if isinstance(span, Reason):
            problems.append(span)
        else:
            spans.append(span)
    if not item.spec.addresses:
        problems.append(invalid("spec.addresses", "", "is empty; list CIDRs or ranges"))
    return Reads(trimmed(spans), tuple(problems))


def _first(problems: tuple[Reason, ...]) -> Reason:
    reason, more = problems[0], len(problems) - 1
    if not more:
        return reason
    return Reason(reason.code, f"{reason.message} {more} more cannot be read either.")


def _pool(item: AddressPool, ranges: tuple[AddressRange, ...]) -> Pool:
    spec = item.spec
    return Pool(
        name=item.name,
        ranges=tuple(usable(span, avoid_first_last=spec.avoid_first_last) for span in ranges),
        networks=tuple(spec.networks or ()),
        namespaces=frozenset(spec.namespaces or ()),
        namespace_selector=spec.namespace_selector,
        service_selector=spec.service_selector,
        priority=spec.priority,
        auto_assign=spec.auto_assign,
        cross_namespace=spec.sharing.cross_namespace if spec.sharing else True,
        announce=spec.announce,
    )


def _meet(one: AddressRange, other: AddressRange) -> bool:
    return (
        one.family == other.family
        and int(one.first) <= int(other.last)
        and int(other.first) <= int(one.last)
    )


def _overlaps(
    declared: list[tuple[AddressPool, tuple[AddressRange, ...]]],
) -> Iterator[tuple[Ref, Reason]]:
    """The newer of two pools that hold the same address, by one sweep over the sorted ranges."""
    marks = sorted(
        (span.family, int(span.first), int(span.last), age)
        for age, (_, ranges) in enumerate(declared)
        for span in ranges
    )
    open_until: tuple[Family, int, int] | None = None
    for family, first, last, age in marks:
        if open_until is not None and open_until[0] == family and first <= open_until[1]:
            old, new = sorted((age, open_until[2]))
            if old != new:
                yield declared[new][0].ref, _overlap(declared[old][0], first, family)
        if open_until is None or open_until[0] != family or last > open_until[1]:
            open_until = (family, last, age)


def _overlap(other: AddressPool, number: int, family: Family) -> Reason:
    return Reason(
        Code.INVALID_OBJECT,
        f"{address_at((family, number))} also belongs to AddressPool {other.name}; remove it from "
        "one of them.",
        conflicts=(other.ref,),
    )
