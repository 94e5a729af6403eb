"""Events and list items to typed values, straight from their bytes.

The type is known ahead, so nearly every event is one call of msgspec, which skips the fields that
nobody reads. What that cannot read (a bookmark, an error, an object that is not valid) is looked at
again by the way that files take, which says in words what is wrong.
"""

from typing import Any, Final, Literal, NamedTuple

import msgspec
from msgspec import Struct

from fairlead.model.kube import KubeObject
from fairlead.model.names import Ref
from fairlead.model.verdict import Code, Reason
from fairlead.sources.checks import check
from fairlead.sources.decode import Invalid, decode_as
from fairlead.sources.faults import Fault
from fairlead.sources.kube.errors import ApiError, Status, Unreachable
from fairlead.sources.kube.known import Version, version_of
from fairlead.sources.kube.resources import Transform
from fairlead.sources.kube.trim import Trimmer

INITIAL_END: Final = "k8s.io/initial-events-end"
"""The annotation of the bookmark that ends the initial events of a streamed list (KEP-3157)."""


class Item(NamedTuple):
    """An object as it is now. ``object`` is None where nothing of it is kept; with a ``problem``
    because it cannot be used."""

    ref: Ref
    version: Version
    object: KubeObject | None
    problem: Reason | None = None


class Removed(NamedTuple):
    """An object that was deleted, or that no selector selects any more."""

    ref: Ref
    version: Version


class Bookmark(NamedTuple):
    """Nothing new up to this version. ``complete``: the initial events end here."""

    version: Version
    complete: bool


Event = Item | Removed | Bookmark


class _Meta(Struct, frozen=True, rename="camel", gc=False):
    name: str = ""
    namespace: str = ""
    resource_version: str = ""
    annotations: dict[str, str] | None = None


class _Bare(Struct, gc=False):
    metadata: _Meta = _Meta()


class _Raw(Struct, gc=False):
    type: str
    object: msgspec.Raw


_RAW: Final = msgspec.json.Decoder(_Raw)
_BARE: Final = msgspec.json.Decoder(_Bare)


class Decoding:
    """Reads one kind."""

    def __init__(
        self, kind: type[KubeObject], api_version: str, transform: Transform | None = None
    ) -> None:
        self._kind, self._api_version, self._transform = kind, api_version, transform
        event = msgspec.defstruct(
            f"{kind.__name__}Event",
            [("type", Literal["ADDED", "MODIFIED", "DELETED"]), ("object", kind)],
            gc=False,
        )
        self._events: msgspec.json.Decoder[Any] = msgspec.json.Decoder(event)
        self._items = msgspec.json.Decoder(kind)
        self._trimmer = Trimmer()

    def event(self, line: bytes) -> Event:
        """One line of a watch. Raises the :class:`ApiError` that an ERROR event holds, and
        :class:`Unreachable` for a line that is no event: then the stream is not what it should
        be."""
        try:
            event = self._events.decode(line)
        except (msgspec.MsgspecError, RecursionError):
            return self._odd_event(line)
        item = event.object
        if event.type == "DELETED":
            return Removed(item.ref, version_of(item.metadata.resource_version))
        return self._item(item)

    def item(self, data: msgspec.Raw) -> Item:
        """One object of a list. Raises :class:`Unreachable` for what is none."""
        try:
            item = self._items.decode(data)
        except (msgspec.MsgspecError, RecursionError):
            return self._odd_item(data)
        return self._item(item)

    def _odd_item(self, data: msgspec.Raw) -> Item:
        try:
            return self._invalid(data)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise Unreachable(f"the list holds something that is no object: {error}") from None

    def _item(self, item: KubeObject) -> Item:
        version, ref = version_of(item.metadata.resource_version), item.ref
        fault = check(item)
        if fault is not None:
            return Item(ref, version, None, _reason(fault))
        self._trimmer.trim(item)
        return Item(ref, version, self._transform(item) if self._transform else item)

    def _odd_event(self, line: bytes) -> Event:
        try:
            event = _RAW.decode(line)
            match event.type:
                case "ERROR":
                    raise _error(event.object)
                case "BOOKMARK":
                    meta = _BARE.decode(event.object).metadata
                    complete = (meta.annotations or {}).get(INITIAL_END) == "true"
                    return Bookmark(version_of(meta.resource_version), complete)
                case "DELETED":
                    meta = _BARE.decode(event.object).metadata
                    space = "" if self._kind.CLUSTER else meta.namespace
                    ref = Ref(self._kind.KIND, space, meta.name)
                    return Removed(ref, version_of(meta.resource_version))
                case "ADDED" | "MODIFIED":
                    return self._invalid(event.object)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise Unreachable(f"the watch said something that is no event: {error}") from None
        raise Unreachable(f"the watch said something that is no event: {event.type[:64]!r}")

    def _invalid(self, data: msgspec.Raw) -> Item:
        """An object that the fast way could not read, with what is wrong with it."""
        meta = _BARE.decode(data).metadata
        plain = msgspec.json.decode(data)
        # items of a list leave them out
        plain.setdefault("apiVersion", self._api_version)
        plain.setdefault("kind", self._kind.KIND)
        version = version_of(meta.resource_version)
        match decode_as(plain, self._kind):
            case Invalid(ref, fault):
                space = "" if self._kind.CLUSTER else meta.namespace
                named = ref or Ref(self._kind.KIND, space, meta.name)
                return Item(named, version, None, _reason(fault))
            case item:
                self._trimmer.trim(item)
                return Item(item.ref, version, self._transform(item) if self._transform else item)


def _reason(fault: Fault) -> Reason:
    return Reason(Code.INVALID_OBJECT, fault.message)


def _error(data: msgspec.Raw) -> ApiError:
    return msgspec.json.decode(data, type=Status).error()
