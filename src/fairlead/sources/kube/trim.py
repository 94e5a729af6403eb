"""Objects as small as they can be: what they repeat is one text, and what nobody reads goes.

50 000 Services say ``LoadBalancer``, the name of their team and the keys of their labels 50 000
times, and each one that ``kubectl apply`` made carries itself once more as an annotation.
"""

from typing import Final

from msgspec import Struct
from msgspec.structs import force_setattr

from fairlead.model.kube import (
    Condition,
    Endpoint,
    EndpointPort,
    EndpointSlice,
    KubeObject,
    Metadata,
    Node,
    NodeAddress,
    Pod,
    Service,
    ServicePort,
    ServiceSpec,
    StatusCondition,
)

Text = dict[str, str]

UNREAD: Final = "kubectl.kubernetes.io/last-applied-configuration"
LONGEST: Final = 64
"""Characters of a text that may be worth sharing."""
MOST: Final = 1 << 13
"""Texts that are remembered; then they are forgotten, and what is shared stays shared."""
TEXTS: Final[dict[type[Struct], tuple[str, ...]]] = {
    ServiceSpec: (
        "type", "load_balancer_class", "external_traffic_policy", "session_affinity",
        "ip_family_policy",
    ),
    ServicePort: ("name", "target_port", "app_protocol"),
    StatusCondition: ("type", "status", "reason", "last_transition_time"),
    Condition: ("type", "status"),
    NodeAddress: ("type",),
    EndpointPort: ("name",),
    Endpoint: ("node_name",),
}  # fmt: skip
"""The fields whose texts many objects repeat."""


class Trimmer:
    """Makes fresh objects smaller, in place: nobody else has seen them yet."""

    def __init__(self) -> None:
        self._texts: Text = {}
        self._parts: dict[object, object] = {}

    def trim(self, item: KubeObject) -> None:
        """Make an object smaller."""
        if len(self._texts) > MOST:
            self._texts.clear()
        if len(self._parts) > MOST:
            self._parts.clear()
        self._metadata(item.metadata)
        match item:
            case Service():
                self._service(item)
            case EndpointSlice():
                self._slice(item)
            case Pod():
                self._pod(item)
            case Node(status=status) if status is not None:
                self._share(*(status.addresses or ()), *(status.conditions or ()))

    def _metadata(self, meta: Metadata) -> None:
        if meta.namespace:
            force_setattr(meta, "namespace", self._one(meta.namespace))
        if meta.label_map:
            force_setattr(meta, "label_map", self._map(meta.label_map))
        if meta.annotation_map:
            meta.annotation_map.pop(UNREAD, None)
            force_setattr(meta, "annotation_map", self._map(meta.annotation_map) or None)

    def _service(self, item: Service) -> None:
        spec = item.spec
        self._share(spec, *(spec.ports or ()))
        if spec.ports and not any(port.node_port for port in spec.ports):
            force_setattr(spec, "ports", self._part(spec.ports))
        if spec.selector:
            force_setattr(spec, "selector", self._map(spec.selector))
        if spec.ip_families:
            force_setattr(spec, "ip_families", self._part(spec.ip_families))
        if item.status is not None and item.status.conditions:
            self._share(*item.status.conditions)

    def _slice(self, item: EndpointSlice) -> None:
        self._share(*(item.endpoints or ()), *(item.ports or ()))
        for endpoint in item.endpoints or ():
            if endpoint.conditions is not None:
                force_setattr(endpoint, "conditions", self._part(endpoint.conditions))

    def _pod(self, item: Pod) -> None:
        if item.spec is not None:
            force_setattr(item.spec, "node_name", self._one(item.spec.node_name))
            if item.spec.containers:
                force_setattr(item.spec, "containers", self._part(item.spec.containers))
        if item.status is not None:
            self._share(*(item.status.conditions or ()))
            force_setattr(item.status, "host_ip", self._one(item.status.host_ip))

    def _share(self, *parts: Struct) -> None:
        """Share the texts of these parts."""
        for part in parts:
            for name in TEXTS[type(part)]:
                value = getattr(part, name)
                if value.__class__ is str:
                    force_setattr(part, name, self._one(value))

    def _one(self, text: str) -> str:
        return self._texts.setdefault(text, text) if len(text) <= LONGEST else text

    def _map(self, texts: Text) -> Text:
        one = self._one
        return {one(key): one(value) for key, value in texts.items()}

    def _part(self, part: object) -> object:
        """One object for all that are equal; it must be one that never changes."""
        return self._parts.setdefault(part, part)
