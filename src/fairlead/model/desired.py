"""What one engine's drivers must make true: rows keyed so that desired and observed diff as
tables."""

from collections.abc import Mapping
from ipaddress import IPv4Address
from typing import Literal, NamedTuple

from msgspec import Struct
from msgspec.structs import force_setattr

from fairlead.model.addresses import IPAddress, IPNetwork, merged
from fairlead.model.dhcp import Leased, LeaseKey
from fairlead.model.names import Protocol
from fairlead.model.peers import BgpPeer, BgpRoute

Masquerade = Literal["always", "never", "auto"]
"""``auto``: masquerade, except towards backends on this engine's own node, which route back through
it."""


class L4Key(NamedTuple):
    """Where a listener listens."""

    address: IPAddress
    protocol: Protocol
    port: int


class L4Backend(NamedTuple):
    """Where its traffic goes. ``direct``: it routes back through this engine, so ``auto`` needs no
    masquerade."""

    address: IPAddress
    port: int
    direct: bool = False


class L4Listener(Struct, frozen=True, gc=False):
    """One row of the L4 data plane.

    ``backends`` may be empty: the listener exists and refuses (TCP RST, ICMP port unreachable).
    ``affinity_seconds``: 0, or how long a client address stays on its backend after its last new
    flow (Service ``sessionAffinityConfig.clientIP.timeoutSeconds``). ``source_ranges``: who may
    connect (``spec.loadBalancerSourceRanges``); empty = everybody. They are kept in one canonical
    form (sorted, without overlaps), so that two rows are equal exactly when they mean the same.
    ``passes``: somebody else translates it after us (kube-proxy), and all the rest is his to do.
    """

    backends: tuple[L4Backend, ...]
    affinity_seconds: int = 0
    source_ranges: tuple[IPNetwork, ...] = ()
    masquerade: Masquerade = "auto"
    passes: bool = False

    def __post_init__(self) -> None:
        """Bring the source ranges into their canonical form."""
        if self.source_ranges:
            force_setattr(self, "source_ranges", merged(self.source_ranges))


PASSED = L4Listener((), passes=True)
"""The one row for whatever the cluster's own proxy carries."""


class L4Desired(Struct, frozen=True):
    """The ``nft`` driver's whole desired state on one engine.

    ``vips`` are all addresses this engine may receive traffic for; whatever arrives there and is
    for no listener is refused.
    """

    listeners: Mapping[L4Key, L4Listener]
    vips: frozenset[IPAddress]


class L4Changes(Struct, frozen=True):
    """The difference between two :class:`L4Desired`: a listener of ``None`` is deleted."""

    listeners: Mapping[L4Key, L4Listener | None]
    vips_added: frozenset[IPAddress] = frozenset()
    vips_removed: frozenset[IPAddress] = frozenset()

    def __bool__(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.listeners or self.vips_added or self.vips_removed)


class L2Desired(Struct, frozen=True):
    """The addresses this engine holds on its LANs (the ``l2`` driver). ``fresh`` were never used by
    Fairlead before and are probed for a foreign holder first (RFC 5227). ``places``: the interface
    of those that are to be on a certain one; the others are where their subnet is."""

    owned: frozenset[IPAddress]
    fresh: frozenset[IPAddress] = frozenset()
    places: Mapping[IPAddress, str] = {}


class L2Changes(Struct, frozen=True):
    """Addresses to take and to let go. ``probe`` is the subset of ``added`` to probe first;
    ``places``: the interface of those of ``added`` that are to be on a certain one. One that is
    held already is added to have it moved there."""

    added: frozenset[IPAddress]
    removed: frozenset[IPAddress]
    probe: frozenset[IPAddress] = frozenset()
    places: Mapping[IPAddress, str] = {}

    def __bool__(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.added or self.removed)


class BgpSpeaker(NamedTuple):
    """This engine as a BGP speaker."""

    asn: int
    router_id: IPv4Address


class BgpDesired(Struct, frozen=True):
    """The ``bgp`` driver's whole desired state on one engine: routers by the name of their object,
    and the addresses that this engine announces to them."""

    speaker: BgpSpeaker | None = None
    peers: Mapping[str, BgpPeer] = {}
    routes: Mapping[IPAddress, BgpRoute] = {}


class BgpChanges(Struct, frozen=True):
    """The difference between two :class:`BgpDesired`: a row of ``None`` is removed; no ``speaker``:
    it stays as it is."""

    speaker: BgpSpeaker | None = None
    peers: Mapping[str, BgpPeer | None] = {}
    routes: Mapping[IPAddress, BgpRoute | None] = {}

    def __bool__(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.speaker or self.peers or self.routes)


class DhcpRow(Struct, frozen=True, gc=False):
    """A lease that this engine holds, as the client that it is asked for by. ``interface``: on
    which; empty: where its address belongs. ``requested``: what to ask for at first."""

    mac: str
    client_id: str = ""
    hostname: str = ""
    requested: IPAddress | None = None
    broadcast: bool = False
    interface: str = ""


class DhcpDesired(Struct, frozen=True):
    """The ``dhcp`` driver's whole desired state on one engine. ``known``: what is known of these
    leases since before, to go on with. ``elsewhere``: leases that other engines hold: what is in
    neither is nobody's any more, and is given back."""

    rows: Mapping[LeaseKey, DhcpRow] = {}
    known: Mapping[LeaseKey, Leased] = {}
    elsewhere: frozenset[LeaseKey] = frozenset()


class DhcpChanges(Struct, frozen=True):
    """Leases to hold; a row of ``None``: let go of it. ``ended``: give these back to the server."""

    rows: Mapping[LeaseKey, DhcpRow | None] = {}
    known: Mapping[LeaseKey, Leased] = {}
    ended: frozenset[LeaseKey] = frozenset()

    def __bool__(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.rows)
