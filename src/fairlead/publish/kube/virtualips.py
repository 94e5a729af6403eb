"""The ledger as VirtualIP objects, and back.

Pure: one function makes the objects of a group from a plan, another makes holdings from objects.
What an object says besides its address follows from the plan, so two controllers write the same
bytes, and a digest tells whether anything must be written at all.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from fairlead.model.addresses import canonical, parse_address
from fairlead.model.ledger import Assignment, Holding, Owner, Spot
from fairlead.model.names import GroupKey, Ref, ref_of
from fairlead.model.plan import Listener, Outcome, Plan, Vip, VipKey
from fairlead.model.virtualip import (
    GROUP_LABEL,
    VirtualIP,
    VirtualIPGroup,
    VirtualIPListener,
    VirtualIPSpec,
    VirtualIPTranslation,
    object_name,
)
from fairlead.planner.place import is_full, scale_of

API_VERSION = "fairlead.dev/v1alpha1"
Specs = dict[str, VirtualIPSpec]
"""Object name -> what it says."""
Same = Callable[[GroupKey], GroupKey]


def specs_of(plan: Plan, key: GroupKey, released: Mapping[Ref, str]) -> Specs | None:
    """The objects of a group as the plan has it. None: they stay as they are, because an object of
    the group cannot be read. ``released``: when objects went whose addresses are kept."""
    outcome = plan.outcomes.get(key)
    if outcome is None or outcome.holding is None:
        return {}
    holding = outcome.holding
    if outcome.vips:
        return {object_name(a.spot): _spec(plan, outcome, a) for a in holding.assignments}
    since = max((released[ref] for ref in holding.members if ref in released), default="")
    if not (since or outcome.claims):
        return None
    return {object_name(a.spot): _suspended(holding, a, since) for a in holding.assignments}


def _suspended(holding: Holding, assignment: Assignment, since: str) -> VirtualIPSpec:
    """An address that is kept and not served. Its listeners remember whose it is."""
    return VirtualIPSpec(
        address=canonical(assignment.spot.address),
        group=_group(holding.group),
        space=assignment.spot.space,
        slot=assignment.slot,
        pool=assignment.pool,
        setting=holding.setting,
        listeners=tuple(
            VirtualIPListener(o.protocol, o.port, f"{o.ref.namespace}/{o.ref.name}")
            for o in holding.owners
        ),
        suspended=True,
        released=since,
    )


def _spec(plan: Plan, outcome: Outcome, assignment: Assignment) -> VirtualIPSpec:
    vip = next(v for v in outcome.vips if assignment.spot.address in v.addresses)
    listeners = tuple(_listener(entry) for entry in vip.listeners)
    rule = plan.claims.engine_rules.get(vip.engine_group)
    home = plan.placement.active.get(vip.key, ())
    return VirtualIPSpec(
        address=canonical(assignment.spot.address),
        group=_group(outcome.group),
        space=assignment.spot.space,
        slot=assignment.slot,
        pool=assignment.pool,
        setting=_setting(outcome),
        members=tuple(map(str, vip.members)),
        listeners=listeners,
        translations=_translations(vip, assignment),
        engine_group=vip.engine_group,
        engines=scale_of(vip, rule) if rule is not None else 1,
        home=home,
        role=vip.role,
        announce=vip.announce,
        suspended=not home and rule is not None and is_full(vip, rule),
        peer_labels=vip.peer_labels,
        interface=vip.interface,
    )


def _setting(outcome: Outcome) -> str:
    return outcome.holding.setting if outcome.holding else ""


def _group(key: GroupKey) -> VirtualIPGroup:
    return VirtualIPGroup(key.dialect, key.scope, key.name, key.namespace)


def _listener(entry: Listener) -> VirtualIPListener:
    return VirtualIPListener(
        protocol=entry.protocol,
        port=entry.port,
        service=f"{entry.service.namespace}/{entry.service.name}",
        via=entry.via,
        local=entry.local,
        affinity_seconds=entry.affinity_seconds,
        source_ranges=tuple(map(str, entry.source_ranges)),
        forward=entry.forward,
    )


def _translations(vip: Vip, assignment: Assignment) -> tuple[VirtualIPTranslation, ...]:
    return tuple(
        VirtualIPTranslation(step.protocol, step.port, canonical(step.internal))
        for step in vip.translations
        if step.external == assignment.spot.address
    )


def body_of(name: str, spec: VirtualIPSpec, version: str = "") -> bytes:
    """The object as JSON; ``version`` is the resourceVersion that an update is conditional on."""
    meta: dict[str, Any] = {"name": name, "labels": {GROUP_LABEL: spec.engine_group}}
    if version:
        meta["resourceVersion"] = version
    whole = {"apiVersion": API_VERSION, "kind": VirtualIP.KIND, "metadata": meta, "spec": spec}
    return msgspec.json.encode(whole)


class Ledgered(NamedTuple):
    """What objects say together. ``strays``: objects that contradict an older one, or themselves;
    they are nobody's."""

    holdings: dict[GroupKey, Holding]
    strays: tuple[str, ...]


