"""The nft driver without a kernel: the same changes, the same refusals, the same text.

For planners, loops and golden files. That it behaves like the real one is a test of both.
"""

from fairlead.drivers.base import DriverError
from fairlead.drivers.nft.render import dump
from fairlead.drivers.nft.state import Known, possible
from fairlead.model.desired import L4Changes, L4Desired


class FakeNft:
    """Holds in memory what :class:`~fairlead.drivers.nft.driver.NftDriver` would put into its
    table."""

    name = "nft"

    def __init__(self) -> None:
        """Nothing is there."""
        self._known = Known()
        self._failure: DriverError | None = None
        self.applied: list[L4Changes] = []

    def fail_next(self, error: DriverError) -> None:
        """Make the next :meth:`apply` raise, having done nothing."""
        self._failure = error

    def observe(self) -> L4Desired:
        """What is there."""
        return self._known.desired()

    def apply(self, changes: L4Changes) -> None:
        """Make the changes. Raises DriverError for what the real driver refuses, or when told
        to."""
        if self._failure is not None:
            error, self._failure = self._failure, None
            raise error
        changes, wrong = possible(changes)
        self._known.record(changes)
        self.applied.append(changes)
        if wrong:
            raise DriverError("; ".join(wrong))

    def prune(self, desired: L4Desired) -> None:
        """Remove what ``desired`` does not have."""
        known = self._known
        gone = known.rows.keys() - desired.listeners.keys()
        vips = frozenset(known.vips - desired.vips)
        known.record(L4Changes(listeners=dict.fromkeys(gone), vips_removed=vips))

    def withdraw(self) -> None:
        """Remove everything."""
        self._known = Known()

    def dump(self) -> str:
        """The state as the text of golden files."""
        return dump(self.observe())

    def break_table(self) -> None:
        """What somebody's ``nft delete table`` does: everything is gone behind the driver's
        back."""
        self._known = Known()
