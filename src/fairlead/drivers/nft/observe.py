"""The table's elements, as nft lists them, back into rows.

A row is believed only if it would be written as exactly the elements that are there. Where an
element is missing, foreign or changed, the listener is reported with ``affinity_seconds`` of
:data:`DAMAGED`, which nobody desires, so that the ordinary difference repairs it; what really is
there is kept beside it, so that the repair deletes the right elements.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, cast

import msgspec

from fairlead.drivers.nft.elements import NUMBERS, Element, elements
from fairlead.drivers.nft.schema import shape_of
from fairlead.model.addresses import IPAddress, parse_address, parse_network
from fairlead.model.desired import PASSED, L4Backend, L4Key, L4Listener, Masquerade

if TYPE_CHECKING:
    from fairlead.model.names import Protocol

DAMAGED = -1
_PROTOCOLS = {
    name: cast("Protocol", protocol)
    for protocol, number in NUMBERS.items()
    for name in (str(number), protocol.lower())
}
_KEY_PARTS = 3


class Seen(msgspec.Struct, frozen=True):
    """What the maps and sets hold: rows, VIPs, what really is there for the damaged rows, and
    elements of no conceivable listener."""

    rows: dict[L4Key, L4Listener]
    vips: frozenset[IPAddress]
    damaged: dict[L4Key, frozenset[Element]]
    strays: frozenset[Element]


class _Listing(msgspec.Struct):
    nftables: list[dict[str, Any]]


_decoder = msgspec.json.Decoder(_Listing)


def parse_listing(name: str, listing: bytes) -> list[Element]:
    """The elements of one map or set from ``nft -j list``."""
    found: list[Element] = []
    for item in _decoder.decode(listing).nftables:
        body = item.get("map") or item.get("set")
        for element in body.get("elem", ()) if body else ():
            key, value = element if "map" in item else (element, "")
            found.append(Element(name, _normal(name, key), _text(value)))
    return found


def assemble(found: Iterable[Element]) -> Seen:
    """Elements into rows and VIPs."""
    groups: defaultdict[L4Key, set[Element]] = defaultdict(set)
    vips: set[IPAddress] = set()
    strays: set[Element] = set()
    for one in found:
        match _owner(one):
            case L4Key() as key:
                groups[key].add(one)
            case None:
                strays.add(one)
            case address:
                vips.add(address)
    rows: dict[L4Key, L4Listener] = {}
    damaged: dict[L4Key, frozenset[Element]] = {}
    for key, group in groups.items():
        row = _row(group)
        if row is None or elements(key, row) != group:
            row = L4Listener(backends=(), affinity_seconds=DAMAGED)
            damaged[key] = frozenset(group)
        rows[key] = row
    return Seen(rows, frozenset(vips), damaged, frozenset(strays))


def _owner(one: Element) -> L4Key | IPAddress | None:
    try:
        address, *rest = one.key.split(" . ", _KEY_PARTS)
        if one.name.startswith("vips"):
            return parse_address(address)
        return L4Key(parse_address(address), _PROTOCOLS[rest[0]], int(rest[1]))
    except (ValueError, LookupError):
        return None


def _row(group: Iterable[Element]) -> L4Listener | None:
    """The row that such elements may come from; None where they make no sense at all."""
    tables: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for one in group:
        parts = one.key.split(" . ")
        tables[one.name.rstrip("46")][" . ".join(parts[_KEY_PARTS:])] = one.value
    verdict = tables["listeners"].get("", "")
    if verdict == "accept":
        return PASSED
    shape = shape_of(verdict.removeprefix("goto "))
    if shape is None:
        return None
    try:
        return L4Listener(
            backends=tuple(_backends(tables)),
            affinity_seconds=shape.seconds,
            source_ranges=tuple(map(parse_network, tables["sources"])),
            masquerade=_mode(tables["modes"]),
        )
    except (ValueError, LookupError):
        return None


def _backends(tables: dict[str, dict[str, str]]) -> Iterator[L4Backend]:
    targets, slots = tables["backends"], tables["slots"]
    for slot in range(len(slots or targets)):
        where = targets[slots.get(f"{slot:#x}", f"{slot:#x}")]
        address, _, port = where.partition(" . ")
        yield L4Backend(parse_address(address), int(port), where in tables["direct"])


def _mode(verdicts: dict[str, str]) -> Masquerade:
    if not verdicts:
        return "auto"
    return "never" if verdicts[""] == "accept" else "always"


def _normal(name: str, value: Any) -> str:
    """A key in the words of :mod:`elements`: protocols are numbers."""
    parts = _parts(value)
    if len(parts) >= _KEY_PARTS and parts[1] in _PROTOCOLS:
        parts[1] = str(NUMBERS[_PROTOCOLS[parts[1]]])
    return " . ".join(parts)


def _parts(value: Any) -> list[str]:
    match value:
        case {"elem": {"val": inner}}:  # with a comment or a time-out, which are not ours
            return _parts(inner)
        case {"concat": items}:
            return [_text(item) for item in items]
    return [_text(value)]


def _text(value: Any) -> str:
    match value:
        case str():
            return _class(value) or _address(value) or value
        case {"concat": items}:
            return " . ".join(map(_text, items))
        case {"prefix": {"addr": address, "len": length}}:
            return f"{_address(address)}/{length}"
        case {"goto": {"target": chain}}:
            return f"goto {chain}"
        case {"accept": None}:
            return "accept"
    return str(value)


def _class(text: str) -> str | None:
    """A ``classid`` as a number; nft prints it as two hexadecimal halves, which no address has."""
    if text == "none":
        return "0x0"
    major, colon, minor = text.partition(":")
    if not (colon and major and minor) or ":" in minor:
        return None
    return f"{int(major, 16) << 16 | int(minor, 16):#x}"


def _address(text: str) -> str | None:
    """The one spelling of an address, which nft's differs from for IPv4 within IPv6."""
    if "." not in text and ":" not in text:
        return None
    try:
        return str(parse_address(text))
    except ValueError:
        return None
