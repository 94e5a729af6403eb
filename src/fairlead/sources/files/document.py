"""One document to the objects in it, be it JSON or YAML."""

from typing import Final

from fairlead.sources.files.entry import Entry
from fairlead.sources.files.json_text import read_json
from fairlead.sources.files.split import Chunk
from fairlead.sources.files.yaml_text import read_yaml

JSON_START: Final = (b"{", b"[")
INDENT: Final = 64
"""Blanks within which the first bracket of a JSON document is looked for."""


def read(chunk: Chunk, path: str) -> tuple[Entry, ...]:
    """The objects of a document. Raises :class:`BrokenText` when it is neither YAML nor JSON."""
    if chunk.text[chunk.start : chunk.start + INDENT].lstrip().startswith(JSON_START):
        found = read_json(chunk, path)
        if found is not None:
            return found
    return read_yaml(chunk, path)
