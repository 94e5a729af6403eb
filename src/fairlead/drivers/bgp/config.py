"""FRR's configuration as sections of lines, and the commands from one to another.

A section is named by the headers that lead to it: ``("router bgp 5000", "address-family ipv4
unicast")``; the top is ``()``. FRR prints what it understood and leaves out what is its default, so
lines that are wanted are written here the way FRR prints them. Announced VIPs, of which there may
be many, are kept apart from the other lines.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from fairlead.model.addresses import IPAddress, canonical, parse_address

Path = tuple[str, ...]
Section = tuple[str, ...]
Sections = Mapping[Path, Sequence[str]]

HEADER = re.compile(
    r"router bgp |address-family |route-map \S+ (?:permit|deny) |bfd$|profile |peer |vrf |line "
)
_NOISE = re.compile(r"!|exit|end$|Building |Current |frr |hostname |service |log |bgp no-rib|$")
_SINGLE = frozenset(
    {
        "advertisement-interval",
        "description",
        "ebgp-multihop",
        "local-as",
        "password",
        "port",
        "remote-as",
        "timers",
    }
)
_NETWORK = re.compile(r"network (\S+)/(\d+) route-map (\S+)$")


class Running(NamedTuple):
    """What a daemon runs: its sections, and the announced host routes with their route-maps."""

    sections: dict[Path, list[str]]
    networks: dict[IPAddress, str]


def parse(text: str) -> Running:
    """The sections of a ``show running-config``."""
    sections: dict[Path, list[str]] = {(): []}
    networks: dict[IPAddress, str] = {}
    path: Path = ()
    for raw in text.splitlines():
        line = raw.lstrip(" ")
        if _NOISE.match(line):
            continue
        path = path[: len(raw) - len(line)]
        if line.startswith("network ") and (found := _NETWORK.match(line)):
            address = _host(found[1], int(found[2]))
            if address is not None:
                networks[address] = found[3]
                continue
        if HEADER.match(line):
            path = (*path, line)
            sections.setdefault(path, [])
        else:
            sections.setdefault(path, []).append(line)
    return Running(sections, networks)


def _host(text: str, length: int) -> IPAddress | None:
    try:
        address = parse_address(text)
    except ValueError:
        return None
    return address if length == address.max_prefixlen else None


def prefix(address: IPAddress) -> str:
    """An address as the prefix that is announced."""
    return f"{canonical(address)}/{address.max_prefixlen}"


def within(path: Path, commands: Sequence[str]) -> list[str]:
    """Commands of a section, from the top and back to it."""
    if not commands:
        return []
    return [*path, *commands, *("exit" for _ in path)]


def missing(current: Sections, wanted: Sections, path: Path) -> list[str]:
    """The lines of a section that are wanted and not there, in the order of ``wanted``."""
    present = set(current.get(path, ()))
    return [line for line in wanted.get(path, ()) if line not in present]


def extra(current: Sections, wanted: Sections, path: Path) -> list[str]:
    """The lines of a section that nobody wants, and that no wanted one takes the place of."""
    asked = wanted.get(path, ())
    slots = {slot(line) for line in asked}
    lines = current.get(path, ())
    return [line for line in lines if line not in asked and slot(line) not in slots]


def completed(current: Sections, wanted: Sections, path: Path) -> list[str]:
    """The commands that make one section what is wanted, which must be there."""
    strays = [negated(line) for line in extra(current, wanted, path)]
    lines = [*strays, *missing(current, wanted, path)]
    return within(path, lines) if lines or path in current else [*path, *("exit" for _ in path)]


def matches(current: Sections, wanted: Sections, path: Path) -> bool:
    """Whether a section is there with exactly these lines."""
    return path in current and set(current[path]) == set(wanted[path])


def negated(line: str) -> str:
    """The command that takes a line back."""
    return line.removeprefix("no ") if line.startswith("no ") else f"no {line}"


def slot(line: str) -> tuple[str, ...]:
    """What a line sets, without the value: a line takes the place of another with this slot, and
    without a moment in between. Most lines are their own slot."""
    words = line.split()
    match words:
        case ["neighbor", who, "timers", "connect", _]:
            return ("neighbor", who, "timers connect")
        case ["neighbor", who, "bfd", "profile", _]:
            return ("neighbor", who, "bfd profile")
        case ["neighbor", who, "route-map", _, direction]:
            return ("neighbor", who, "route-map", direction)
        case ["neighbor", who, what, _, *_] if what in _SINGLE:
            return ("neighbor", who, what)
        case ["network", network, *_]:
            return ("network", network)
        case ["coalesce-time", _]:
            return ("coalesce-time",)
        case ["bgp", "router-id", _]:
            return ("bgp", "router-id")
        case ["bgp", "graceful-restart" | "route-map" as what, timer, _]:
            return ("bgp", what, timer)
    return tuple(words)


def neighbours(lines: Iterable[str]) -> Iterator[str]:
    """The neighbours and peer groups that lines speak of, each once."""
    seen: dict[str, None] = {}
    for line in lines:
        words = line.split(maxsplit=2)
        if words[0] == "neighbor":
            seen[words[1]] = None
    yield from seen


def of_neighbour(lines: Iterable[str], who: str) -> set[str]:
    """The lines about one neighbour or peer group."""
    start, end = f"neighbor {who} ", f" peer-group {who}"
    return {line for line in lines if line.startswith(start) or line.endswith(end)}
