"""What came from one watch and was not taken yet: the newest state of each object.

However often an object changes meanwhile, it waits once, so memory is bounded by what there is. A
version that cannot be used does not hide the good one before it, which stays in use.
"""

from time import monotonic

from fairlead.model.names import Ref
from fairlead.model.world import Change


class Pending:
    """Changes by object. ``since``: when the oldest of them came, by the monotonic clock."""

    def __init__(self) -> None:
        self._facts: dict[Ref, Change] = {}
        self._problems: dict[Ref, Change] = {}
        self._explicit: set[Ref] = set()
        self.since = 0.0

    def __bool__(self) -> bool:
        return bool(self._facts or self._problems)

    def put(self, change: Change, *, explicit: bool = False) -> None:
        """The newest of an object. ``explicit``: somebody deleted it."""
        if not self:
            self.since = monotonic()
        ref = change.ref
        if change.problem is not None:
            self._problems[ref] = change
            return
        self._facts[ref] = change
        self._problems.pop(ref, None)
        if explicit:
            self._explicit.add(ref)
        else:
            self._explicit.discard(ref)

    def take(self) -> tuple[list[Change], set[Ref]]:
        """All changes, which are then no longer here, and those that are explicit deletions."""
        changes = [*self._facts.values(), *self._problems.values()]
        explicit = self._explicit
        self._facts, self._problems, self._explicit = {}, {}, set()
        return changes, explicit
