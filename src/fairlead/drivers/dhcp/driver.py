"""Leases of one engine.

``apply`` starts and ends sessions; what comes of them is told through ``tell``, whenever it comes.
Sessions run in a loop of their own, in a thread that is made with the first lease, because an
engine without any shall not pay for them: neither a thread nor the import of the client.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from socket import if_nameindex
from threading import Lock
from typing import TYPE_CHECKING

from fairlead.model.desired import DhcpChanges, DhcpDesired
from fairlead.model.dhcp import Leased, LeaseKey

if TYPE_CHECKING:
    from fairlead.drivers.dhcp.house import House

Tell = Callable[[LeaseKey, Leased], None]


class DhcpDriver:
    """``interfaces``: those that may carry VIPs; none: all."""

    name = "dhcp"

    def __init__(self, *, interfaces: tuple[str, ...] = ()) -> None:
        self._interfaces = interfaces
        self._tell: Tell = _nobody
        self._house: House | None = None
        self._lock, self._turn = Lock(), Lock()
        self._quiet = False

    def listen(self, tell: Tell) -> None:
        """Tell somebody, from a thread, what becomes of each lease."""
        self._tell = tell

    def observe(self) -> DhcpDesired:
        """The leases that are held or asked for, as long as what they need is there."""
        with self._turn:
            return DhcpDesired(self._house.rows() if self._house is not None else {})

    def apply(self, changes: DhcpChanges) -> None:
        """Ask for new leases, and let go of others. Raises DriverError."""
        with self._turn:
            self._inside().apply(changes)

    def hush(self, quiet: bool) -> None:
        """While ``quiet``, say nothing to anybody: this engine may not hold VIPs, and whoever does
        is the client now. Raises DriverError."""
        with self._turn:
            self._quiet = quiet
            if self._house is not None:
                self._house.hush(quiet)

    def prune(self, desired: DhcpDesired) -> None:
        """Remove what an earlier process left behind."""
        if self._house is None and not desired.rows and not left_behind():
            return
        with self._turn:
            self._inside().prune(desired.rows)

    def withdraw(self) -> None:
        """End all sessions. Leases are not given back: whoever comes next goes on with them."""
        if self._house is not None or left_behind():
            with self._turn:
                house = self._inside()
                house.apply(DhcpChanges(dict.fromkeys(house.rows())))
                house.prune({})

    def leases(self) -> Mapping[LeaseKey, Leased]:
        """What is known of the leases of this engine."""
        return self._house.known() if self._house is not None else {}

    def close(self) -> None:
        """End the thread; what is on the network stays."""
        with self._lock:
            house, self._house = self._house, None
        if house is not None:
            house.close()

    def _inside(self) -> House:
        from fairlead.drivers.dhcp.house import House  # costs 8 MB

        with self._lock:
            if self._house is None:
                self._house = House(self._interfaces, lambda *news: self._tell(*news))
                self._house.hush(self._quiet)
            return self._house


def _nobody(_key: LeaseKey, _leased: Leased) -> None:
    """Until somebody listens."""


def left_behind() -> bool:
    """Whether there is a macvlan of ours, found without the cost of looking properly."""
    return any(name.startswith(MACVLANS) for _, name in if_nameindex())


MACVLANS = "fldh"
"""How the names of our macvlans begin."""
