"""The desired state as FRR's configuration, line by line as FRR prints it, and as text for people.

What must hold of it: nothing but VIPs leaves (a host route with a tag of ours, twice checked), and
nothing that a router says is taken. So a neighbour without a filter, or one that came by hand,
learns nothing and teaches nothing.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network
from typing import NamedTuple

from fairlead.drivers.bgp import names
from fairlead.drivers.bgp.config import Path, Section
from fairlead.model.addresses import IPAddress, canonical
from fairlead.model.desired import BgpDesired, BgpSpeaker
from fairlead.model.peers import BfdTimes, BgpPeer, BgpRoute, Community

RESTART_SECONDS = 10
"""For how long a router keeps our routes while our daemon restarts (RFC 4724): our packets still
flow then, because they do not pass through it."""

FAMILIES: Mapping[int, str] = {4: "ipv4", 6: "ipv6"}

_TOP = (
    "bgp route-map delay-timer 1",
    f"ip prefix-list {names.HOSTS} seq 5 permit 0.0.0.0/0 ge 32",
    f"ipv6 prefix-list {names.HOSTS} seq 5 permit ::/0 ge 128",
)


class Wanted(NamedTuple):
    """The configuration of both daemons."""

    bgpd: dict[Path, Section]
    bfdd: dict[Path, Section]


def router(speaker: BgpSpeaker) -> Path:
    """The section of the speaker."""
    return (f"router bgp {speaker.asn}",)


def family(speaker: BgpSpeaker, version: int) -> Path:
    """The section of an address family."""
    return (*router(speaker), f"address-family {FAMILIES[version]} unicast")


def configuration(
    speaker: BgpSpeaker,
    peers: Mapping[str, BgpPeer],
    kinds: Collection[BgpRoute],
    secrets: Mapping[str, str],
) -> Wanted:
    """Everything but the VIPs themselves. ``kinds``: what is said of any of them. ``secrets``:
    the passwords, by the peer's name."""
    sections: dict[Path, Section] = {(): _TOP, (f"route-map {names.REFUSE} deny 10",): ()}
    for kind in _ordered(kinds):
        sections[(f"route-map {names.map_of(kind)} permit 10",)] = _said(kind)
    rows = [(name, peer, exports(peer, kinds)) for name, peer in sorted(peers.items())]
    for _, _, out in rows:
        sections |= out.sections
    sections[router(speaker)] = (
        *_speaking(speaker),
        *(line for name, peer, _ in rows for line in told(name, peer, speaker, secrets)),
    )
    for version in FAMILIES:
        sections[family(speaker, version)] = tuple(
            line
            for name, peer, out in rows
            if peer.family == version
            for line in _session(names.neighbour(name, peer), out.name)
        )
    return Wanted(sections, profiles(peer.bfd for peer in peers.values()))


def profiles(times: Iterable[BfdTimes | None]) -> dict[Path, Section]:
    """The BFD profiles for these."""
    return {
        ("bfd", f"profile {names.profile(one)}"): tuple(
            f"{line} {value}"
            for line, value, default in (
                ("detect-multiplier", one.multiplier, 3),
                ("transmit-interval", one.transmit, 300),
                ("receive-interval", one.receive, 300),
            )
            if value != default
        )
        for one in sorted({one for one in times if one is not None})
    }


class Exports(NamedTuple):
    """The export filter of a peer: its name and its sections."""

    name: str
    sections: dict[Path, Section]


def exports(peer: BgpPeer, kinds: Collection[BgpRoute]) -> Exports:
    """What a peer learns, each kind with the attributes that this peer is to see."""
    taken = [kind for kind in _ordered(kinds) if peer.takes(kind)]
    if not taken:
        return Exports(names.REFUSE, {})
    rules = [(_matching(peer, kind), _attributes(peer, kind)) for kind in taken]
    name = names.map_of_lines(line for rule in rules for part in rule for line in part)
    sections: dict[Path, Section] = {
        (f"route-map {name} permit {10 * number}",): (*matching, *attributes)
        for number, (matching, attributes) in enumerate(rules, start=1)
    }
    return Exports(name, sections)


def _matching(peer: BgpPeer, kind: BgpRoute) -> Section:
    words = {4: "ip", 6: "ipv6"}[peer.family]
    return (
        f"match {words} address prefix-list {names.HOSTS}",
        f"match tag {names.tag_of(kind)}",
    )


def _attributes(peer: BgpPeer, kind: BgpRoute) -> Section:
    lines = _communities(peer.communities, " additive")
    if peer.local_preference is not None and peer.internal:
        lines.append(f"set local-preference {peer.local_preference}")
    prepend = peer.prepend + kind.prepend
    if prepend and not peer.internal:
        lines.append(f"set as-path prepend{f' {peer.local_asn}' * prepend}")
    return tuple(lines)


