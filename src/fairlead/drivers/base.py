"""The contract between the reconcile loop and a data plane.

A driver is stateless towards its caller: it reports what is really there, makes given changes, and
drops what nobody wants. Retry, backoff, coalescing, periodic full rounds and metrics belong to the
loop (:mod:`fairlead.runtime.reconcile`), so that no driver has its own.
"""

from typing import Protocol, TypeVar


class DriverError(Exception):
    """A data plane refused or could not be reached; the message says which part and what to do."""


Desired = TypeVar("Desired")
Changes = TypeVar("Changes", contravariant=True)


class Driver(Protocol[Desired, Changes]):
    """One data plane on one engine.

    ``apply`` is idempotent, batched and make-before-break: creations and updates first, deletions
    last; deleting what is not there is success. ``observe`` reads what is really there, in the
    shape of the desired state, so that the two diff as tables.
    """

    name: str

    def observe(self) -> Desired:
        """What is there now. Raises :class:`DriverError`."""
        ...

    def apply(self, changes: Changes) -> None:
        """Make the changes. Raises :class:`DriverError`; what it had done by then stays done."""
        ...

    def prune(self, desired: Desired) -> None:
        """Remove whatever of the driver's own is in nobody's desired state."""
        ...

    def withdraw(self) -> None:
        """Remove everything of the driver's own (a clean stop). Idempotent."""
        ...
