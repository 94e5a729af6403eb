"""Nodes to plain data, by the rules that Kubernetes users know, within a budget."""

from typing import Any, Final

from fairlead.sources.faults import Path, plain
from fairlead.sources.files.entry import BrokenText
from fairlead.sources.files.nodes import DEEPEST, Node, Pairs, Several, Word
from fairlead.sources.files.scalars import Scalar, plain_value

BUDGET: Final = 200_000
"""Nodes that aliases may add to a document."""
CORE: Final = {
    f"tag:yaml.org,2002:{name}" for name in ("bool", "int", "float", "null", "timestamp")
}
MERGE: Final = "<<"


class Plain:
    """The plain data of one document, and the keys that are there twice.

    Raises :class:`BrokenText` when aliases expand to more than :data:`BUDGET` nodes.
    """

    def __init__(self, root: Node | None) -> None:
        self.duplicates: list[Path] = []
        self._seen: set[int] = set()
        self._left = BUDGET
        self.data: Any = self._value(root, (), 0) if root else None

    def _value(self, node: Node, path: Path, depth: int) -> Any:
        self._spend(node, depth)
        match node:
            case Word():
                return word_value(node)
            case Several(items=items):
                return [self._value(n, (*path, i), depth + 1) for i, n in enumerate(items)]
            case Pairs():
                return self._mapping(node, path, depth)

    def _spend(self, node: Node, depth: int) -> None:
        """Charge a visit. A first visit is free: the text has paid for it."""
        if depth > DEEPEST:
            raise BrokenText(node.line, f"aliases nest more than {DEEPEST} levels deep")
        if id(node) not in self._seen:
            self._seen.add(id(node))
            return
        self._left -= 1
        if self._left < 0:
            raise BrokenText(node.line, f"aliases expand to more than {BUDGET} nodes")

    def _mapping(self, node: Pairs, path: Path, depth: int) -> dict[str, Any]:
        data: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key, value in node.items:
            if isinstance(key, Word) and key.plain and key.text == MERGE:
                merged = self._merge(value, path, depth) | merged
                continue
            name = _key(key)
            if name in data:
                self.duplicates.append((*path, name))
            data[name] = self._value(value, (*path, name), depth + 1)
        return merged | data if merged else data

    def _merge(self, node: Node, path: Path, depth: int) -> dict[str, Any]:
        sources = node.items if isinstance(node, Several) else [node]
        data: dict[str, Any] = {}
        for source in sources:
            if not isinstance(source, Pairs):
                raise BrokenText(source.line, "'<<' can merge only mappings")
            data = self._value(source, path, depth + 1) | data
        return data


def _key(node: Node) -> str:
    if not isinstance(node, Word):
        raise BrokenText(node.line, "a key must be text, not a list or mapping")
    value = word_value(node)
    return value if isinstance(value, str) else plain(value)


def word_value(node: Word) -> Scalar:
    """The value of a scalar: by its text when plain, else by its tag; other tags mean text."""
    return plain_value(node.text) if node.plain or node.tag in CORE else node.text
