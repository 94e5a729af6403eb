"""What is wrong with an object, in the words of the person who wrote it.

msgspec says ``Expected `str`, got `bool` - at `$.metadata.annotations[...]```; people need to hear
which annotation, and that quotes are missing. The path stays structured, so that the file source
can turn it into a line; the message holds no position, because it also goes into conditions and
JSON.
"""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Final, NamedTuple, get_args

import msgspec

from fairlead.model.kube import KubeObject
from fairlead.model.names import Protocol
from fairlead.model.objects import Announce, Mode, Operator

Path = tuple[str | int, ...]
"""Keys and indexes from the object's root to a field."""


class Fault(NamedTuple):
    """One error: where, and a sentence that names the field and what to do."""

    path: Path
    message: str


LONGEST: Final = 64
CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "protocol": get_args(Protocol),
    "announce": get_args(Announce),
    "mode": get_args(Mode),
    "operator": get_args(Operator),
}
WORDS: Final[Mapping[str, str]] = {
    "str": "text",
    "int": "a whole number",
    "float": "a number with a fraction",
    "bool": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "null",
}
SINGULAR: Final[Mapping[Path, str]] = {
    ("metadata", "annotations"): "annotation",
    ("metadata", "labels"): "label",
}
STEP: Final = re.compile(r"\.(?P<key>\w+)|\[(?P<index>\d+)\]|(?P<some>\[\.\.\.\])")
TYPES: Final = re.compile(r"Expected `([^`]+)`(?:, got `([^`]+)`)?$")
BOUND: Final = re.compile(r"Expected `(\w+)`( of length)? ([<>]=) (\d+)$")
NAMED: Final = re.compile(r"Object (missing required|contains unknown) field `([^`]*)`$")


def shown(value: object) -> str:
    """A value as a message shows it: quoted, escaped, clipped."""
    if not isinstance(value, str):
        return plain(value)
    return repr(value) if len(value) <= LONGEST else f"{value[:LONGEST]!r}…"


def plain(value: object) -> str:
    """A number or constant as YAML writes it. One of hundreds of digits is measured, not printed:
    Python refuses to print those of thousands."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() if value.bit_length() > 128:
            return f"a number of {value.bit_length()} bits"
    return str(value)[:LONGEST]


def field_name(path: Path) -> str:
    """A path as people write it: ``spec.ports[0].port``, ``annotation example.org/key``."""
    noun = SINGULAR.get(path[:2])
    if noun and len(path) == 3:
        return f"{noun} {clipped(path[2])}"
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{clipped(step)}"
    return text.removeprefix(".") or "the object"


def clipped(key: str | int) -> str:
    """A key as a message shows it: as it is while it is short and plain."""
    text = str(key)
    return text if len(text) <= LONGEST and text.isprintable() else shown(text)


def fault_of(error: msgspec.ValidationError, data: object, kind: type[KubeObject]) -> Fault:
    """The fault that a failed conversion of ``data`` to ``kind`` comes to."""
    what, _, where = str(error).partition(" - at ")
    path = _path(where, data)
    if where.startswith("`key` in"):
        return Fault(path, f"the keys of {field_name(path)} must be text: quote them.")
    return _worded(what, path, data, kind)


def _path(text: str, data: object) -> Path:
    path: Path = ()
    for step in STEP.finditer(text):
        if step["some"]:
            path = (*path, _culprit(value_at(data, path)))
        else:
            path = (*path, int(step["index"]) if step["index"] else step["key"])
    return path


def _culprit(value: object) -> str:
    """The key that ``[...]`` stands for. All maps of the model hold text, so it is the first that
    does not."""
    entries = value.items() if isinstance(value, Mapping) else ()
    return next((str(key) for key, item in entries if not isinstance(item, str)), "")


def value_at(data: object, path: Path) -> object:
    """What is at a path; None where there is nothing."""
    for step in path:
        match data, step:
            case Mapping(), str():
                data = data.get(step)
            case list(), int() if step < len(data):
                data = data[step]
            case _:
                return None
    return data


def _worded(what: str, path: Path, data: object, kind: type[KubeObject]) -> Fault:
    name, value = field_name(path), value_at(data, path)
    if match := NAMED.match(what):
        return _presence(match[1], (*path, match[2]), kind)
    if match := BOUND.match(what):
        return Fault(path, f"{name} {_bound(match, value)}.")
    if match := TYPES.match(what):
        return Fault(path, f"{name} {_type(match[1], value)}.")
    if what.startswith("Invalid enum value") and path[-1] in CHOICES:
        options = CHOICES[str(path[-1])]
        return Fault(path, f"{name} must be one of {', '.join(options)}, not {shown(value)}.")
    return Fault(path, f"{name}: {what[:200]}.")


def _presence(how: str, path: Path, kind: type[KubeObject]) -> Fault:
    if how.startswith("missing"):
        return Fault(path, f"{field_name(path)} is missing.")
    close = get_close_matches(str(path[-1])[:LONGEST], _field_names(kind), n=1)
    hint = f"; did you mean {close[0]}?" if close else "; remove it."
    return Fault(path, f"{field_name(path)} is not a field of {kind.KIND}{hint}")


def _field_names(kind: type[KubeObject]) -> list[str]:
    """Every field name anywhere in a kind, as written."""
    schema = msgspec.json.schema(kind)
    return [
        name for part in schema.get("$defs", {}).values() for name in part.get("properties", ())
    ]


def _bound(match: re.Match[str], value: object) -> str:
    sized, sign, limit = match[2], match[3], match[4]
    if sized and sign == ">=":
        return "must not be empty"
    if sized:
        length = len(value) if isinstance(value, str | list) else 0
        return f"has {length} characters; at most {limit} are allowed"
    side = "at least" if sign == ">=" else "at most"
    return f"must be {side} {limit}, not {plain(value)}"


def _type(expected: str, value: object) -> str:
    options = [WORDS.get(name, name) for name in expected.split(" | ") if name != "null"]
    scalar = isinstance(value, bool | int | float)
    if options == ["text"] and scalar:
        return f"must be text, not {plain(value)}: quote it"
    if options == ["a whole number"] and isinstance(value, str) and value.isdecimal():
        return f"must be {options[0]}, not text: remove the quotes"
    return f"must be {' or '.join(options)}, not {plain(value) if scalar else _word(value)}"


def _word(value: object) -> str:
    match value:
        case None:
            return "null"
        case str():
            return f"text ({shown(value)})"
        case list():
            return "a list"
    return "a mapping"
