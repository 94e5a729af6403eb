"""What is decided: VIPs with their listeners, a verdict for every object, and the ledger to
keep."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from immutables import Map
from msgspec import Struct

from fairlead.model.addresses import IPAddress, IPNetwork
from fairlead.model.claim import DEFAULT_ENGINES, Backend, Claim, Claims, Role, Via
from fairlead.model.dhcp import LeaseOrder
from fairlead.model.ledger import EXTERNAL, Holding, Ledger, Spot
from fairlead.model.names import GroupKey, Protocol, Ref
from fairlead.model.objects import Announce
from fairlead.model.verdict import Verdict

ListenerKind = Literal["l4", "http", "tls"]


class Listener(Struct, frozen=True, gc=False):
    """One (protocol, port) of a VIP and where its traffic goes. ``pods``: what an engine uses in
    the place of its own node's NodePort. ``forward``: the lease of its port on the gateway, in
    seconds (0: for ever); None: it is not open there."""

    protocol: Protocol
    port: int
    service: Ref
    backends: tuple[Backend, ...]
    affinity_seconds: int = 0
    source_ranges: tuple[IPNetwork, ...] = ()
    local: bool = False
    kind: ListenerKind = "l4"
    match: str = ""
    pods: tuple[Backend, ...] = ()
    via: Via = "Pods"
    forward: int | None = None


class Translation(NamedTuple):
    """A DNAT from the VIP to an internal VIP; the port stays."""

    protocol: Protocol
    external: IPAddress
    internal: IPAddress
    port: int


class VipKey(NamedTuple):
    """A VIP's identity: its group and which of the group's addresses it is."""

    group: GroupKey
    slot: str = EXTERNAL


class Vip(Struct, frozen=True, gc=False, kw_only=True):
    """One address per family, its members and listeners.

    ``slot`` is empty for the address clients use. ``role``: which engines may hold it. ``nodes``:
    the nodes it is confined to by externalTrafficPolicy Local; None = any. ``peer_labels``: only
    BGP routers with one of these learn it. ``scale``: how many engines its members want to hold
    it; 0: as the engine group has it. ``interface``: which interface is to have it; empty: the one
    whose subnet holds it.
    """

    group: GroupKey
    addresses: tuple[IPAddress, ...]
    pools: tuple[str, ...]
    members: tuple[Ref, ...]
    listeners: tuple[Listener, ...] = ()
    translations: tuple[Translation, ...] = ()
    slot: str = EXTERNAL
    engine_group: str = DEFAULT_ENGINES
    announce: Announce = "l2"
    peer_labels: tuple[str, ...] = ()
    role: Role = "engine"
    nodes: frozenset[str] | None = None
    scale: int = 0
    interface: str = ""

    @property
    def key(self) -> VipKey:
        """Its identity in the plan."""
        return VipKey(self.group, self.slot)

    @property
    def name(self) -> str:
        """A readable, unambiguous name: the group's, and the slot of an internal address."""
        return f"{self.group}#{self.slot}" if self.slot else str(self.group)


class Waits(NamedTuple):
    """What a group waits for: static addresses that others have, and room in the pools."""

    spots: tuple[Spot, ...] = ()
    pools: bool = False

    def __bool__(self) -> bool:
        """Whether it waits at all."""
        return self.pools or bool(self.spots)


class Outcome(Struct, frozen=True, gc=False):
    """One group as planned. ``verdicts`` are aligned with ``claims``; ``leases`` are what DHCP
    servers are asked for."""

    group: GroupKey
    claims: tuple[Claim, ...]
    verdicts: tuple[Verdict, ...]
    vips: tuple[Vip, ...] = ()
    holding: Holding | None = None
    waits: Waits = Waits()
    leases: tuple[LeaseOrder, ...] = ()


class Placed(NamedTuple):
    """The engines of a VIP: ``active`` hold it, ``standby`` would be next, in order."""

    active: tuple[str, ...]
    standby: tuple[str, ...] = ()


class Placement(Struct, frozen=True):
    """Which engines hold which VIP.

    ``active``: VIP -> engines. ``loads``: engine -> the VIPs it holds; the engine ``""`` has those
    that nobody can hold. ``away``: engine that is not ready -> the VIPs it held when it was last.
    ``counts``: engine group -> its number of VIPs. ``homes``: where VIPs were published to be at
    home, for a plan that has no other memory.
    """

    active: Map[VipKey, tuple[str, ...]] = Map()
    loads: Map[str, Map[VipKey, int]] = Map()
    away: Map[str, Map[VipKey, int]] = Map()
    counts: Map[str, int] = Map()
    homes: Map[VipKey, tuple[str, ...]] = Map()


class Cursor(NamedTuple):
    """How far a pool's range has been handed out: everything below ``next`` is held, released, or
    in
    ``skipped``."""

    next: int
    skipped: tuple[int, ...] = ()


class Plan(Struct, frozen=True, kw_only=True):
    """The decision for one set of claims.

    ``asked``: which objects ask for an address that is their group (kube-vip); ``hostnames``: which
    want a lease under which name. ``waiting``: the groups that a freed address may concern.
    ``cursors`` are a shortcut into the pools; they follow from ``ledger``. ``changed``: the groups
    that differ from the plan this one was derived from; None = all of them.
    """

    claims: Claims = Claims()
    ledger: Ledger = Ledger()
    outcomes: Map[GroupKey, Outcome] = Map()
    groups_of: Map[Ref, tuple[GroupKey, ...]] = Map()
    asked: Map[Spot, frozenset[Ref]] = Map()
    hostnames: Map[str, frozenset[Ref]] = Map()
    waiting: Map[GroupKey, Waits] = Map()
    cursors: Map[tuple[str, int], Cursor] = Map()
    placement: Placement = Placement()
    changed: frozenset[GroupKey] | None = None

    def vips(self) -> Iterator[Vip]:
        """All VIPs, internal ones included, in no particular order."""
        for outcome in self.outcomes.values():
            yield from outcome.vips
