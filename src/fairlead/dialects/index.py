"""Which readings depend on which other object, so that its change finds the Services it concerns.

Only what cannot be seen from the object itself is kept: pods by one label of the selector that
found them, AviInfraSettings by name, nodes as a whole.
"""

from immutables import Map
from msgspec import Struct

from fairlead.dialects.reading import Hint
from fairlead.model.names import Ref

Users = Map[Ref, bool]
"""A persistent set: the values mean nothing."""
NOBODY: Users = Map()


class Index(Struct, frozen=True):
    """Hints by object, and objects by hint."""

    hints: Map[Ref, tuple[Hint, ...]] = Map()
    users: Map[Hint, Users] = Map()

    def users_of(self, hint: Hint) -> Users:
        """The objects whose reading gave that hint."""
        return self.users.get(hint, NOBODY)

    def revised(self, changes: dict[Ref, tuple[Hint, ...]]) -> "Index":
        """The index after some readings changed."""
        gone: dict[Hint, list[Ref]] = {}
        come: dict[Hint, list[Ref]] = {}
        hints = self.hints.mutate()
        for ref, now in changes.items():
            before = hints.get(ref, ())
            if now == before:
                continue
            for hint in before:
                gone.setdefault(hint, []).append(ref)
            for hint in now:
                come.setdefault(hint, []).append(ref)
            if now:
                hints[ref] = now
            else:
                del hints[ref]
        if not (gone or come):
            return self
        return Index(hints.finish(), self._regrouped(gone, come))

    def _regrouped(
        self, gone: dict[Hint, list[Ref]], come: dict[Hint, list[Ref]]
    ) -> Map[Hint, Users]:
        users = self.users.mutate()
        for hint in gone.keys() | come.keys():
            members = users.get(hint, NOBODY).mutate()
            for ref in gone.get(hint, ()):
                members.pop(ref, None)
            for ref in come.get(hint, ()):
                members[ref] = True
            if members:
                users[hint] = members.finish()
            else:
                users.pop(hint, None)
        return users.finish()
