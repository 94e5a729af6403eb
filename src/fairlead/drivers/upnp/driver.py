"""Keeps ports open on the gateway.

What is wanted is told by the loop; what is there, by the gateway. A mapping is ours if it leads to
a port that is wanted here, or bears the mark of this engine, so that what a killed agent left is
found. A mapping of somebody else is never touched: the port is theirs, and the Service says so.

A full round is the renewal: what has used up half of its lease, or is gone, is observed as missing.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import suppress
from time import monotonic
from typing import NamedTuple, TypeVar

from fairlead.drivers.base import DriverError
from fairlead.drivers.upnp import verdict
from fairlead.drivers.upnp.gateway import (
    CONFLICT,
    LONGEST_PINHOLE,
    PERMANENT_ONLY,
    Entry,
    Gateway,
    GatewayFault,
    GatewayGone,
    GatewaySilent,
)
from fairlead.drivers.upnp.render import order
from fairlead.model.addresses import IPAddress
from fairlead.model.forward import (
    PERMANENT,
    Forwarding,
    ForwardKey,
    UpnpChanges,
    UpnpDesired,
)
from fairlead.model.names import Ref
from fairlead.model.verdict import Forward

MARK = "Fairlead"
LONGEST = 60
"""Characters of a description; miniupnpd keeps 63."""
BUDGET = 20.0
"""Seconds for one call; what is left over is done in the next, so that a slow gateway cannot keep
a stop waiting."""
ALIVE = 3600
"""Seconds of a lease for ever below which it is renewed all the same: some gateways limit it."""
MANY = 8
"""So many ports at once are looked up in the list of all of them."""
LEFT = Forwarding(Ref("", "", ""), -1)
"""Stands for what is open and that nobody wants."""
Result = TypeVar("Result")
Search = Callable[[int], Awaitable[tuple[Sequence[Gateway], list[str]]]]
"""Finds the gateways for a family, best first, and says what is wrong with others that answered."""


class Made(NamedTuple):
    """Something of ours on a gateway. ``at``: when it was last renewed (monotonic seconds);
    ``pinhole``: its number, for IPv6."""

    row: Forwarding
    at: float
    pinhole: int = 0


class SlowGateway(DriverError):
    """Not everything could be asked or done in the time that there is."""


class UpnpDriver:
    """``engine``: whose mark the mappings bear. ``hands_over``: at the end they stay open, because
    another engine renews them from then on."""

    name = "upnp"

    def __init__(
        self,
        engine: str,
        *,
        search: Search,
        hands_over: bool = False,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._hands_over = hands_over
        self._mark = f"{MARK} {engine} "
        self._search, self._clock = search, clock
        self._gateways: dict[int, Gateway] = {}
        self._external: IPAddress | None = None
        self._wanted: dict[ForwardKey, Forwarding] = {}
        self._made: dict[ForwardKey, Made] = {}
        self._troubles: dict[ForwardKey, verdict.Trouble] = {}
        self._left: set[ForwardKey] = set()
        self._absent: dict[int, list[str]] = {}
        self._permanent = False
        self._table: dict[tuple[str, int], Entry] | None = None
        self._told: tuple[Forward, ...] = ()

    # -- the contract ----------------------------------------------------------------------------

    def observe(self) -> UpnpDesired:
        """What is open on the gateway and ours; nothing where there is no gateway."""
        try:
            return self._run(self._observe())
        except SlowGateway:
            return UpnpDesired(self._remembered(), external=self._external)

    def apply(self, changes: UpnpChanges) -> None:
        """Open and close ports. What a gateway refuses is told by :meth:`forwards` and tried again
        with every round; DriverError: there is no gateway, or it went."""
        for key in changes.handed:
            self._forget(key)
        for key, row in changes.forwards.items():
            if row is None:
                self._wanted.pop(key, None)
                self._troubles.pop(key, None)
            else:
                self._wanted[key] = row
        if changes.forwards:
            self._run(self._apply(changes.forwards))

    def prune(self, desired: UpnpDesired) -> None:
        """Only what is wanted is remembered; leftovers were observed, so they are closed by now."""
        self._wanted = dict(desired.forwards)
        for key in [key for key in self._troubles if key not in self._wanted]:
            del self._troubles[key]

    def withdraw(self) -> None:
        """Close whatever of ours is open, unless it is handed over."""
        if self._hands_over:
            return
        self._wanted.clear()
        self._troubles.clear()
        if self._gateways or self._made:
            there = self._run(self._observe())
            self._run(self._apply(dict.fromkeys(there.forwards)))

    def forwards(self) -> tuple[Forward, ...]:
        """What became of each port that is wanted, sorted."""
        return self._told

    def open(self) -> Mapping[IPAddress, int]:
        """How many ports of each address are open, to be asked while it works."""
        return Counter(key.client for key in [*self._made])

    @property
    def gateway(self) -> str:
        """The gateway in use; empty while there is none."""
        used = next(iter(self._gateways.values()), None)
        return used.name if used is not None else ""

    # -- looking ---------------------------------------------------------------------------------

    async def _observe(self) -> UpnpDesired:
        found: dict[ForwardKey, Forwarding] = {}
        mapping = await self._gateway(4) if self._is_needed(4) else self._gateways.get(4)
        if mapping is not None:
            try:
                self._external = await mapping.external()
                for one in await self._entries(mapping):
                    if (key := self._ours(one)) is not None:
                        found[key] = self._seen(key, one)
            except GatewaySilent:
                found |= self._remembered()
            except GatewayGone:
                self._lost(4)
        for key, made in [*self._made.items()]:
            if key.client.version == 6 and await self._stands(key, made):
                found[key] = made.row
        return UpnpDesired(found, external=self._external)

    def _remembered(self) -> dict[ForwardKey, Forwarding]:
        """What is open and not worn, as far as it was us. It stands for what a gateway has that is
        too slow to be asked, and could be told nothing else."""
        now = self._clock()
        fresh = {
            key: made.row
            for key, made in self._made.items()
            if not made.row.lease or now - made.at <= made.row.lease / 2
        }
        return fresh | dict.fromkeys(self._left, LEFT)

    async def _entries(self, gateway: Gateway) -> list[Entry]:
        """All mappings, or, from a gateway that cannot list them, those that are wanted."""
        try:
            return await gateway.entries()
        except GatewayFault:
            self._table = None
            places = {
                (key.protocol, key.port)
                for key in (*self._wanted, *self._left)
                if key.client.version == 4
            }
            asked = [await self._entry(gateway, *place) for place in sorted(places)]
            return [one for one in asked if one is not None]

    async def _entry(self, gateway: Gateway, protocol: str, port: int) -> Entry | None:
        """The mapping of a port, None also from a gateway that does not tell."""
        if self._table is not None:
            return self._table.get((protocol, port))
        try:
            return await gateway.entry(protocol, port)
        except GatewayFault:
            return None

    def _ours(self, entry: Entry) -> ForwardKey | None:
        """The key of a mapping that is ours to keep or to close."""
        if entry.client is None or entry.protocol not in ("TCP", "UDP"):
            return None
        key = ForwardKey(entry.client, entry.protocol, entry.port)  # type: ignore[arg-type]  # it is one of the two
        known = key in self._wanted or key in self._left
        return key if known or entry.description.startswith(self._mark) else None

    def _seen(self, key: ForwardKey, entry: Entry) -> Forwarding:
        """The row that is wanted where the mapping is as it should be, else another."""
        wanted = self._wanted.get(key)
        if (
            wanted is None
            or entry.client_port != key.port
            or not self._is_fresh(key, entry, wanted)
        ):
            return Forwarding(Ref("", "", entry.description), entry.lease)
        return wanted

    def _is_fresh(self, key: ForwardKey, entry: Entry, wanted: Forwarding) -> bool:
        made = self._made.get(key)
        if made is None or made.row != wanted:
            return False
        if entry.description.startswith(f"{MARK} ") and not entry.description.startswith(
            self._mark
        ):
            return False
        if wanted.lease == PERMANENT or self._permanent:
            return not 0 < entry.lease < ALIVE
        worn = self._clock() - made.at > wanted.lease / 2
        return not worn and not 0 < entry.lease < min(wanted.lease, 600) / 2

    async def _stands(self, key: ForwardKey, made: Made) -> bool:
        """Whether a pinhole is there and fresh, as far as the gateway tells."""
        gateway = await self._gateway(6)
        lease = min(made.row.lease or LONGEST_PINHOLE, LONGEST_PINHOLE)
        if gateway is None or self._clock() - made.at > lease / 2:
            return False
        try:
            return await gateway.has(key, made.pinhole)
        except GatewayGone:
            self._lost(6)
            return False

    # -- making ----------------------------------------------------------------------------------

    async def _apply(self, rows: Mapping[ForwardKey, Forwarding | None]) -> None:
        opened = {(key.client.version, key.protocol, key.port) for key, row in rows.items() if row}
        closed = [key for key, row in rows.items() if row is None]
        # a port that changes hands is closed first: the gateway has each one once
        first = [key for key in closed if (key.client.version, key.protocol, key.port) in opened]
        await self._look_up(rows)
        stuck = [await self._each(key, None) for key in first]
        for key, row in rows.items():
            if row is not None:
                await self._each(key, row)
        stuck += [await self._each(key, None) for key in closed if key not in first]
        if found := [text for text in stuck if text]:
            raise DriverError("; ".join(found[:3]) + (" and more" if found[3:] else ""))

    async def _look_up(self, rows: Collection[ForwardKey]) -> None:
        """Where many ports are concerned, who has them is asked once and not for each."""
        self._table = None
        gateway = self._gateways.get(4)
        if gateway is None or len(rows) < MANY:
            return
        with suppress(GatewayFault, GatewayGone, TimeoutError):  # then each is asked for
            async with asyncio.timeout(BUDGET / 4):
                there = await gateway.entries()
            self._table = {(one.protocol, one.port): one for one in there}

    async def _each(self, key: ForwardKey, row: Forwarding | None) -> str:
        """One port. Returns what could not be closed; raises DriverError without a gateway."""
        version = key.client.version
        gateway = await self._gateway(version)
        if gateway is None:
            self._missing(key, row)
            return ""
        try:
            if row is None:
                return await self._close(gateway, key)
            await self._open(gateway, key, row)
        except GatewayGone as error:
            if row is None:
                self._left.add(key)
            self._lost(version)
            raise DriverError(f"gateway {gateway.name} is lost: {error}") from error
        return ""

    def _missing(self, key: ForwardKey, row: Forwarding | None) -> None:
        """There is no gateway: what is to be closed there is closed when it comes back."""
        if row is None:
            self._forget(key)
            self._left.add(key)
            return
        raise DriverError(verdict.no_gateway(key, self._absent[key.client.version]).message)

    async def _open(self, gateway: Gateway, key: ForwardKey, row: Forwarding) -> None:
        self._left.discard(key)
        try:
            if key.client.version == 6:
                lease = min(row.lease or LONGEST_PINHOLE, LONGEST_PINHOLE)
                pinhole = await gateway.open(key, lease=lease)
                self._made[key] = Made(row, self._clock(), pinhole)
            else:
                await self._map(gateway, key, row)
        except GatewayFault as fault:
            self._made.pop(key, None)
            holder = (
                await self._entry(gateway, key.protocol, key.port)
                if fault.code == CONFLICT
                else None
            )
            self._troubles[key] = verdict.refused(key, gateway.name, fault, holder)
        else:
            if key in self._made:
                self._troubles.pop(key, None)

    async def _map(self, gateway: Gateway, key: ForwardKey, row: Forwarding) -> None:
        """Map a port, unless somebody else has it: some gateways would let us overwrite that."""
        holder = await self._entry(gateway, key.protocol, key.port)
        if holder is not None and (holder.client, holder.client_port) != (key.client, key.port):
            self._made.pop(key, None)
            self._troubles[key] = verdict.taken(key, gateway.name, holder)
            return
        lease = PERMANENT if self._permanent else row.lease
        about = f"{self._mark}{row.service.namespace}/{row.service.name}"[:LONGEST]
        try:
            await gateway.add(key, description=about, lease=lease)
        except GatewayFault as fault:
            if fault.code != PERMANENT_ONLY or lease == PERMANENT:
                raise
            self._permanent = True
            await gateway.add(key, description=about, lease=PERMANENT)
        self._made[key] = Made(row, self._clock())

    async def _close(self, gateway: Gateway, key: ForwardKey) -> str:
        """Close a port; returns what is in the way. Then it is tried again with every round."""
        try:
            if key.client.version == 6:
                await gateway.close(key)
            else:
                holder = await self._entry(gateway, key.protocol, key.port)
                if holder is None or holder.client == key.client:
                    await gateway.remove(key)
        except GatewayFault as fault:
            self._made.pop(key, None)
            self._left.add(key)
            return f"gateway {gateway.name} does not close {verdict.shown(key)}: {fault}"
        self._forget(key)
        return ""

    # -- the gateway -----------------------------------------------------------------------------

    async def _gateway(self, version: int) -> Gateway | None:
        """The gateway in use, or a search for one."""
        found = self._gateways.get(version)
        if found is not None:
            return found
        gateways, wrong = await self._search(version)
        if not gateways:
            self._absent[version] = wrong
            return None
        self._absent.pop(version, None)
        self._gateways[version] = gateways[0]
        if version == 4:
            self._permanent = False
            with suppress(GatewayFault, GatewayGone):  # the next look tells
                self._external = await gateways[0].external()
        return gateways[0]

    def _is_needed(self, version: int) -> bool:
        """Whether to look for a gateway at all: also once at the start, for what was left there."""
        wanted = any(key.client.version == version for key in (*self._wanted, *self._left))
        return wanted or (version == 4 and version not in self._absent)

    def _lost(self, version: int) -> None:
        """The gateway is gone, and what it had with it."""
        self._gateways.pop(version, None)
        self._absent[version] = []
        for key in [key for key in self._made if key.client.version == version]:
            del self._made[key]
        if version == 4:
            self._external = None

    def _forget(self, key: ForwardKey) -> None:
        self._made.pop(key, None)
        self._left.discard(key)
        if self._table is not None and key.client.version == 4:
            self._table.pop((key.protocol, key.port), None)

    # -- telling ---------------------------------------------------------------------------------

    def _run(self, work: Coroutine[None, None, Result]) -> Result:
        """Do it, within a time; whatever comes of it is told."""
        try:
            return asyncio.run(asyncio.wait_for(work, BUDGET))
        except TimeoutError:
            raise SlowGateway(f"the gateway is slow: {BUDGET:g} s were not enough") from None
        finally:
            rows = sorted(self._wanted.items(), key=lambda item: order(item[0]))
            self._told = tuple(self._forward(key, row) for key, row in rows)

    def _forward(self, key: ForwardKey, row: Forwarding) -> Forward:
        version = key.client.version
        trouble = self._troubles.get(key)
        if trouble is None and key not in self._made and version in self._absent:
            trouble = verdict.no_gateway(key, self._absent[version])
        if trouble is not None:
            return Forward(row.service, key, None, *trouble)
        if key not in self._made:
            return Forward(row.service, key)
        if version == 6:
            return Forward(row.service, key, key.client)
        doubt = verdict.not_public(self.gateway, self._external)
        return Forward(row.service, key, self._external, *(doubt or ()))
