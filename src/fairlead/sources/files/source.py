"""Manifests as changes: everything once, then what an edit made different.

The source remembers what every path said last. A file that cannot be read keeps that, so half of a
file being written withdraws nothing; a file that is gone takes its objects with it (the planner's
guard asks back when that is many). It reads the clock and the disk and nothing else.
"""

import io
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from os.path import abspath
from pathlib import Path
from typing import BinaryIO, TextIO

from fairlead.model.names import Ref
from fairlead.model.world import Change
from fairlead.sources.collection import uncollected
from fairlead.sources.files.content import Content, from_stream, reread
from fairlead.sources.files.entry import Batch, Problem
from fairlead.sources.files.index import Index
from fairlead.sources.files.listing import STDIN, Listing, list_files

Said = dict[Ref, Change | None]
"""What objects came to before a batch; None where nothing was known of them."""


class FileSource:
    """Files, folders and standard input (``-``), in one namespace of objects.

    ``load`` and ``refresh`` never raise for what they read: every error is a :class:`Problem`.
    """

    def __init__(self, paths: Sequence[str | Path], stdin: BinaryIO | TextIO | None = None) -> None:
        self.paths = tuple(dict.fromkeys(str(path) for path in paths))
        self._stdin = stdin
        self._forget()

    def _forget(self) -> None:
        self._contents: dict[str, Content] = {}
        self._index = Index()
        self._once: set[str] = set()
        self._missing: list[Problem] = []

    def load(self) -> Batch:
        """Everything there is. Standard input and pipes are read here, once."""
        self._forget()
        with uncollected():
            listing = list_files(self.paths)
            said: Said = {}
            self._read_streams(listing.pipes, said)
            self._read(listing, frozenset(), said)
            return self._batch(said)

    def refresh(self, changed: Iterable[str | Path] | None = None) -> Batch:
        """What is different now. Files named in ``changed`` are read even if they look the same."""
        forced = frozenset(abspath(path) for path in changed or ())
        with uncollected():
            said: Said = {}
            paths = [path for path in self.paths if path not in self._once]
            self._read(list_files(paths), forced, said)
            return self._batch(said)

    def _read_streams(self, pipes: list[str], said: Said) -> None:
        if STDIN in self.paths:
            self._put(self._standard_input(), said)
        for path in pipes:
            self._put(reread(path, Content(path), now=time.time_ns()) or Content(path), said)
        self._once = {STDIN, *pipes}

    def _standard_input(self) -> Content:
        if self._stdin is None:
            return Content(STDIN, broken=Problem(STDIN, 0, "there is no standard input."))
        try:
            return from_stream(_binary(self._stdin), STDIN, Content(STDIN))
        except (OSError, ValueError) as error:  # ValueError: it is closed
            return Content(STDIN, broken=Problem(STDIN, 0, f"cannot be read: {error}."))

    def _read(self, listing: Listing, forced: frozenset[str], said: Said) -> None:
        self._missing = listing.problems
        for path in self._contents.keys() - listing.files.keys() - self._once:
            if not _is_under(path, listing.closed):
                self._drop(path, said)
        for path, seen in listing.files.items():
            before = self._contents.get(path) or Content(path)
            if before.signature == seen and not (forced and abspath(path) in forced):
                continue
            after = reread(path, before, now=time.time_ns())
            if after is None:
                self._drop(path, said)
            else:
                self._put(after, said)

    def _put(self, content: Content, said: Said) -> None:
        before = self._contents.get(content.path) or Content(content.path)
        self._contents[content.path] = content
        if content.documents is not before.documents:
            self._index.replace(before, content, said)

    def _drop(self, path: str, said: Said) -> None:
        before = self._contents.pop(path, None)
        if before:
            self._index.replace(before, Content(path), said)

    def _batch(self, said: Said) -> Batch:
        unknown: Counter[str] = Counter()
        for content in self._contents.values():
            unknown.update(content.unknown)
        return Batch(tuple(self._changes(said)), tuple(self._problems()), dict(unknown))

    def _changes(self, said: Said) -> Iterator[Change]:
        for ref, before in said.items():
            now = self._index.resolve(ref)
            if before is None:
                if now.object is not None or now.problem is not None:
                    yield now
            elif now != before:
                yield now

    def _problems(self) -> Iterator[Problem]:
        yield from self._missing
        for _, content in sorted(self._contents.items()):
            yield from content.problems
        yield from self._index.problems()


def _is_under(path: str, folders: Sequence[str]) -> bool:
    """Whether a path is one of the folders or in one that cannot be listed now."""
    return any(path == folder or path.startswith(f"{folder.rstrip('/')}/") for folder in folders)


def _binary(stream: BinaryIO | TextIO) -> BinaryIO:
    if not isinstance(stream, io.TextIOBase):
        return stream  # type: ignore[return-value]  # BinaryIO is what is left
    buffer = getattr(stream, "buffer", None)
    return buffer or io.BytesIO(stream.read().encode(errors="surrogateescape"))
