"""Whether a controller can do its work, and if not, why.

A replica that stands by is ready too: it can lead at once.
"""

from collections.abc import Callable, Sequence
from time import monotonic

from fairlead.runtime.controller.controller import Controller
from fairlead.runtime.controller.intake import Lack
from fairlead.runtime.probes import Check

RECENT = 15.0
"""Seconds within which the API server must have answered."""


class Reached:
    """When the API server answered last."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._at: float | None = None

    def note(self, status: int) -> None:
        """A request ended with that HTTP status; 0: no answer."""
        if status:
            self._at = self._clock()

    def check(self) -> Check:
        """Whether it answered recently."""
        if self._at is None:
            return Check("api", False, "the API server has not answered yet")
        seconds = self._clock() - self._at
        return Check("api", seconds < RECENT, f"it answered {seconds:.1f} s ago")


def readiness(replica: Controller, reached: Reached, lacks: Sequence[Lack]) -> list[Check]:
    """Everything that has to be so."""
    return [
        reached.check(),
        Check("read", replica.synced, "" if replica.synced else "not everything was read yet"),
        *(Check(lack.kind, not lack.needed, lack.why) for lack in lacks),
        _role(replica),
    ]


def _role(replica: Controller) -> Check:
    if replica.leads:
        return Check("role", True, "leads")
    if replica.leadership.valid():
        return Check("role", False, "leads, and reads the ledger")
    return Check("role", True, f"stands by; {replica.leadership.holder or 'nobody'} leads")
