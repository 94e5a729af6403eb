"""What this host holds, made true: the addresses first, then the switch that lets them speak.

Taking over costs one nft transaction and one address batch, whatever their number. What can be
wrong with single addresses (somebody else has one) is reported and tried again; what is wrong with
the switch ends the holding, for an address that cannot be silenced must not be held.
"""

import asyncio
from collections.abc import Collection, Mapping
from time import CLOCK_BOOTTIME, clock_gettime
from typing import Protocol

from fairlead.drivers.base import DriverError
from fairlead.drivers.l2 import Conflict, Failure, L2Error
from fairlead.model.addresses import IPAddress, canonical
from fairlead.model.berth import Table
from fairlead.model.desired import L2Changes, L2Desired

REFRESH = 0.5
"""Seconds between two refreshes of the switch."""
ROUND = 5.0
"""Seconds between two looks at what is really there."""
AGAIN = 0.5
"""Seconds after which what could not be taken is tried again."""
NONE: frozenset[IPAddress] = frozenset()


class Addresses(Protocol):
    """The L2 driver."""

    def observe(self) -> L2Desired: ...
    def apply(self, changes: L2Changes) -> None: ...
    def prune(self, desired: L2Desired) -> None: ...
    def withdraw(self) -> None: ...
    def conflicts(self) -> Collection[Conflict]: ...
    def disputes(self) -> Collection[Conflict]: ...
    def astray(self, places: Mapping[IPAddress, str]) -> Mapping[IPAddress, str]: ...


class Gate(Protocol):
    """The switch."""

    def install(self, held: Collection[IPAddress]) -> None: ...
    def on(self) -> bool: ...
    def hold(self, addresses: Collection[IPAddress]) -> None: ...
    def refresh(self) -> None: ...
    def off(self) -> None: ...
    def remove(self) -> None: ...


class Holder:
    """Holds addresses on this host. ``held`` is what it has, ``rightful`` whether it may.
    ``problems``: what is in the way, by address; empty key: about all of them."""

    def __init__(self, addresses: Addresses, gate: Gate) -> None:
        self.held: frozenset[IPAddress] = NONE
        self.rightful = False
        self.problems: dict[str, str] = {}
        self._addresses, self._gate = addresses, gate
        self._taken: frozenset[IPAddress] = NONE  # and not let go since, wherever it is now
        self._places: Mapping[IPAddress, str] = {}
        self._refreshed = self._looked = self._retried = 0.0
        self._begun = False

    async def hold(self, wanted: frozenset[IPAddress], *, rightful: bool, table: Table) -> None:
        """Have exactly these. In a thread: the kernel may take its time."""
        await asyncio.to_thread(self._hold, wanted, rightful, table)

    async def inherited(self) -> frozenset[IPAddress]:
        """What an earlier fence left and may speak yet. None once its switch has lapsed: others
        have taken over by then."""
        return await asyncio.to_thread(self._inherited)

    async def astray(self, table: Table) -> Mapping[IPAddress, str]:
        """The VIPs of a table that nobody would hear of here, and why; those that cannot be looked
        for are none."""
        return await asyncio.to_thread(self._astray, table)

    def disputes(self) -> tuple[Conflict, ...]:
        """What somebody else on the LAN uses as well."""
        return tuple(self._addresses.disputes())

    async def withdraw(self) -> None:
        """Let go of everything, and leave no switch behind."""
        await asyncio.to_thread(self._withdraw)

    def _hold(self, wanted: frozenset[IPAddress], rightful: bool, table: Table) -> None:
        now = clock_gettime(CLOCK_BOOTTIME)
        try:
            if not self._begun:
                self._begin()
            if rightful and now - self._refreshed >= REFRESH:
                self._gate.refresh()
                self._refreshed = now
            if self.rightful and not rightful:
                self._gate.off()
                self._refreshed = 0.0  # it may rule again at once, by evidence from the API
            self.rightful = rightful
            self._move(wanted, table, now)
        except DriverError as error:
            self.problems = {"": str(error)}
        else:
            self.problems.pop("", None)

    def _inherited(self) -> frozenset[IPAddress]:
        try:
            return self._addresses.observe().owned if self._gate.on() else NONE
        except DriverError:
            return NONE  # whoever holds meets the same, and reports it

    def _astray(self, table: Table) -> Mapping[IPAddress, str]:
        try:
            return self._addresses.astray(table.places)
        except DriverError:
            return {}  # whoever holds meets the same, and reports it

    def _begin(self) -> None:
        """Go on with what an earlier fence left. Once its switch has lapsed others have that, so it
        is let go of before a new switch lets it speak again; what is still wanted is then taken,
        and announced, like anything else."""
        left, lasts = self._addresses.observe().owned, self._gate.on()
        self._gate.install(left)
        if left and not lasts:
            self._addresses.apply(L2Changes(NONE, left))
            left = self._addresses.observe().owned
        self.held = self._taken = left
        self._begun = True

    def _move(self, wanted: frozenset[IPAddress], table: Table, now: float) -> None:
        if now - self._looked >= ROUND:
            self._looked = now
            self.held = self._addresses.observe().owned
        asked = {one: place for one in wanted if (place := table.places.get(one, ""))}
        come = (wanted - self.held) | (self._moved(asked) & wanted)
        failing = {one for one in come if canonical(one) in self.problems}
        if now - self._retried < AGAIN:
            come -= failing
        gone = (self._taken | self.held) - wanted
        if not (come or gone):
            return
        if come & failing:
            self._retried = now
        contested = {one.address for one in self._addresses.conflicts()}
        self._apply(come, gone, come & (table.fresh | contested), asked)

    def _moved(self, asked: Mapping[IPAddress, str]) -> frozenset[IPAddress]:
        """What is held and shall be on another interface."""
        if asked == self._places:
            return NONE
        return frozenset(
            one for one in self.held if asked.get(one, "") != self._places.get(one, "")
        )

    def _apply(
        self,
        come: frozenset[IPAddress],
        gone: frozenset[IPAddress],
        probe: frozenset[IPAddress],
        asked: Mapping[IPAddress, str],
    ) -> None:
        """Take and let go. What cannot be taken is noted, and the rest is done."""
        self._taken |= come
        self._gate.hold(self._taken)
        places = {one: asked[one] for one in come if one in asked}
        failures: tuple[Failure, ...] = ()
        certain = False
        try:
            self._addresses.apply(L2Changes(come, gone, probe, places))
            certain = not (probe or gone)
        except L2Error as error:
            failures = error.failures
        finally:
            self.held = self.held | come if certain else self._addresses.observe().owned
            self._taken = (self._taken - gone) | self.held
            self._gate.hold(self._taken)
        self._places = asked
        self.problems = {canonical(f.address): f"{f.interface}: {f.problem}" for f in failures}
        self.problems |= {
            canonical(one.address): f"used by {one.mac} on {one.interface}"
            for one in self._addresses.conflicts()
        }

    def _withdraw(self) -> None:
        try:
            self._addresses.withdraw()
        finally:
            self.held = self._taken = NONE
            self._gate.remove()
