"""Which files there are: what people named, and the manifests in the folders among it.

Folders are walked by stat alone, links followed (a ConfigMap mount is made of them), each folder
once, so a link to a parent ends. Hidden files and what editors leave behind are skipped.
"""

import os
from collections.abc import Iterator, Sequence
from stat import S_ISDIR, S_ISREG
from typing import Final

from msgspec import Struct

from fairlead.sources.files.content import Signature, signature
from fairlead.sources.files.entry import Problem

SUFFIXES: Final = (".yaml", ".yml", ".json")
SKIPPED: Final = (".", "~", "#")
STDIN: Final = "-"


class Listing(Struct):
    """The files found, in order, with how they look; pipes apart; folders that could not be
    listed."""

    files: dict[str, Signature]
    pipes: list[str]
    closed: list[str]
    problems: list[Problem]
    folders: set[tuple[int, int]]


def list_files(paths: Sequence[str]) -> Listing:
    """Everything under the paths. A path that is missing or unreadable is a problem, not an
    error."""
    listing = Listing({}, [], [], [], set())
    for path in paths:
        if path == STDIN:
            continue
        try:
            status = os.stat(path)
        except OSError as error:
            _closed(listing, path, error)
            continue
        if S_ISDIR(status.st_mode):
            _walk(listing, path)
        elif S_ISREG(status.st_mode):
            listing.files[path] = signature(status)
        else:
            listing.pipes.append(path)
    return listing


def is_manifest(name: str) -> bool:
    """Whether a file in a folder is read, going by its name."""
    return name.endswith(SUFFIXES) and not name.startswith(SKIPPED)


def _closed(listing: Listing, path: str, error: OSError) -> None:
    if isinstance(error, FileNotFoundError):
        listing.problems.append(Problem(path, 0, "does not exist."))
        return
    listing.closed.append(path)
    listing.problems.append(Problem(path, 0, f"cannot be read: {error.strerror or error}."))


def _walk(listing: Listing, root: str) -> None:
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        try:
            waiting.extend(reversed(list(_folder(listing, folder))))
        except FileNotFoundError:
            continue  # gone since its parent was listed
        except OSError as error:
            _closed(listing, folder, error)


def _folder(listing: Listing, folder: str) -> Iterator[str]:
    """Note the manifests of a folder, by name, and yield the folders in it."""
    status = os.stat(folder)
    identity = (status.st_dev, status.st_ino)
    if identity in listing.folders:
        return
    listing.folders.add(identity)
    with os.scandir(folder) as entries:
        found = sorted((e for e in entries if not e.name.startswith(SKIPPED)), key=lambda e: e.name)
    for entry in found:
        try:
            status = entry.stat()
        except OSError as error:  # gone meanwhile, or a link to nowhere or to itself
            if is_manifest(entry.name):
                _closed(listing, entry.path, error)
            continue
        if S_ISDIR(status.st_mode):
            yield entry.path
        elif S_ISREG(status.st_mode) and is_manifest(entry.name):
            # The listing's own stat may be older than the file: the reader looks again.
            listing.files[entry.path] = signature(status)
