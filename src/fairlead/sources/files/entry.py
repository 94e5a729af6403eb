"""What a manifest file holds, and what reading several of them comes to."""

from typing import NamedTuple

from msgspec import Struct

from fairlead.model.kube import KubeObject
from fairlead.model.names import Ref
from fairlead.model.world import Change


class Problem(NamedTuple):
    """Something wrong with the input, for people. ``line`` counts from 1; 0 means the path as a
    whole. ``ref``: the object that cannot be used for it; None when it is about a whole file, or an
    object without a name."""

    path: str
    line: int
    message: str
    ref: Ref | None = None

    def __str__(self) -> str:
        """``path:line: message``, which editors and terminals can follow."""
        return (
            f"{self.path}:{self.line}: {self.message}"
            if self.line
            else f"{self.path}: {self.message}"
        )


class Batch(NamedTuple):
    """What changed since the last batch, and everything that is wrong now.

    ``unknown``: objects of kinds that are not read, counted as ``apps/v1 Deployment``.
    """

    changes: tuple[Change, ...]
    problems: tuple[Problem, ...]
    unknown: dict[str, int]


class Found(Struct, frozen=True, gc=False):
    """A usable object and where it is written."""

    path: str
    line: int
    ref: Ref
    object: KubeObject


class Faulty(Struct, frozen=True, gc=False):
    """An object that cannot be used. ``ref`` is None where not even its name can be read."""

    path: str
    line: int
    ref: Ref | None
    message: str

    @property
    def problem(self) -> Problem:
        """What to tell people."""
        name = f"{self.ref}: " if self.ref else ""
        return Problem(self.path, self.line, f"{name}{self.message}", self.ref)


class Other(Struct, frozen=True, gc=False):
    """An object of a kind that is not read."""

    kind: str


Place = Found | Faulty
Entry = Place | Other


class Document(Struct, frozen=True, gc=False):
    """One document of a file: the digest of its text, its first line and the objects in it."""

    digest: bytes
    line: int
    entries: tuple[Entry, ...]


class BrokenText(Exception):
    """Text that is neither YAML nor JSON. ``line`` counts from the document's first, as 0."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line, self.message = line, message


def moved(entry: Entry, by: int) -> Entry:
    """The same entry, some lines further down."""
    match entry:
        case Found(path, line, ref, item):
            return Found(path, line + by, ref, item)
        case Faulty(path, line, ref, message):
            return Faulty(path, line + by, ref, message)
    return entry
