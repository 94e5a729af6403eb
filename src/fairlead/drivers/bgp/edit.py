"""From what FRR runs to what it should, in commands that flap no session.

:func:`make` adds and repairs, in the order in which nothing wrong can leave: filters, then VIPs,
then neighbours, so that a router that comes back after a restart of ours hears all of it at once.
:func:`tidy` takes away what nobody wants. Whatever is already so costs no command.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping

from fairlead.drivers.bgp import names
from fairlead.drivers.bgp.config import (
    Path,
    Running,
    Sections,
    completed,
    extra,
    matches,
    missing,
    negated,
    neighbours,
    of_neighbour,
    prefix,
    within,
)
from fairlead.drivers.bgp.render import FAMILIES, family, router
from fairlead.model.addresses import IPAddress
from fairlead.model.desired import BgpSpeaker
from fairlead.model.peers import BgpRoute


def speaker_of(running: Running) -> tuple[Path, ...]:
    """The BGP instances that run."""
    return tuple(path for path in running.sections if len(path) == 1 and _instance(path))


def kinds_of(running: Running) -> dict[str, BgpRoute]:
    """What is said of VIPs, by the intact route-maps that say it."""
    found = {}
    for path, lines in running.sections.items():
        said = next((line for line in lines if line.startswith("description ")), None)
        kind = names.described(said.removeprefix("description ")) if said else None
        if kind is not None and path == (f"route-map {names.map_of(kind)} permit 10",):
            found[names.map_of(kind)] = kind
    return found


def announced(running: Running) -> dict[IPAddress, BgpRoute]:
    """The VIPs that are announced as we do it."""
    kinds = kinds_of(running)
    return {one: kinds[name] for one, name in running.networks.items() if name in kinds}


def sound(running: Running, wanted: Sections, path: Path) -> bool:
    """Whether a route-map of ours says what it should, and nothing before or after."""
    name = path[0].split()[1]
    entries = {one for one in running.sections if one and _is_map(one, name)}
    return entries == {one for one in wanted if one and _is_map(one, name)} and all(
        matches(running.sections, wanted, one) for one in entries
    )


def founded(running: Running, wanted: Sections, speaker: BgpSpeaker) -> bool:
    """Whether everything that no neighbour has for itself is there."""
    maps = [path for path in wanted if path and path[0].startswith("route-map ")]
    lines = running.sections.get(router(speaker), ())
    return (
        not missing(running.sections, wanted, ())
        and not _doubled(running)
        and all(line in lines for line in _global(wanted[router(speaker)]))
        and all(sound(running, wanted, path) for path in maps)
    )


def settled(running: Running, wanted: Sections, speaker: BgpSpeaker, who: str) -> bool:
    """Whether a neighbour is configured as it should be, line by line."""
    paths = (router(speaker), *(family(speaker, version) for version in FAMILIES))
    return all(
        of_neighbour(running.sections.get(path, ()), who) == of_neighbour(wanted[path], who)
        for path in paths
    )


def make(
    running: Running,
    wanted: Sections,
    speaker: BgpSpeaker,
    routes: Mapping[IPAddress, BgpRoute],
) -> list[str]:
    """The commands after which everything wanted is there, and ``routes`` are announced."""
    commands: list[str] = []
    sections: Sections = running.sections
    for path in speaker_of(running):
        if path != router(speaker) and " vrf " not in path[0]:
            commands.append(f"no {path[0]}")  # there is one AS number to an instance
            sections = {p: lines for p, lines in sections.items() if p[:1] != path}
    commands += [negated(line) for line in _doubled(running)]
    commands += missing(sections, wanted, ())
    for path in wanted:
        if path and path[0].startswith("route-map "):
            commands += _false_entries(running, wanted, path)
            commands += completed(sections, wanted, path)
    told = sections.get(router(speaker), ())
    lines = [line for line in _global(wanted[router(speaker)]) if line not in told]
    commands += within(router(speaker), lines)
    commands += announce(speaker, routes)
    for path in (router(speaker), *(family(speaker, version) for version in FAMILIES)):
        commands += within(path, list(_meeting(sections, wanted, path)))
    return commands


def announce(speaker: BgpSpeaker, routes: Mapping[IPAddress, BgpRoute]) -> list[str]:
    """The commands that announce VIPs."""
    maps = {kind: names.map_of(kind) for kind in set(routes.values())}
    lines: dict[int, list[str]] = {version: [] for version in FAMILIES}
    for address, kind in routes.items():
        lines[address.version].append(f"network {prefix(address)} route-map {maps[kind]}")
    return [line for version in lines for line in within(family(speaker, version), lines[version])]


def withdraw(speaker: BgpSpeaker, addresses: Iterable[IPAddress]) -> list[str]:
    """The commands that take announcements back."""
    lines: dict[int, list[str]] = {version: [] for version in FAMILIES}
    for address in addresses:
        lines[address.version].append(f"no network {prefix(address)}")
    return [line for version in lines for line in within(family(speaker, version), lines[version])]


def dismiss(running: Running, speaker: BgpSpeaker, whos: Collection[str]) -> list[str]:
    """The commands that remove neighbours, with the ranges that lead to them first."""
    lines = running.sections.get(router(speaker), ())
    known = [who for who in neighbours(lines) if who in whos]
    commands: list[str] = []
    for who in known:
        about = of_neighbour(lines, who)
        commands += [negated(line) for line in about if line.startswith("bgp listen range ")]
        group = f"neighbor {who} peer-group" in about
        commands.append(f"no neighbor {who}{' peer-group' if group else ''}")
    return within(router(speaker), commands)


def tidy(
    running: Running, wanted: Sections, speaker: BgpSpeaker, kept: Collection[IPAddress]
) -> list[str]:
    """The commands that remove whatever is not wanted; ``kept``: the VIPs to go on with."""
    asked = set(neighbours(wanted[router(speaker)]))
    present = neighbours(running.sections.get(router(speaker), ()))
    commands = [f"no {path[0]}" for path in speaker_of(running) if path != router(speaker)]
    commands += dismiss(running, speaker, {who for who in present if who not in asked})
    commands += withdraw(speaker, [one for one in running.networks if one not in kept])
    for path in running.sections:
        if path[:1] == router(speaker):
            commands += within(path, [negated(line) for line in _strays(running, wanted, path)])
    maps = {path[0].split()[1] for path in running.sections if path and _is_map(path, names.OURS)}
    used = {path[0].split()[1] for path in wanted if path and path[0].startswith("route-map ")}
    return [*commands, *(f"no route-map {name}" for name in sorted(maps - used))]


def make_profiles(running: Running, wanted: Sections) -> list[str]:
    """The commands for bfdd after which the profiles are there."""
    return [line for path in wanted for line in completed(running.sections, wanted, path)]


def tidy_profiles(running: Running, wanted: Sections) -> list[str]:
    """The commands for bfdd that remove profiles of ours which nobody uses."""
    ours = f"profile {names.OURS}"
    unused = [p for p in running.sections if p[0:1] == ("bfd",) and p not in wanted]
    stray = [f"no {path[1]}" for path in unused if len(path) == 2 and path[1].startswith(ours)]
    return within(("bfd",), stray)


def _instance(path: Path) -> bool:
    return path[0].startswith("router bgp ")


def _is_map(path: Path, name: str) -> bool:
    """Whether a section is an entry of the route-map, or, for a prefix, of one of those maps."""
    if name.endswith("-"):
        return path[0].startswith(f"route-map {name}")
    return path[0].startswith(f"route-map {name} ")


def _global(lines: Iterable[str]) -> list[str]:
    return [line for line in lines if not line.startswith(("neighbor ", "bgp listen range "))]


def _doubled(running: Running) -> list[str]:
    """Lines that somebody added to our prefix-lists."""
    words = tuple(f"{ip} prefix-list {names.HOSTS} " for ip in ("ip", "ipv6"))
    top = running.sections.get((), ())
    return [line for line in top if line.startswith(words) and " seq 5 permit " not in line]


def _false_entries(running: Running, wanted: Sections, path: Path) -> Iterator[str]:
    """Entries that somebody added to a route-map of ours."""
    name = path[0].split()[1]
    for one in running.sections:
        if one and _is_map(one, name) and one not in wanted:
            yield f"no {one[0]}"


def _meeting(sections: Sections, wanted: Sections, path: Path) -> Iterator[str]:
    """The lines that make the wanted neighbours right in one section."""
    asked = set(neighbours(wanted[path]))
    for line in extra(sections, wanted, path):
        if any(line in of_neighbour((line,), who) for who in neighbours((line,)) if who in asked):
            yield negated(line)
    for line in missing(sections, wanted, path):
        if line.startswith(("neighbor ", "bgp listen range ")):
            yield line


def _strays(running: Running, wanted: Sections, path: Path) -> Iterator[str]:
    """The lines of a section that nobody wants and that speak of no neighbour: those are dealt with
    one by one."""
    for line in extra(running.sections, wanted, path):
        if not line.startswith(("neighbor ", "bgp listen range ")):
            yield line
