"""A DHCP driver without a network, which behaves like the real one: for tests of what is above."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from fairlead.model.desired import DhcpChanges, DhcpDesired, DhcpRow
from fairlead.model.dhcp import Leased, LeaseKey

if TYPE_CHECKING:
    from fairlead.drivers.base import DriverError

Answer = Callable[[LeaseKey, DhcpRow, Leased | None], Leased | None]
"""What a server says to somebody who asks; None: nothing."""


class FakeDhcp:
    """``answer`` is asked for each new row; ``given_back``: the leases that were released.
    ``failure``: what the next changes fail with."""

    name = "dhcp"

    def __init__(self, *, answer: Answer = lambda *_: None) -> None:
        self.held: dict[LeaseKey, DhcpRow] = {}
        self.given_back: list[LeaseKey] = []
        self.failure: DriverError | None = None
        self.quiet = False
        self._known: dict[LeaseKey, Leased] = {}
        self._tell: Callable[[LeaseKey, Leased], None] = lambda *_: None
        self._answer = answer

    def listen(self, tell: Callable[[LeaseKey, Leased], None]) -> None:
        """Tell somebody what becomes of each lease."""
        self._tell = tell

    def observe(self) -> DhcpDesired:
        """The leases that are held."""
        return DhcpDesired(dict(self.held))

    def apply(self, changes: DhcpChanges) -> None:
        """Ask the server of the test."""
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure
        for key, row in changes.rows.items():
            if row is None:
                self.held.pop(key, None)
                self._known.pop(key, None)
                self.given_back += [key] if key in changes.ended else []
                continue
            self.held[key] = row
            leased = self._answer(key, row, changes.known.get(key))
            if leased is not None:
                self.say(key, leased)

    def say(self, key: LeaseKey, leased: Leased) -> None:
        """The server says something of a lease."""
        self._known[key] = leased
        self._tell(key, leased)

    def hush(self, quiet: bool) -> None:
        """Nobody hears it anyway."""
        self.quiet = quiet

    def prune(self, desired: DhcpDesired) -> None:
        """Drop what is in nobody's desired state."""
        for key in [key for key in self.held if key not in desired.rows]:
            del self.held[key]

    def withdraw(self) -> None:
        """Drop everything; nothing is given back."""
        self.held.clear()

    def leases(self) -> Mapping[LeaseKey, Leased]:
        """What is known of the leases."""
        return dict(self._known)

    def close(self) -> None:
        """Nothing to free."""
