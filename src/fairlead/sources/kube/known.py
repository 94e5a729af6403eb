"""The objects that a watch has passed on, by name, with the version of each.

This is what a new list is compared with: the same version is no news, and what is missing has gone.
Versions are numbers where they can be (they always are, from etcd), which takes half the memory of
text and shows when a history has gone back.
"""

from collections.abc import Iterator

Version = int | str
OLD: Version = -1
NONE: dict[str, Version] = {}


def version_of(text: str) -> Version:
    """A resourceVersion, as a number if it is one."""
    return int(text) if text.isdecimal() else text


def is_behind(now: Version, before: Version) -> bool:
    """Whether a version is certainly older than another."""
    return isinstance(now, int) and isinstance(before, int) and now < before


class Known:
    """namespace -> name -> version."""

    def __init__(self) -> None:
        self._spaces: dict[str, dict[str, Version]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._spaces.values()))

    def has(self, namespace: str, name: str, version: Version) -> bool:
        """Whether exactly this was passed on."""
        return self._spaces.get(namespace, NONE).get(name) == version

    def put(self, namespace: str, name: str, version: Version) -> None:
        """It was passed on."""
        space = self._spaces.get(namespace)
        if space is None:
            self._spaces[namespace] = {name: version}
        else:
            space[name] = version

    def drop(self, namespace: str, name: str) -> bool:
        """It has gone: whether it was known."""
        space = self._spaces.get(namespace)
        if space is None or space.pop(name, None) is None:
            return False
        if not space:
            del self._spaces[namespace]
        return True

    def age(self) -> None:
        """Take every version for an old one: what comes next is news even if it looks the same."""
        for space in self._spaces.values():
            space.update(dict.fromkeys(space, OLD))

    def names(self) -> Iterator[tuple[str, str]]:
        """All (namespace, name)."""
        for namespace, space in self._spaces.items():
            for name in space:
                yield namespace, name


class Seen:
    """The names in a list that is being read."""

    def __init__(self) -> None:
        self._spaces: dict[str, set[str]] = {}

    def add(self, namespace: str, name: str) -> None:
        """It is in the list."""
        self._spaces.setdefault(namespace, set()).add(name)

    def missing(self, known: Known) -> list[tuple[str, str]]:
        """What is known and not in the list."""
        return [
            (space, name)
            for space, name in known.names()
            if name not in self._spaces.get(space, ())
        ]
