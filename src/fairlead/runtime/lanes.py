"""What the reconcile loop must know of each kind of data plane, as pure functions.

Loops run beside each other, and order matters between them: listeners exist before their address is
announced, and an address is let go before its listeners are. So each lane splits its changes into
what may be made now and what waits for the other::

    l4        add listeners, addresses ───┐              ┌── remove addresses that were let go
    l2, bgp                               └── take, let go ┘
    upnp                                        └── open on the gateway, close

Removals by ``l2`` and ``bgp`` never wait, but for a moment in which ports are closed
(:mod:`fairlead.runtime.closing`), nor do changes on addresses that stay. Nothing else waits for
``upnp``, whose gateway may be slow or gone. What an address in
``spared`` has is never removed: its objects could not be read, or the guard keeps it.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Set
from typing import Generic, NamedTuple, Protocol, TypeVar

from msgspec.structs import replace

from fairlead.model.addresses import IPAddress
from fairlead.model.desired import (
    BgpChanges,
    BgpDesired,
    DhcpChanges,
    DhcpDesired,
    L2Changes,
    L2Desired,
    L4Changes,
    L4Desired,
)
from fairlead.model.forward import UpnpChanges, UpnpDesired
from fairlead.model.plan import Plan
from fairlead.planner import (
    compile_bgp,
    compile_dhcp,
    compile_l2,
    compile_l4,
    compile_upnp,
    delta_bgp,
    delta_dhcp,
    delta_l2,
    delta_l4,
    delta_upnp,
    diff_bgp,
    diff_dhcp,
    diff_l2,
    diff_l4,
    diff_upnp,
)

Desired = TypeVar("Desired")
Addresses = Set[IPAddress]


class Difference(Protocol):
    """Changes are false when there is nothing to do."""

    def __bool__(self) -> bool: ...


Changes = TypeVar("Changes", bound=Difference)
NONE: frozenset[IPAddress] = frozenset()
UNKNOWN = None
"""In place of a set of addresses: nobody has looked yet, so it may be any."""


class Target(NamedTuple):
    """What is to be made true. ``spared``: addresses that no VIP explains and that stay as they
    are."""

    plan: Plan
    spared: frozenset[IPAddress] = NONE


class Split(NamedTuple, Generic[Changes]):
    """What may be made now, and what waits; ``None`` when nothing does."""

    now: Changes
    later: Changes | None


class Lane(ABC, Generic[Desired, Changes]):
    """One data plane on one engine."""

    def __init__(self, engine: str) -> None:
        self.engine = engine

    @abstractmethod
    def compile(self, plan: Plan) -> Desired:
        """The whole desired state."""

    @abstractmethod
    def delta(self, before: Plan, after: Plan) -> Changes:
        """From one plan to a later one, at the cost of the difference."""

    @abstractmethod
    def diff(self, desired: Desired, observed: Desired) -> Changes:
        """From what is there to what should be."""

    @abstractmethod
    def combine(self, older: Changes, newer: Changes) -> Changes:
        """Both; where they speak of the same thing, the newer."""

    @abstractmethod
    def split(
        self, changes: Changes, *, other: Addresses | None, spared: frozenset[IPAddress]
    ) -> Split[Changes]:
        """What may be made while the other lane has the addresses ``other`` (None: not known)."""

    @abstractmethod
    def addresses(self, state: Desired) -> frozenset[IPAddress]:
        """The addresses that are in place in a state."""

    @abstractmethod
    def moved(self, changes: Changes) -> tuple[Addresses, Addresses]:
        """The addresses that changes put in place, and those that they removed, once they are
        made."""

    def contested(self) -> Addresses:
        """The addresses that somebody else holds, so that they could not be put in place."""
        return NONE

    @abstractmethod
    def doubtful(self, changes: Changes) -> tuple[Addresses, Addresses]:
        """The same when some of the changes failed, so that the other lane errs on the safe
        side."""


class L4Lane(Lane[L4Desired, L4Changes]):
    """Listeners: ``other`` are the addresses that this host announces. ``standby``: also those of
    addresses that its fence may take without asking."""

    def __init__(self, engine: str, *, standby: bool = False) -> None:
        super().__init__(engine)
        self._standby = standby

    def compile(self, plan: Plan) -> L4Desired:
        return compile_l4(plan, self.engine, standby=self._standby)

    def delta(self, before: Plan, after: Plan) -> L4Changes:
        return delta_l4(before, after, self.engine, standby=self._standby)

    def diff(self, desired: L4Desired, observed: L4Desired) -> L4Changes:
        return diff_l4(desired, observed)

    def combine(self, older: L4Changes, newer: L4Changes) -> L4Changes:
        return L4Changes(
            listeners={**older.listeners, **newer.listeners},
            vips_added=(older.vips_added - newer.vips_removed) | newer.vips_added,
            vips_removed=(older.vips_removed - newer.vips_added) | newer.vips_removed,
        )

    def split(
        self, changes: L4Changes, *, other: Addresses | None, spared: frozenset[IPAddress]
    ) -> Split[L4Changes]:
        leaving = changes.vips_removed
        held = leaving if other is UNKNOWN else leaving & other
        if not (held or spared):
            return Split(changes, None)
        kept = held | spared
        now = {k: v for k, v in changes.listeners.items() if v is not None or k.address not in kept}
        waits = held - spared
        later = {k: v for k, v in changes.listeners.items() if v is None and k.address in waits}
        return Split(
            L4Changes(now, changes.vips_added, leaving - kept),
            L4Changes(later, vips_removed=waits) if waits else None,
        )

    def addresses(self, state: L4Desired) -> frozenset[IPAddress]:
        return state.vips

    def moved(self, changes: L4Changes) -> tuple[Addresses, Addresses]:
        return changes.vips_added, changes.vips_removed

    def doubtful(self, changes: L4Changes) -> tuple[Addresses, Addresses]:
        return NONE, changes.vips_removed


class L2Lane(Lane[L2Desired, L2Changes]):
    """Announced addresses: ``other`` are the addresses for which this host has listeners.

    ``known``: what this host was seen to hold, and has not let go since. Any other address is
    probed before it is taken, because somebody else may use it by now. ``contested`` are the
    addresses that somebody else was found to use: wanted, but not in place. ``closing``: those that
    are not to be let go just yet.
    """

    def __init__(
        self,
        engine: str,
        *,
        known: Iterable[IPAddress],
        contested: Callable[[], Addresses],
        closing: Callable[[], Addresses] = frozenset,
    ) -> None:
        super().__init__(engine)
        self._known = set(known)
        self._contested = contested
        self._closing = closing

    def contested(self) -> Addresses:
        return frozenset(self._contested())

    def compile(self, plan: Plan) -> L2Desired:
        return compile_l2(plan, self.engine)

    def delta(self, before: Plan, after: Plan) -> L2Changes:
        return delta_l2(before, after, self.engine)

    def diff(self, desired: L2Desired, observed: L2Desired) -> L2Changes:
        return diff_l2(desired, observed)

    def combine(self, older: L2Changes, newer: L2Changes) -> L2Changes:
        added = (older.added - newer.removed) | newer.added
        older_ones = {a: name for a, name in older.places.items() if a not in newer.added}
        return L2Changes(
            added=added,
            removed=(older.removed - newer.added) | newer.removed,
            probe=(older.probe | newer.probe) & added,
            places=_among({**older_ones, **newer.places}, added),
        )

    def split(
        self, changes: L2Changes, *, other: Addresses | None, spared: frozenset[IPAddress]
    ) -> Split[L2Changes]:
        ready = NONE if other is UNKNOWN else changes.added & other
        probe = changes.probe | (changes.added - self._known)
        waits = changes.added - ready
        here = _among(changes.places, ready)
        there = _among(changes.places, waits)
        closing = changes.removed & self._closing() if changes.removed else NONE
        return Split(
            L2Changes(ready, changes.removed - spared - closing, probe & ready, here),
            L2Changes(waits, closing, probe & waits, there) if waits or closing else None,
        )

    def addresses(self, state: L2Desired) -> frozenset[IPAddress]:
        return state.owned

    def moved(self, changes: L2Changes) -> tuple[Addresses, Addresses]:
        taken = changes.added - self._contested()
        self._known |= taken
        self._known -= changes.removed
        return taken, changes.removed

    def doubtful(self, changes: L2Changes) -> tuple[Addresses, Addresses]:
        return changes.added, NONE


def _among(places: Mapping[IPAddress, str], addresses: Addresses) -> dict[IPAddress, str]:
    return {address: name for address, name in places.items() if address in addresses}


class FollowerL2Lane(L2Lane):
    """Announced addresses where VIPs move between engines: what another engine had until now is
    taken without a probe, which would find that engine and cost a second."""

    def delta(self, before: Plan, after: Plan) -> L2Changes:
        changes = super().delta(before, after)
        keys = before.outcomes.keys() if after.changed is None else after.changed
        outcomes = (before.outcomes.get(key) for key in keys)
        served = {a for one in outcomes if one for vip in one.vips for a in vip.addresses}
        self._known |= changes.added & served
        return replace(changes, probe=changes.probe - served)


class BgpLane(Lane[BgpDesired, BgpChanges]):
    """Routed addresses: ``other`` are the addresses for which this host has listeners. Routers
    never wait, because without an address they hear nothing; while something is spared, none is
    dismissed."""

    def compile(self, plan: Plan) -> BgpDesired:
        return compile_bgp(plan, self.engine)

    def delta(self, before: Plan, after: Plan) -> BgpChanges:
        return delta_bgp(before, after, self.engine)

    def diff(self, desired: BgpDesired, observed: BgpDesired) -> BgpChanges:
        return diff_bgp(desired, observed)

    def combine(self, older: BgpChanges, newer: BgpChanges) -> BgpChanges:
        return BgpChanges(
            newer.speaker or older.speaker,
            {**older.peers, **newer.peers},
            {**older.routes, **newer.routes},
        )

    def split(
        self, changes: BgpChanges, *, other: Addresses | None, spared: frozenset[IPAddress]
    ) -> Split[BgpChanges]:
        ready = NONE if other is UNKNOWN else other
        now = {
            address: row
            for address, row in changes.routes.items()
            if (address not in spared if row is None else address in ready)
        }
        later = {
            address: row
            for address, row in changes.routes.items()
            if row is not None and address not in ready
        }
        peers = {n: row for n, row in changes.peers.items() if row is not None or not spared}
        return Split(
            BgpChanges(changes.speaker, peers, now),
            BgpChanges(routes=later) if later else None,
        )

    def addresses(self, state: BgpDesired) -> frozenset[IPAddress]:
        return frozenset(state.routes)

    def moved(self, changes: BgpChanges) -> tuple[Addresses, Addresses]:
        taken = {address for address, row in changes.routes.items() if row is not None}
        return taken, changes.routes.keys() - taken

    def doubtful(self, changes: BgpChanges) -> tuple[Addresses, Addresses]:
        return self.moved(changes)[0], NONE


class DhcpLane(Lane[DhcpDesired, DhcpChanges]):
    """Leases: they put no address in place, and wait for none. While something is spared, none is
    let go of."""

    def compile(self, plan: Plan) -> DhcpDesired:
        return compile_dhcp(plan, self.engine)

    def delta(self, before: Plan, after: Plan) -> DhcpChanges:
        return delta_dhcp(before, after, self.engine)

    def diff(self, desired: DhcpDesired, observed: DhcpDesired) -> DhcpChanges:
        return diff_dhcp(desired, observed)

    def combine(self, older: DhcpChanges, newer: DhcpChanges) -> DhcpChanges:
        return DhcpChanges(
            {**older.rows, **newer.rows},
            {**older.known, **newer.known},
            (older.ended - newer.rows.keys()) | newer.ended,
        )

    def split(
        self, changes: DhcpChanges, *, other: Addresses | None, spared: frozenset[IPAddress]
    ) -> Split[DhcpChanges]:
        if not spared:
            return Split(changes, None)
        rows = {key: row for key, row in changes.rows.items() if row is not None}
        return Split(DhcpChanges(rows, changes.known), None)

    def addresses(self, state: DhcpDesired) -> frozenset[IPAddress]:
        return NONE

    def moved(self, changes: DhcpChanges) -> tuple[Addresses, Addresses]:
        return NONE, NONE

    def doubtful(self, changes: DhcpChanges) -> tuple[Addresses, Addresses]:
        return NONE, NONE


class UpnpLane(Lane[UpnpDesired, UpnpChanges]):
    """Ports on the gateway: ``other`` are the addresses that this host announces. A port is opened
    once its address is there: a gateway in secure mode hears only the address itself."""

    def compile(self, plan: Plan) -> UpnpDesired:
        return compile_upnp(plan, self.engine)

    def delta(self, before: Plan, after: Plan) -> UpnpChanges:
        return delta_upnp(before, after, self.engine)

    def diff(self, desired: UpnpDesired, observed: UpnpDesired) -> UpnpChanges:
        return diff_upnp(desired, observed)

    def combine(self, older: UpnpChanges, newer: UpnpChanges) -> UpnpChanges:
        rows = {k: row for k, row in older.forwards.items() if k not in newer.handed}
        handed = (older.handed - newer.forwards.keys()) | newer.handed
        return UpnpChanges({**rows, **newer.forwards}, handed)

    def split(
        self, changes: UpnpChanges, *, other: Addresses | None, spared: frozenset[IPAddress]
    ) -> Split[UpnpChanges]:
        ready = NONE if other is UNKNOWN else other
        now = {
            key: row
            for key, row in changes.forwards.items()
            if (key.client not in spared if row is None else key.client in ready)
        }
        later = {
            key: row
            for key, row in changes.forwards.items()
            if row is not None and key.client not in ready
        }
        return Split(UpnpChanges(now, changes.handed), UpnpChanges(later) if later else None)

    def addresses(self, state: UpnpDesired) -> frozenset[IPAddress]:
        """Those that ports lead to, and the one where they are reached."""
        outside = () if state.external is None else (state.external,)
        return frozenset((*(key.client for key in state.forwards), *outside))

    def moved(self, changes: UpnpChanges) -> tuple[Addresses, Addresses]:
        return {key.client for key, row in changes.forwards.items() if row is not None}, NONE

    def doubtful(self, changes: UpnpChanges) -> tuple[Addresses, Addresses]:
        return NONE, NONE
