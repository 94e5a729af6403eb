"""Which readings depend on which other object, so that its change finds the Services it concerns.

Only what cannot be seen from the object itself is kept: pods by one label of the selector that
found them, AviInfraSettings by name, nodes as a whole. What is indexed are Services, or the groups
that an agent serves.
"""

from typing import Generic, TypeVar

from immutables import Map
from msgspec import Struct

from fairlead.dialects.reading import Hint

User = TypeVar("User")


class Index(Struct, Generic[User], frozen=True):
    """Hints by user, and users by hint: persistent sets, whose values mean nothing."""

    hints: Map[User, tuple[Hint, ...]] = Map()
    users: Map[Hint, Map[User, bool]] = Map()

    def users_of(self, hint: Hint) -> Map[User, bool]:
        """The users whose reading gave that hint."""
        return self.users.get(hint, Map())

    def revised(self, changes: dict[User, tuple[Hint, ...]]) -> "Index[User]":
        """The index after some readings changed."""
        gone: dict[Hint, list[User]] = {}
        come: dict[Hint, list[User]] = {}
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
        self, gone: dict[Hint, list[User]], come: dict[Hint, list[User]]
    ) -> Map[Hint, Map[User, bool]]:
        users = self.users.mutate()
        for hint in gone.keys() | come.keys():
            empty: Map[User, bool] = Map()
            members = users.get(hint, empty).mutate()
            for ref in gone.get(hint, ()):
                members.pop(ref, None)
            for ref in come.get(hint, ()):
                members[ref] = True
            if members:
                users[hint] = members.finish()
            else:
                users.pop(hint, None)
        return users.finish()
