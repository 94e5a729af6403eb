"""A YAML document as nodes that know their lines: the careful reader beside the fast one.

It is used for what the fast reader does not do: lines of errors, duplicate keys, anchors (expanded
within a budget, so that nine lines cannot become a billion nodes), the words of YAML 1.1. It works
on parser events and without recursion, so nesting costs no stack, and stops at a depth that no
manifest has.
"""

from collections.abc import Iterable
from typing import Any, Final

import yaml
from msgspec import Struct

from fairlead.sources.faults import Path
from fairlead.sources.files.entry import BrokenText

DEEPEST: Final = 128
LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Word(Struct, gc=False):
    """A scalar. ``plain``: unquoted and without a tag, so that its text decides its type."""

    line: int
    text: str
    plain: bool
    tag: str | None


class Several(Struct):
    """A sequence."""

    line: int
    items: list["Node"]


class Pairs(Struct):
    """A mapping, as written: duplicate keys and merge keys included."""

    line: int
    items: list[tuple["Node", "Node"]]


Node = Word | Several | Pairs


def compose(text: str) -> Node | None:
    """The root of a document; None when it is empty. Raises :class:`BrokenText`."""
    try:
        return _Composer().run(yaml.parse(text, Loader=LOADER))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        last = text.count("\n")  # the parser counts one more where the text ends within a line
        raise BrokenText(min(mark.line, last) if mark else 0, _sentence(error)) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position)
        raise BrokenText(line, f"{_character(error.character)} is not allowed") from None


def _character(found: object) -> str:
    code = ord(found) if isinstance(found, str) else found
    return f"character U+{code:04X}" if isinstance(code, int) else "a character"


def _sentence(error: yaml.MarkedYAMLError) -> str:
    parts = [part for part in (error.problem, error.context) if part]
    return ", ".join(parts) or "this is not YAML"


class _Composer:
    """The open collections and the anchors of one document."""

    def __init__(self) -> None:
        self.open: list[Several | Pairs] = []
        self.keys: list[Node | None] = []
        self.anchors: dict[str, Node] = {}
        self.root: Node | None = None

    def run(self, events: Iterable[Any]) -> Node | None:
        for event in events:
            line = event.start_mark.line
            match event:
                case yaml.ScalarEvent():
                    self._put(_word(event), event.anchor)
                case yaml.MappingStartEvent():
                    self._enter(Pairs(line, []), event)
                case yaml.SequenceStartEvent():
                    self._enter(Several(line, []), event)
                case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                    self.open.pop()
                    self.keys.pop()
                case yaml.AliasEvent():
                    self._put(self._aliased(event), None)
                case yaml.DocumentStartEvent() if self.root is not None:
                    raise BrokenText(line, "a second document starts without '---'")
        return self.root

    def _enter(self, node: Several | Pairs, event: Any) -> None:
        if len(self.open) >= DEEPEST:
            raise BrokenText(node.line, f"this is nested more than {DEEPEST} levels deep")
        self._put(node, event.anchor)
        self.open.append(node)
        self.keys.append(None)

    def _put(self, node: Node, anchor: str | None) -> None:
        if anchor:
            self.anchors[anchor] = node
        if not self.open:
            self.root = node
            return
        match self.open[-1]:
            case Several(items=items):
                items.append(node)
            case Pairs(items=pairs):
                key = self.keys[-1]
                if key is None:
                    self.keys[-1] = node
                else:
                    pairs.append((key, node))
                    self.keys[-1] = None

    def _aliased(self, event: Any) -> Node:
        node = self.anchors.get(event.anchor)
        if node is None:
            raise BrokenText(event.start_mark.line, f"alias *{event.anchor[:64]} has no anchor")
        if any(node is parent for parent in self.open):
            raise BrokenText(event.start_mark.line, f"alias *{event.anchor[:64]} contains itself")
        return node


def _word(event: Any) -> Word:
    return Word(event.start_mark.line, event.value, event.implicit[0], event.tag)


def line_of(root: Node | None, path: Path) -> int:
    """The line, from 0, of what is at a path, or of the nearest thing around it that exists."""
    line = root.line if root else 0
    node = root
    for step in path:
        match node, step:
            case Pairs(items=pairs), str():
                entry = next((e for e in reversed(pairs) if _named(e[0], step)), None)
                if entry is None:
                    return line
                line, node = entry[0].line, entry[1]
            case Several(items=items), int() if step < len(items):
                node = items[step]
                line = node.line
            case _:
                return line
    return line


def _named(key: Node, name: str) -> bool:
    return isinstance(key, Word) and key.text == name
