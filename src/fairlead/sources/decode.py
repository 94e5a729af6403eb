"""Plain data to objects: the one door through which every object comes in, from files or from the
API.

Only ``apiVersion`` and ``kind`` are looked at first; what Fairlead does not read costs no more than
that. The answer is a value: an object, a fault that names the field and what to do, or a foreign
kind.
"""

import re
import sys
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from fairlead.model.kube import KubeObject
from fairlead.model.names import Ref
from fairlead.sources.checks import check
from fairlead.sources.faults import Fault, clipped, fault_of, plain, shown
from fairlead.sources.kinds import KINDS, OF_GROUP, group_of, versions_of

LONGEST_NAME: Final = 253
UNSAFE: Final = re.compile(r"[/%\s]")


class Foreign(NamedTuple):
    """An object of a kind that Fairlead does not read, named as ``apps/v1 Deployment``."""

    kind: str


class Invalid(NamedTuple):
    """An object that cannot be used. ``ref`` is None where not even its name can be read."""

    ref: Ref | None
    fault: Fault


Decoded = KubeObject | Invalid | Foreign


def decode(data: Mapping[str, Any]) -> Decoded:
    """One object from its plain form (dicts, lists, text, numbers)."""
    kind = kind_of(data)
    match kind:
        case Foreign():
            return kind
        case Fault():
            return Invalid(_known_ref(data), kind)
    return decode_as(data, kind)


def decode_as(data: Mapping[str, Any], kind: type[KubeObject]) -> KubeObject | Invalid:
    """One object whose kind is known."""
    try:
        item = msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        return Invalid(ref_of(data, kind), fault_of(error, data, kind))
    fault = check(item)
    return Invalid(ref_of(data, kind), fault) if fault else item


def kind_of(data: Mapping[str, Any]) -> type[KubeObject] | Foreign | Fault:
    """The type of an object, or why there is none."""
    version, name = data.get("apiVersion"), data.get("kind")
    if isinstance(version, str) and isinstance(name, str):
        kind = KINDS.get((version, name))
        return kind or _other(version, name)
    for field, value in (("apiVersion", version), ("kind", name)):
        if value is None:
            return Fault((field,), f"{field} is missing: this is no Kubernetes object.")
        if not isinstance(value, str):
            return Fault((field,), f"{field} must be text, not {shown(value)}.")
    raise AssertionError("unreachable: both are text")


def _other(version: str, name: str) -> Foreign | Fault:
    kind = OF_GROUP.get((group_of(version), name))
    if kind is None:
        return Foreign(f"{clipped(version)} {clipped(name)}")
    known = " or ".join(versions_of(kind))
    return Fault(
        ("apiVersion",), f"apiVersion {shown(version)} of {name} is not read; use {known}."
    )


def _known_ref(data: Mapping[str, Any]) -> Ref | None:
    version, name = data.get("apiVersion"), data.get("kind")
    if not isinstance(version, str) or not isinstance(name, str):
        return None
    kind = OF_GROUP.get((group_of(version), name))
    return ref_of(data, kind) if kind else None


def ref_of(data: Mapping[str, Any], kind: type[KubeObject]) -> Ref | None:
    """The identity of an object that may be wrong otherwise; None when it has no usable name.

    What no valid name can hold and what would break ``Kind/namespace/name`` is percent-encoded.
    """
    meta = data.get("metadata")
    if not isinstance(meta, Mapping):
        return None
    name, space = meta.get("name"), meta.get("namespace") or "default"
    if not isinstance(name, str | int | float) or not isinstance(space, str | int | float):
        return None
    if name == "":
        return None
    return Ref(kind.KIND, "" if kind.CLUSTER else _safe(space), _safe(name))


def _safe(name: str | float) -> str:
    text = name[:LONGEST_NAME] if isinstance(name, str) else plain(name)
    if text.isprintable() and not UNSAFE.search(text):
        return text
    return "".join(_encoded(char) for char in text)


def _encoded(char: str) -> str:
    if char.isprintable() and not UNSAFE.match(char):
        return char
    return "".join(f"%{byte:02X}" for byte in char.encode(errors="surrogatepass"))


def shared(data: dict[str, Any]) -> None:
    """Make what nearly all objects repeat, the namespace, one text instead of one per object."""
    meta = data.get("metadata")
    if isinstance(meta, dict) and type(space := meta.get("namespace")) is str:
        meta["namespace"] = sys.intern(space)
