"""What stays in memory of the objects that a controller reads: less than it was told.

At 50 000 Services memory is what a controller costs. Of an EndpointSlice it needs where endpoints
are and how they do; and what many objects say alike, or one says twice, is one value. Objects are
made smaller in place, as nobody else has seen them yet.
"""

from collections.abc import Hashable
from typing import TypeVar

from msgspec.structs import force_setattr

from fairlead.model.kube import EndpointSlice, KubeObject, Service
from fairlead.model.virtualip import VirtualIP

Value = TypeVar("Value", bound=Hashable)
SERVICE_NAME = "kubernetes.io/service-name"
MOST = 1 << 16
"""Values that are remembered; then they are forgotten, and what is shared stays shared."""
TEXTS = ("space", "slot", "pool", "setting", "engine_group")
PARTS = ("dialect", "scope", "namespace")


class Keep:
    """Makes objects smaller."""

    def __init__(self) -> None:
        self._same: dict[Hashable, Hashable] = {}

    def __call__(self, item: KubeObject) -> KubeObject:
        """The same object, smaller."""
        if len(self._same) > MOST:
            self._same.clear()
        match item:
            case VirtualIP():
                self._virtual_ip(item)
            case EndpointSlice():
                self._slice(item)
            case Service():
                self._service(item)
        return item

    def _one(self, value: Value) -> Value:
        """One value for all that are equal."""
        return self._same.setdefault(value, value)  # type: ignore[return-value]

    def _virtual_ip(self, item: VirtualIP) -> None:
        spec, name = item.spec, item.metadata.name
        for field in TEXTS:
            force_setattr(spec, field, self._one(getattr(spec, field)))
        for field in PARTS:
            force_setattr(spec.group, field, self._one(getattr(spec.group, field)))
        force_setattr(spec, "home", self._one(spec.home))
        if spec.address == name:
            force_setattr(spec, "address", name)

    def _service(self, item: Service) -> None:
        force_setattr(item.spec, "cluster_ip", None)
        if item.spec.selector == item.metadata.label_map:
            force_setattr(item.spec, "selector", item.metadata.label_map)

    def _slice(self, item: EndpointSlice) -> None:
        """Without what nobody asks a slice."""
        meta = item.metadata
        labels = {SERVICE_NAME: item.service} if item.service else None
        force_setattr(meta, "label_map", labels)
        force_setattr(meta, "annotation_map", None)
        force_setattr(meta, "uid", "")
        force_setattr(meta, "creation_timestamp", None)
        force_setattr(item, "address_type", self._one(item.address_type))
        force_setattr(item, "ports", self._one(item.ports))
