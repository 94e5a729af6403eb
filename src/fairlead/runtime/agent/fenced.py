"""The announcer of an agent whose addresses are held by its fence.

The agent prepares, the fence holds: the loop that drives addresses finds here what the fence really
has, and waits here for what it will have. So everything that watches an announcer (order between
listeners and addresses, health, metrics) stays as it is.
"""

from collections.abc import Collection
from threading import Condition

from fairlead.drivers.base import DriverError
from fairlead.drivers.l2 import Conflict, Failure, L2Error
from fairlead.model.addresses import IPAddress, parse_address
from fairlead.model.desired import L2Changes, L2Desired
from fairlead.runtime.fence.link import State

PATIENCE = 3.0
"""Seconds in which a fence hands over what it should; then it is said that it does not."""


class FencedAnnouncer:
    """What a fence holds, as a driver. Used from threads; :meth:`tell` from anywhere."""

    name = "fence"

    def __init__(self, *, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._news = Condition()
        self._state: State | None = None
        self._held: frozenset[IPAddress] = frozenset()
        self._places: dict[IPAddress, str] = {}

    def tell(self, state: State | None) -> None:
        """The fence said this; None: there is none."""
        with self._news:
            self._state = state
            if state is not None:
                self._held = frozenset(map(parse_address, state.held))
            self._news.notify_all()

    def observe(self) -> L2Desired:
        """What the fence holds; raises :class:`DriverError` while there is no fence."""
        with self._news:
            self._present()
            places = {one: name for one, name in self._places.items() if one in self._held}
            return L2Desired(owned=self._held, places=places)

    def apply(self, changes: L2Changes) -> None:
        """Wait until the fence has made them. Raises :class:`L2Error` for what it has not."""
        with self._news:
            for address in changes.added | changes.removed:
                self._places.pop(address, None)
            self._places.update(changes.places)
            self._news.wait_for(lambda: self._made(changes), timeout=self._patience)
            state = self._present()
            missing = sorted(changes.added - self._held, key=lambda a: (a.version, int(a)))
        if missing:
            why = "the fence may not hold it" if not state.rightful else "the fence has not got it"
            failures = [Failure(one, "fence", state.problems.get(str(one), why)) for one in missing]
            raise L2Error(failures)

    def prune(self, desired: L2Desired) -> None:
        """Nothing: a fence holds what is in its table, and nothing else."""

    def withdraw(self) -> None:
        """Nothing: a fence goes on without its agent."""

    def released(self) -> bool:
        """Wait for a fence that is ending too to hand over; whether it holds nothing (more)."""
        with self._news:
            return self._news.wait_for(self._holds_nothing, timeout=self._patience)

    def conflicts(self) -> Collection[Conflict]:
        """None of its own: what the fence found is in the failures."""
        return ()

    def disputes(self) -> Collection[Conflict]:
        """What the fence heard that somebody else uses as well."""
        state = self._state
        found = state.disputes if state is not None else ()
        return tuple(Conflict(parse_address(text), mac, name) for text, mac, name in found)

    def _holds_nothing(self) -> bool:
        return self._state is None or not self._state.held

    def _made(self, changes: L2Changes) -> bool:
        return changes.added <= self._held and not changes.removed & self._held

    def _present(self) -> State:
        if self._state is None:
            raise DriverError("fence: no 'fairlead fence' answers; start it on this host")
        return self._state
