"""One manifest file as it was last good: its documents, what is wrong in it, and how it looked on
disk.

A document that has not changed is not parsed again: its digest is found among the documents of the
version before, wherever in the file it stands now.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import BinaryIO, Final

from msgspec import Struct

from fairlead.model.names import Ref
from fairlead.sources.files.document import read
from fairlead.sources.files.entry import (
    BrokenText,
    Document,
    Entry,
    Faulty,
    Found,
    Other,
    Place,
    Problem,
    moved,
)
from fairlead.sources.files.split import Chunk, documents

RACY: Final = 1_000_000_000
"""Nanoseconds. A file that changed this shortly before it was read may change again within one tick
of the file system's clock; it is then read again however its times look."""

Signature = tuple[int, ...]
"""What ``stat`` says of a file: while it stays the same, so does the content."""


class Content(Struct, frozen=True, gc=False):
    """One file. ``signature``: None when it has to be read again at the next opportunity."""

    path: str
    signature: Signature | None = None
    documents: tuple[Document, ...] = ()
    faults: tuple[Faulty, ...] = ()
    unknown: Mapping[str, int] = {}
    broken: Problem | None = None

    @property
    def problems(self) -> Iterator[Problem]:
        """Everything wrong with it: why it is not in use as it is now, and what is wrong with
        objects."""
        if self.broken:
            yield self.broken
        for fault in self.faults:
            yield fault.problem

    def digests(self) -> dict[bytes, Document]:
        """The documents by digest."""
        return {document.digest: document for document in self.documents}


def places(documents: Iterable[Document]) -> Iterator[tuple[Ref, Place]]:
    """The entries that say which object they are, with that object."""
    for document in documents:
        for entry in document.entries:
            if not isinstance(entry, Other) and entry.ref is not None:
                yield entry.ref, entry


def reread(path: str, before: Content, *, now: int) -> Content | None:
    """The file as it is now; None when it is gone. What cannot be used leaves ``before`` in place.

    ``now``: nanoseconds since the epoch, to tell a file that is still being written.
    """
    try:
        with open(path, "rb") as stream:
            seen = signature(os.fstat(stream.fileno()))
            content = from_stream(stream, path, before)
    except FileNotFoundError:
        return None
    except OSError as error:
        why = f"cannot be read: {error.strerror or error}"
        return unusable(before, Problem(path, 0, _sentence(why, before)))
    settled = abs(now - seen[-1]) > RACY  # the time of change, which nobody can set
    return _with(content, seen if settled else None)


def from_stream(stream: BinaryIO, path: str, before: Content) -> Content:
    """The content of an open stream, or ``before`` and why when it is unusable as a whole."""
    known = before.digests()
    line = 1
    try:
        found = []
        for chunk in documents(stream):
            line = chunk.line
            found.append(_document(chunk, path, known))
    except BrokenText as error:
        line += error.line
        return unusable(before, Problem(path, line, _sentence(error.message, before)))
    return _content(path, before, found)


def _sentence(why: str, before: Content) -> str:
    kept = "what the file said before stays in use" if before.documents else "the file is not used"
    return f"{why}; {kept}."


def unusable(before: Content, problem: Problem) -> Content:
    """The content before, with the reason that it is still in use."""
    return Content(
        before.path, None, before.documents, before.faults, before.unknown, broken=problem
    )


def signature(status: os.stat_result) -> Signature:
    """Identity, size and times."""
    times = (status.st_mtime_ns, status.st_ctime_ns)
    return (status.st_dev, status.st_ino, status.st_size, *times)


def _with(content: Content, seen: Signature | None) -> Content:
    """The content with a signature. A broken file keeps it too: nothing is gained by reading it
    twice."""
    return Content(
        content.path,
        seen,
        content.documents,
        content.faults,
        content.unknown,
        content.broken,
    )


def _document(chunk: Chunk, path: str, known: Mapping[bytes, Document]) -> Document:
    digest = hashlib.blake2b(chunk.text, digest_size=16).digest()
    old = known.get(digest)
    if old is None:
        return Document(digest, chunk.line, read(chunk, path))
    if old.line == chunk.line:
        return old
    by = chunk.line - old.line
    return Document(digest, chunk.line, tuple(moved(entry, by) for entry in old.entries))


def _content(path: str, before: Content, found: list[Document]) -> Content:
    entries = [entry for document in found for entry in document.entries]
    faults = tuple(entry for entry in entries if isinstance(entry, Faulty))
    if any(fault.ref is None for fault in faults):
        found += _kept(before, entries)
    unknown = Counter(entry.kind for entry in entries if isinstance(entry, Other))
    return Content(path, None, tuple(found), faults, dict(unknown))


def _kept(before: Content, entries: list[Entry]) -> Iterator[Document]:
    """Objects that an edit may have made nameless: they stay in use until the file says who is
    meant."""
    now = {entry.ref for entry in entries if not isinstance(entry, Other)}
    for document in before.documents:
        gone = tuple(e for e in document.entries if isinstance(e, Found) and e.ref not in now)
        if len(gone) == len(document.entries) and gone:
            yield document
        elif gone:  # a part of a document must never be taken for the whole
            yield Document(document.digest + b"+", document.line, gone)