def _said(kind: BgpRoute) -> Section:
    """The route-map of the ``network`` statements."""
    lines = [f"description {names.description(kind)}", *_communities(kind.communities, "")]
    if kind.local_preference is not None:
        lines.append(f"set local-preference {kind.local_preference}")
    return (*lines, f"set tag {names.tag_of(kind)}")


def _communities(communities: Iterable[Community], how: str) -> list[str]:
    lines = []
    for size, word in ((2, "community"), (3, "large-community")):
        found = sorted({one for one in communities if len(one) == size})
        if found:
            lines.append(f"set {word} {' '.join(map(names.community, found))}{how}")
    return lines


def _speaking(speaker: BgpSpeaker) -> Section:
    """Without the last line FRR 8.4 collects for a second what a new session is to hear, looks
    then at what there is, and never withdraws what was announced meanwhile and is gone."""
    return (
        f"bgp router-id {speaker.router_id}",
        "no bgp default ipv4-unicast",
        f"bgp graceful-restart restart-time {RESTART_SECONDS}",
        "bgp graceful-restart preserve-fw-state",
        "no bgp network import-check",
        "coalesce-time 0",
    )


def told(
    name: str, peer: BgpPeer, speaker: BgpSpeaker, secrets: Mapping[str, str]
) -> Iterator[str]:
    """The lines of the router section about a peer."""
    who = names.neighbour(name, peer)
    grouped = isinstance(peer.remote, IPv4Network | IPv6Network)
    if grouped:
        yield f"neighbor {who} peer-group"
    yield f"neighbor {who} remote-as {peer.asn}"
    if peer.local_asn != speaker.asn:
        yield f"neighbor {who} local-as {peer.local_asn} no-prepend replace-as"
    yield f"neighbor {who} description {names.plain(name)}"
    if peer.bfd is not None:
        yield f"neighbor {who} bfd"
        yield f"neighbor {who} bfd profile {names.profile(peer.bfd)}"
    if name in secrets:
        yield f"neighbor {who} password {secrets[name]}"
    if peer.hops > 1 and not peer.internal:
        yield f"neighbor {who} ebgp-multihop {peer.hops}"
    if peer.port != 179:
        yield f"neighbor {who} port {peer.port}"
    yield f"neighbor {who} advertisement-interval 0"
    yield f"neighbor {who} timers {peer.keepalive} {peer.hold}"
    yield f"neighbor {who} timers connect 1"
    yield f"neighbor {who} graceful-restart{'' if peer.graceful_restart else '-disable'}"
    if grouped:
        yield f"bgp listen range {peer.remote} peer-group {who}"


def _session(who: str, out: str) -> Section:
    """The lines of the address family: the filters come before the activation."""
    return (
        f"neighbor {who} route-map {names.REFUSE} in",
        f"neighbor {who} route-map {out} out",
        f"neighbor {who} activate",
    )


def _ordered(kinds: Iterable[BgpRoute]) -> list[BgpRoute]:
    return sorted(kinds, key=names.map_of)


def dump(desired: BgpDesired) -> str:
    """The state as text for golden files and people: speaker, routers, announced VIPs."""
    lines = []
    if desired.speaker is not None:
        lines.append(f"as {desired.speaker.asn} id {desired.speaker.router_id}")
    lines += [_router(name, peer) for name, peer in sorted(desired.peers.items())]
    ordered = sorted(desired.routes.items(), key=lambda item: order(item[0]))
    lines += [f"announce {canonical(address)}{_terms(route)}" for address, route in ordered]
    return "".join(f"{line}\n" for line in lines)


def order(address: IPAddress) -> tuple[int, int]:
    """Sorts addresses of both families: IPv4 first, ascending."""
    return address.version, int(address)


def _router(name: str, peer: BgpPeer) -> str:
    parts = [f"peer {name} {peer.remote} as {peer.asn} from {peer.local_asn}"]
    parts += [f"port {peer.port}"] if peer.port != 179 else []
    parts += ["password"] if peer.password else []
    parts += [f"hops {peer.hops}"] if peer.hops else []
    parts.append(f"timers {peer.keepalive}/{peer.hold}")
    if peer.bfd is not None:
        parts.append(f"bfd {peer.bfd.transmit}/{peer.bfd.receive}x{peer.bfd.multiplier}")
    parts += ["restart"] if peer.graceful_restart else []
    parts += [f"labels {','.join(sorted(peer.labels))}"] if peer.labels else []
    terms = BgpRoute((), peer.communities, peer.local_preference, peer.prepend)
    return " ".join(parts) + _terms(terms)


def _terms(route: BgpRoute) -> str:
    text = f" to {','.join(route.labels)}" if route.labels else ""
    if route.communities:
        text += f" communities {','.join(map(names.community, route.communities))}"
    if route.local_preference is not None:
        text += f" preference {route.local_preference}"
    return f"{text} prepend {route.prepend}" if route.prepend else text