def _itself(key: GroupKey) -> GroupKey:
    return key


def holdings_of(objects: Iterable[VirtualIP], same: Same = _itself) -> Ledgered:
    """The holdings that objects tell, whatever their order; reservations are none.

    A group has one address for each slot and family: the older object's. ``same``: the key that is
    in use already for one that is equal, so that it is not in memory twice.
    """
    kept: dict[GroupKey, dict[tuple[str, int], tuple[VirtualIP, Spot]]] = {}
    strays: list[str] = []
    for one in sorted(objects, key=_age):
        if one.spec.reserve:
            continue
        spot = spot_of(one)
        if spot is None:
            strays.append(one.name)
            continue
        slots = kept.setdefault(same(one.spec.group.key), {})
        place = (one.spec.slot, spot.address.version)
        if slots.setdefault(place, (one, spot))[0] is not one:
            strays.append(one.name)
    holdings = {key: _holding(key, [*slots.values()]) for key, slots in kept.items()}
    return Ledgered(holdings, tuple(strays))


def homes_of(objects: Iterable[VirtualIP], same: Same = _itself) -> dict[VipKey, tuple[str, ...]]:
    """Where VIPs are at home; of two addresses of one, what the first says."""
    found: dict[VipKey, tuple[str, ...]] = {}
    for one in objects:
        if one.spec.home:
            found.setdefault(VipKey(same(one.spec.group.key), one.spec.slot), one.spec.home)
    return found


def spot_of(one: VirtualIP) -> Spot | None:
    """The address of an object; None when it has none, or bears another one's name."""
    try:
        spot = Spot(one.spec.space, parse_address(one.spec.address))
    except ValueError:
        return None
    return spot if object_name(spot) == one.name else None


def _age(one: VirtualIP) -> tuple[str, str]:
    return one.metadata.creation_timestamp or "", one.name


def _holding(key: GroupKey, found: list[tuple[VirtualIP, Spot]]) -> Holding:
    found.sort(key=lambda item: (item[0].spec.slot, item[1].address.version))
    assignments = tuple(Assignment(spot, o.spec.pool, o.spec.slot) for o, spot in found)
    owners = sorted({owner for one, _ in found for owner in _owners(one, key)})
    return Holding(key, assignments, found[0][0].spec.setting, tuple(owners))


def _owners(one: VirtualIP, key: GroupKey) -> Iterator[Owner]:
    own = f"{key.namespace}/{key.name}"
    for entry in one.spec.listeners:
        if entry.service == own:  # most groups are of one Service: say its name once
            namespace, name = key.namespace, key.name
        else:
            namespace, _, name = entry.service.partition("/")
        yield Owner(entry.protocol, entry.port, Ref("Service", namespace, name))


def members_of(texts: Iterable[str]) -> Iterator[Ref]:
    """The objects that an object serves by its ``members``, as far as they are named well."""
    for text in texts:
        try:
            yield ref_of(text)
        except ValueError:
            continue


def released_of(objects: Iterable[VirtualIP]) -> dict[Ref, str]:
    """The objects whose addresses are kept for their return, and since when (RFC 3339)."""
    return {
        owner.ref: one.spec.released
        for one in objects
        if one.spec.released
        for owner in _owners(one, one.spec.group.key)
    }
