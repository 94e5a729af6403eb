"""A YAML document to the objects in it: fast where it is plain, carefully where it is not.

ryaml reads nearly everything. The careful reader takes over for text with anchors or merge keys or
very many brackets (whose nesting would cost quadratic time), whenever an object turns out to be
wrong (to find the line, and because YAML 1.1 may mean something else), for lists (each item has a
line of its own), and where a name, label or annotation looks like a YAML 1.1 word.
"""

from typing import Any, Final

from ryaml._ryaml import InvalidYamlError, loads

from fairlead.sources.faults import Path
from fairlead.sources.files.entry import BrokenText, Entry, Faulty
from fairlead.sources.files.nodes import compose, line_of
from fairlead.sources.files.objects import at, entries, single
from fairlead.sources.files.plain import Plain
from fairlead.sources.files.scalars import OLD_PLAIN, OLD_STARTS, WORDS_OF_OLD, is_old
from fairlead.sources.files.split import Chunk

BRACKETS: Final = 256
CAREFUL: Final = 16 << 20
"""Characters up to which a document that the fast reader has read is read again carefully."""


def read_yaml(chunk: Chunk, path: str) -> tuple[Entry, ...]:
    """The objects of a YAML document. Raises :class:`BrokenText` when it is none."""
    try:
        text = chunk.text.decode()
    except UnicodeDecodeError as error:
        line = chunk.text.count(b"\n", 0, error.start)
        raise BrokenText(line, f"byte 0x{chunk.text[error.start]:02x} is not UTF-8") from None
    if _is_simple(chunk.text):
        found = _fast(text, chunk, path)
        if found is not None:
            return found
    return _careful(text, chunk.line, path)


def _is_simple(text: bytes) -> bool:
    """Whether the fast reader can be given it: no aliases to expand, little nesting in brackets."""
    if (b"&" in text and b"*" in text) or b"<<" in text:
        return False
    return text.count(b"[") + text.count(b"{") <= BRACKETS


def _fast(text: str, chunk: Chunk, path: str) -> tuple[Entry, ...] | None:
    """The objects, or None when the careful reader must look."""
    try:
        data = loads(text)
    except (InvalidYamlError, ValueError):  # ValueError: a key that no mapping can have
        return None
    if len(text) > CAREFUL or not isinstance(data, dict):
        return tuple(entries(data, path, at(chunk.first)))
    if "items" in data or _is_dated(data, chunk.text):
        return None
    entry = single(data, path, chunk.first)
    return None if isinstance(entry, Faulty) else (entry,)


def _careful(text: str, line: int, path: str) -> tuple[Entry, ...]:
    root = compose(text)
    read = Plain(root)

    def lines(where: Path) -> int:
        return line + line_of(root, where)

    return tuple(entries(read.data, path, lines, read.duplicates))


def _is_dated(data: dict[str, Any], text: bytes) -> bool:
    """Whether YAML 1.1 may read some text of the object as something else than YAML 1.2 does."""
    meta, spec = data.get("metadata"), data.get("spec")
    return (
        (isinstance(meta, dict) and _is_dated_meta(meta))
        or (isinstance(spec, dict) and _has_old(spec, "selector"))
        or _has_old(data, "data")
    ) and OLD_PLAIN.search(text) is not None


def _is_dated_meta(meta: dict[str, Any]) -> bool:
    return (
        _has_old(meta, "labels")
        or _has_old(meta, "annotations")
        or _is_old(meta.get("name"))
        or _is_old(meta.get("namespace"))
    )


def _has_old(data: dict[str, Any], field: str) -> bool:
    found = data.get(field)
    if not isinstance(found, dict):
        return False
    return not WORDS_OF_OLD.isdisjoint(found) or any(map(_is_old, found.values()))


def _is_old(value: object) -> bool:
    return type(value) is str and value[:1] in OLD_STARTS and is_old(value)
