"""The plain data of a document to its objects: one, or those of a list, each with its line."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, TypeGuard

from fairlead.sources.decode import Foreign, Invalid, decode, kind_of, ref_of, shared
from fairlead.sources.faults import Fault, Path, field_name
from fairlead.sources.files.entry import Entry, Faulty, Found, Other

IDENTITY: Final[frozenset[Path]] = frozenset(
    [("apiVersion",), ("kind",), ("metadata",), ("metadata", "name"), ("metadata", "namespace")]
)
"""Fields that say which object it is."""

Lines = Callable[[Path], int]
"""The line of what is at a path."""


def at(line: int) -> Lines:
    """Lines that are not known better than one for all."""
    return lambda _: line


def is_list_kind(kind: object) -> TypeGuard[str]:
    """Whether a kind is that of a list: ``List``, ``ServiceList``."""
    return isinstance(kind, str) and kind.endswith("List")


def item_defaults(version: object, kind: str) -> dict[str, Any]:
    """What the items of a typed list may leave out, as the API itself does: a ServiceList holds
    Services."""
    return {} if kind == "List" else {"apiVersion": version, "kind": kind.removesuffix("List")}


def entries(data: Any, path: str, lines: Lines, duplicates: Iterable[Path] = ()) -> Iterator[Entry]:
    """The objects in a document. ``duplicates``: keys of it that are there twice."""
    if isinstance(data, dict) and not is_list_kind(data.get("kind")):
        yield _entry((), data, path, lines, next(iter(duplicates), None))  # nearly every document
        return
    doubled = _by_owner(duplicates)
    for where, item in _items(data, ()):
        if isinstance(item, Fault):
            yield Faulty(path, lines((*where, *item.path)), None, item.message)
        else:
            yield _entry(where, item, path, lines, doubled.get(where))
    for key in [double for double in doubled.values() if len(double) == 1]:
        yield Faulty(path, lines(key), None, f"{field_name(key)} is there twice; keep one.")


def single(data: dict[str, Any], path: str, line: int) -> Entry:
    """The object of a document that holds one, all of it on one line as far as is known."""
    return _entry((), data, path, at(line), None)


def _by_owner(duplicates: Iterable[Path]) -> Mapping[Path, Path]:
    """The first duplicate under every path."""
    found: dict[Path, Path] = {}
    for double in duplicates:
        for length in range(1 if len(double) == 1 else 2, len(double) + 1):
            found.setdefault(double[:length], double)
    return found


def _items(data: Any, where: Path) -> Iterator[tuple[Path, dict[str, Any] | Fault]]:
    """The objects in a document: itself, or those of a list, nested ones too."""
    if data is None and not where:
        return
    if not isinstance(data, dict):
        yield where, Fault((), "this is no Kubernetes object: it must be a mapping.")
        return
    kind = data.get("kind")
    if not is_list_kind(kind) or "items" not in data:
        yield where, data
        return
    items = [] if data["items"] is None else data["items"]
    if not isinstance(items, list):
        yield where, Fault(("items",), f"items of {kind[:64]} must be a list.")
        return
    defaults = item_defaults(data.get("apiVersion"), kind)
    for index, item in enumerate(items):
        inner = {**defaults, **item} if isinstance(item, dict) else item
        yield from _items(inner, (*where, "items", index))


def _entry(
    where: Path, data: dict[str, Any], path: str, lines: Lines, double: Path | None
) -> Entry:
    if double:
        return _doubled(double, data, path, lines, skip=len(where))
    shared(data)
    match decode(data):
        case Foreign(kind):
            return Other(kind)
        case Invalid(ref, fault):
            return Faulty(path, lines((*where, *fault.path)), ref, fault.message)
        case item:
            return Found(path, lines(where), item.ref, item)


def _doubled(
    double: Path, data: dict[str, Any], path: str, lines: Lines, *, skip: int
) -> Faulty | Other:
    """An object with a key that is there twice. Where that is about which object it is, nobody
    knows: two objects without ``---`` between them look like this."""
    field = double[skip:]
    kind = kind_of(data)
    if field in IDENTITY or isinstance(kind, Fault):
        hint = " or put '---' between two objects" if len(field) == 1 else ""
        message = f"{field_name(field)} is there twice; keep one{hint}."
        return Faulty(path, lines(double), None, message)
    if isinstance(kind, Foreign):
        return Other(kind.kind)
    message = f"{field_name(field)} is there twice; keep one."
    return Faulty(path, lines(double), ref_of(data, kind), message)
