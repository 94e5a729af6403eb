"""Who may hold speaks, who may not is silent: addresses and switch in step, whatever the order."""

import asyncio
from collections.abc import Collection, Mapping
from ipaddress import ip_address

from fairlead.drivers.base import DriverError
from fairlead.drivers.l2 import Conflict
from fairlead.model.addresses import IPAddress
from fairlead.model.berth import Table
from fairlead.model.desired import L2Changes, L2Desired
from fairlead.runtime.fence.holder import NONE, Holder

VIP = frozenset([ip_address("192.0.2.10")])
TABLE = Table(me="a", address=ip_address("198.51.100.1"), peers={})


class Addresses:
    """An interface."""

    def __init__(self, owned: frozenset[IPAddress] = NONE) -> None:
        self.owned = owned

    def observe(self) -> L2Desired:
        return L2Desired(owned=self.owned)

    def apply(self, changes: L2Changes) -> None:
        self.owned = (self.owned | changes.added) - changes.removed

    def prune(self, desired: L2Desired) -> None:
        self.owned &= desired.owned

    def withdraw(self) -> None:
        self.owned = NONE

    def conflicts(self) -> Collection[Conflict]:
        return ()

    def disputes(self) -> Collection[Conflict]:
        return ()

    def astray(self, places: Mapping[IPAddress, str]) -> Mapping[IPAddress, str]:
        return {}


class Gate:
    """A switch whose time stands still."""

    def __init__(self, *, lasts: bool = False, broken: bool = False) -> None:
        self.lasts, self.broken = lasts, broken
        self.held: frozenset[IPAddress] = NONE

    def install(self, held: Collection[IPAddress]) -> None:
        self.lasts, self.held = False, frozenset(held)

    def on(self) -> bool:
        return self.lasts

    def hold(self, addresses: Collection[IPAddress]) -> None:
        if self.broken:
            raise DriverError("nft refused")
        self.held = frozenset(addresses)

    def refresh(self) -> None:
        self.lasts = True

    def off(self) -> None:
        self.lasts = False

    def remove(self) -> None:
        self.install(NONE)


def hold(holder: Holder, wanted: frozenset[IPAddress], *, rightful: bool) -> None:
    asyncio.run(holder.hold(wanted, rightful=rightful, table=TABLE))


def test_who_lost_the_right_for_a_moment_speaks_again_at_once() -> None:
    """Two engines: the one that is left rules again some milliseconds later, by evidence."""
    addresses, gate = Addresses(), Gate()
    holder = Holder(addresses, gate)
    hold(holder, NONE, rightful=True)
    hold(holder, NONE, rightful=False)
    assert not gate.lasts
    hold(holder, VIP, rightful=True)
    assert addresses.owned == gate.held == VIP
    assert gate.lasts, "it holds the address and nobody hears of it"


def test_who_may_not_hold_is_silent_before_the_addresses_go() -> None:
    addresses, gate = Addresses(), Gate()
    holder = Holder(addresses, gate)
    hold(holder, VIP, rightful=True)
    hold(holder, NONE, rightful=False)
    assert not gate.lasts
    assert not addresses.owned


def test_what_an_earlier_fence_left_counts_only_while_it_may_speak() -> None:
    for lasts in (True, False):
        holder = Holder(Addresses(VIP), Gate(lasts=lasts))
        assert asyncio.run(holder.inherited()) == (VIP if lasts else NONE)


class Watched(Gate):
    """A switch that notes with what it let anybody speak."""

    def __init__(self, addresses: Addresses, *, lasts: bool) -> None:
        super().__init__(lasts=lasts)
        self._addresses = addresses
        self.spoke: list[frozenset[IPAddress]] = []

    def _note(self) -> None:
        self.spoke.append(self._addresses.owned - (NONE if self.lasts else self.held))

    def install(self, held: Collection[IPAddress]) -> None:
        super().install(held)
        self._note()

    def hold(self, addresses: Collection[IPAddress]) -> None:
        super().hold(addresses)
        self._note()

    def refresh(self) -> None:
        super().refresh()
        self._note()


def test_what_a_fence_finds_behind_a_lapsed_switch_never_speaks_again() -> None:
    """Others hold it by now; this engine rules with them at once."""
    addresses = Addresses(VIP)
    gate = Watched(addresses, lasts=False)
    hold(Holder(addresses, gate), NONE, rightful=True)
    assert not addresses.owned
    assert gate.lasts
    assert not any(gate.spoke)


def test_what_is_found_behind_a_lapsed_switch_and_wanted_is_taken_anew() -> None:
    """Somebody may have had it meanwhile: only what is taken is announced."""
    taken: list[frozenset[IPAddress]] = []

    class Noted(Addresses):
        def apply(self, changes: L2Changes) -> None:
            super().apply(changes)
            taken.append(changes.added)

    addresses = Noted(VIP)
    holder = Holder(addresses, Gate())
    hold(holder, VIP, rightful=True)
    assert taken == [NONE, VIP]
    assert holder.held == addresses.owned == VIP


def test_what_is_found_behind_a_switch_that_lasts_stays() -> None:
    addresses = Addresses(VIP)
    gate = Watched(addresses, lasts=True)
    hold(Holder(addresses, gate), VIP, rightful=True)
    assert addresses.owned == VIP
    assert gate.spoke[-1] == VIP


def test_an_address_that_cannot_be_gated_is_not_held() -> None:
    addresses = Addresses()
    holder = Holder(addresses, Gate(broken=True))
    hold(holder, VIP, rightful=True)
    assert not addresses.owned
    assert "nft refused" in holder.problems[""]
