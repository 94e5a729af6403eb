"""The objects of one group, made into its VIPs.

The two addresses of a dual-stack VIP are two objects; where they differ, because one was written
before the other, the IPv4 one leads, so that both stay on one engine. Internal addresses (their
``slot``) are VIPs of their own behind the one with the translations.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from fairlead.dialects.facts import Cluster
from fairlead.dialects.published.join import Join, Nodes
from fairlead.dialects.reading import Hint, invalid, shown
from fairlead.dialects.view import View
from fairlead.model.addresses import IPAddress, parse_address
from fairlead.model.claim import DEFAULT_ENGINES
from fairlead.model.dhcp import LeaseOrder
from fairlead.model.ledger import EXTERNAL, Spot
from fairlead.model.names import GroupKey, Protocol, Ref, ref_of
from fairlead.model.plan import Outcome, Translation
from fairlead.model.served import ServedVip
from fairlead.model.verdict import Code, Reason
from fairlead.model.virtualip import VirtualIP


class Placing(NamedTuple):
    """An object that is served, and its address."""

    spot: Spot
    object: VirtualIP


class GroupReading(NamedTuple):
    """What a group comes to. ``doubts`` are about all of its objects."""

    outcome: Outcome | None
    hints: tuple[Hint, ...] = ()
    doubts: tuple[Reason, ...] = ()


def read_group(
    key: GroupKey, found: Iterable[Placing], view: View, leases: tuple[LeaseOrder, ...] = ()
) -> GroupReading:
    """The VIPs of a group from its objects, in whatever order. ``leases``: what it is to lease."""
    slots: dict[str, list[Placing]] = {}
    for one in sorted(found, key=_order):
        slots.setdefault(one.object.spec.slot, []).append(one)
    if not slots:
        return GroupReading(Outcome(key, (), (), leases=leases) if leases else None)
    join = Join(view)
    doubts: dict[Reason, None] = {}
    inner: list[ServedVip] = []
    for slot, ones in slots.items():
        if slot != EXTERNAL:
            inner.append(_vip(key, ones, join, view.cluster, doubts))
    vips: list[ServedVip] = []
    if outer := slots.get(EXTERNAL):
        vips.append(_vip(key, outer, join, view.cluster, doubts, _inside(inner)))
    vips += inner
    nodes = join.nodes()
    placed = tuple(_confined(vip, nodes) for vip in vips)
    outcome = Outcome(key, (), (), vips=placed, leases=leases)
    return GroupReading(outcome, tuple(join.hints), (*doubts, *join.doubts))


def _order(one: Placing) -> tuple[str, int, int, str]:
    address = one.spot.address
    return one.object.spec.slot, address.version, int(address), one.spot.space


Inside = frozenset[tuple[IPAddress, Protocol, int]]
"""Where the internal VIPs of a group listen."""


def _inside(inner: Sequence[ServedVip]) -> Inside:
    return frozenset(
        (address, entry.protocol, entry.port)
        for vip in inner
        for address in vip.addresses
        for entry in vip.listeners
    )


def _vip(
    key: GroupKey,
    ones: Sequence[Placing],
    join: Join,
    cluster: Cluster,
    doubts: dict[Reason, None],
    inside: Inside = frozenset(),
) -> ServedVip:
    lead = ones[0].object.spec
    entries = [entry for one in ones for entry in one.object.spec.listeners]
    engine_group = cluster.engine_names.get(lead.engine_group)
    if engine_group is None:
        engine_group = DEFAULT_ENGINES
        doubts[_no_group(lead.engine_group)] = None
    return ServedVip(
        group=key,
        addresses=tuple(one.spot.address for one in ones),
        pools=(),
        members=tuple(_members(ones)),
        listeners=join.listeners(entries),
        translations=_translations(ones, inside, doubts),
        slot=lead.slot,
        engine_group=engine_group,
        announce=lead.announce,
        peer_labels=lead.peer_labels,
        interface=lead.interface,
        role=lead.role,
        engines=lead.engines if lead.announce != "l2" else 1,
        home=lead.home,
    )


def _members(ones: Sequence[Placing]) -> Iterator[Ref]:
    texts = sorted({text for one in ones for text in one.object.spec.members})
    for text in texts:
        try:
            yield ref_of(text)
        except ValueError:
            continue  # a name that nothing can bear


def _translations(
    ones: Sequence[Placing], inside: Inside, doubts: dict[Reason, None]
) -> tuple[Translation, ...]:
    """The DNATs that lead somewhere: to a listener of the group, in the same family."""
    found = set()
    for spot, one in ones:
        for step in one.spec.translations:
            try:
                internal = parse_address(step.internal)
            except ValueError:
                internal = None
            there = internal is not None and (internal, step.protocol, step.port) in inside
            if internal is None or not there or internal.version != spot.address.version:
                why = f"has no listener {step.port}/{step.protocol} to lead to"
                doubts[invalid("spec.translations", step.internal, why)] = None
            else:
                found.add(Translation(step.protocol, spot.address, internal, step.port))
    return tuple(sorted(found, key=_by_port))


def _by_port(step: Translation) -> tuple[str, int, int, int, int]:
    outer, inner = step.external, step.internal
    return step.protocol, outer.version, int(outer), int(inner), step.port


def _confined(vip: ServedVip, nodes: Nodes) -> ServedVip:
    """A VIP with listeners goes where their endpoints are; one that translates goes anywhere."""
    if nodes is None or vip.translations:
        return vip
    return replace(vip, nodes=nodes)


def _no_group(name: str) -> Reason:
    text = (
        f"spec.engineGroup {shown(name)} names no EngineGroup; the default engines serve instead."
    )
    return Reason(Code.UNKNOWN_ENGINE_GROUP, text)
