"""Which places define an object, over all files, and what follows from it.

One place: that object. Several that say the same: that object too. Several that differ: nobody can
know which is meant, so none is used and all are named (DESIGN, "Duplicates").
"""

from collections.abc import Iterator, Sequence

from fairlead.model.kube import KubeObject
from fairlead.model.names import Ref
from fairlead.model.verdict import Code, Reason
from fairlead.model.world import Change
from fairlead.sources.files.content import Content, places
from fairlead.sources.files.entry import Found, Place, Problem

MOST_PLACES = 8
"""Places of one object that are named."""


class Index:
    """All places by object. Nearly all objects have one; the others are kept apart."""

    def __init__(self) -> None:
        self._one: dict[Ref, Place] = {}
        self._several: dict[Ref, list[Place]] = {}

    def resolve(self, ref: Ref) -> Change:
        """What an object comes to, given all its places."""
        place = self._one.get(ref)
        if place is None:
            return self._agreed(ref)
        if isinstance(place, Found):
            return Change(ref, place.object)
        return Change(ref, None, Reason(Code.INVALID_OBJECT, place.message))

    def _agreed(self, ref: Ref) -> Change:
        every = self._several.get(ref)
        if not every:
            return Change(ref, None)
        if not _agree(every):
            text = f"{ref} is defined {len(every)} times, differently; keep one definition."
            return Change(ref, None, Reason(Code.INVALID_OBJECT, text))
        first = every[0]
        if isinstance(first, Found):
            return Change(ref, first.object)
        return Change(ref, None, Reason(Code.INVALID_OBJECT, first.message))

    def replace(self, before: Content, after: Content, said: dict[Ref, Change | None]) -> None:
        """Put one version of a file in the place of another.

        ``said`` collects what every object that may be different now came to at first (None:
        nothing).
        """
        old, new = before.digests(), after.digests()
        differing = [d for d in before.documents if d.digest not in new]
        differing += [d for d in after.documents if d.digest not in old]
        for ref, _ in places(differing):
            if ref not in said:
                known = ref in self._one or ref in self._several
                said[ref] = self.resolve(ref) if known else None
        for ref in {ref for ref, _ in places(before.documents)}:
            self._remove(ref, before.path)
        for ref, place in places(after.documents):
            self._add(ref, place)

    def problems(self) -> Iterator[Problem]:
        """For each object that is defined in several ways, one for each place, naming the others.
        Where there are very many places, the first ones speak for all."""
        for ref, every in sorted(self._several.items()):
            if not _agree(every):
                ordered = sorted(every, key=lambda place: (place.path, place.line))
                for index in range(min(len(ordered), MOST_PLACES)):
                    yield _dispute(ref, index, ordered)

    def _remove(self, ref: Ref, path: str) -> None:
        if ref in self._one:
            del self._one[ref]  # its only place is in the file whose entries are removed
            return
        left = [place for place in self._several.pop(ref, ()) if place.path != path]
        if len(left) == 1:
            self._one[ref] = left[0]
        elif left:
            self._several[ref] = left

    def _add(self, ref: Ref, place: Place) -> None:
        if several := self._several.get(ref):
            several.append(place)
        elif (first := self._one.pop(ref, None)) is not None:
            self._several[ref] = [first, place]
        else:
            self._one[ref] = place


def _dispute(ref: Ref, index: int, every: Sequence[Place]) -> Problem:
    place = every[index]
    named = [every[other] for other in range(min(len(every), MOST_PLACES)) if other != index]
    others = ", ".join(f"{other.path}:{other.line}" for other in named)
    more = len(every) - 1 - len(named)
    text = f"{ref} is also defined at {others}{f' and {more} more places' if more else ''}"
    return Problem(place.path, place.line, f"{text}, differently; keep one definition.", ref)


def _agree(every: Sequence[Place]) -> bool:
    first = _said(every[0])
    return all(_said(place) == first for place in every)


def _said(place: Place) -> KubeObject | str:
    return place.object if isinstance(place, Found) else place.message
