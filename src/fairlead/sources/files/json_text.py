"""A JSON document to the objects in it, the items of a list one by one.

What ``kubectl get -o json`` writes is one list of everything: decoding it at once would take many
times its size. The items stay text until their turn comes.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from fairlead.sources.files.entry import BrokenText, Entry, Faulty
from fairlead.sources.files.nodes import compose, line_of
from fairlead.sources.files.objects import Lines, at, entries, is_list_kind, item_defaults
from fairlead.sources.files.split import Chunk

LARGE: Final = 16 << 20
"""Bytes from which a document that is wrong is not read as YAML too, to find out more."""
BYTE: Final = re.compile(r" \(byte (\d+)\)")


class Head(msgspec.Struct, rename="camel", gc=False):
    """What tells a list from an object, and the items unread."""

    api_version: Any = None
    kind: Any = None
    items: msgspec.Raw | None = None


def read_json(chunk: Chunk, path: str) -> tuple[Entry, ...] | None:
    """The objects of a JSON document; None when it is not JSON: a YAML flow mapping starts alike.

    Raises :class:`BrokenText` when it is too large to be tried as YAML.
    """
    try:
        head = msgspec.json.decode(chunk.text, type=Head)
        if head.items is None or not is_list_kind(head.kind):
            return _item(chunk.text, chunk.first, path, {})
        items = msgspec.json.decode(head.items, type=list[msgspec.Raw])
        return tuple(_items(chunk, path, items, item_defaults(head.api_version, head.kind)))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        if len(chunk.text) > LARGE:
            raise _broken(error, chunk.text) from None
        return None


def _broken(error: Exception, text: bytes) -> BrokenText:
    position = BYTE.search(str(error))
    line = text.count(b"\n", 0, int(position[1])) if position else 0
    return BrokenText(line, f"this is not JSON: {BYTE.sub('', str(error))}")


def _items(
    chunk: Chunk, path: str, items: list[msgspec.Raw], defaults: Mapping[str, Any]
) -> Iterator[Entry]:
    line, seen = chunk.line, 0
    for item in items:
        text = bytes(item)
        start = chunk.text.find(text, seen)
        line, seen = line + chunk.text.count(b"\n", seen, start), start
        yield from _item(text, line, path, defaults)
        line, seen = line + text.count(b"\n"), start + len(text)


def _item(text: bytes, line: int, path: str, defaults: Mapping[str, Any]) -> tuple[Entry, ...]:
    data = msgspec.json.decode(text)
    if isinstance(data, dict):
        data = {**defaults, **data}
    found = tuple(entries(data, path, at(line)))
    if len(text) > LARGE or not any(isinstance(entry, Faulty) for entry in found):
        return found
    return tuple(entries(data, path, _lines(text, line)))


def _lines(text: bytes, line: int) -> Lines:
    try:
        root = compose(text.decode())
    except BrokenText:  # JSON that YAML cannot read, such as tabs in odd places: no finer line
        return at(line)
    return lambda where: line + line_of(root, where)
