"""The shape of ``plan -o json``: a contract with programs that we do not know.

The JSON Schema in ``docs/plan.schema.json`` is generated from these types, so that code, schema and
documentation cannot come to differ. A field is added, never renamed or removed. Addresses are text
here: this is the edge. Every list is sorted as text (by code point), and present when it is empty.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from fairlead.model.names import Protocol
from fairlead.model.objects import Announce
from fairlead.model.plan import ListenerKind

StateName = Literal["Served", "Pending", "Rejected", "Ignored"]
Action = Literal["create", "update", "delete"]
Texts = list[str]
State = Annotated[
    StateName,
    Meta(
        description="Served: holds an address. Pending: waits for something that can come by "
        "itself. Rejected: somebody must edit. Ignored: not Fairlead's."
    ),
]
Code = Annotated[str, Meta(description="A reason code, or empty when there is nothing to say.")]
Message = Annotated[str, Meta(description="The reason for people, or empty.")]
Endpoint = Annotated[str, Meta(description="address:port; an IPv6 address is in brackets.")]


class ServiceEntry(Struct, frozen=True, gc=False):
    """A Service: every one of type LoadBalancer, and any other that has a verdict."""

    namespace: str
    name: str
    dialect: str
    group: str
    state: State
    reason: Code
    message: Message
    addresses: Texts
    hostname: str


class HostEntry(Struct, frozen=True, gc=False, rename="camel"):
    """One host of an Ingress."""

    host: str
    virtual_service: str
    addresses: Texts


class IngressEntry(Struct, frozen=True, gc=False):
    """An Ingress."""

    namespace: str
    name: str
    state: State
    reason: Code
    message: Message
    hosts: list[HostEntry]


class GatewayEntry(Struct, frozen=True, gc=False):
    """A Gateway."""

    namespace: str
    name: str
    state: State
    reason: Code
    message: Message
    addresses: Texts


class ReservationEntry(Struct, frozen=True, gc=False):
    """An address that is held and that nobody routes to."""

    kind: str
    namespace: str
    name: str
    subnet: str
    addresses: Texts
    mac: str
    state: State
    reason: Code
    message: Message


class EnginesEntry(Struct, frozen=True, gc=False):
    """Who holds a VIP, and who would be next."""

    active: Texts
    standby: Texts


class ListenerEntry(Struct, frozen=True, gc=False):
    """One (protocol, port, match) of a VIP. ``service`` is namespace/name."""

    protocol: Protocol
    port: int
    kind: ListenerKind
    match: str
    service: str
    backends: list[Endpoint]


class TranslationEntry(Struct, frozen=True, gc=False):
    """A destination NAT from an external to an internal VIP."""

    protocol: Protocol
    external: Endpoint
    internal: Endpoint


class VipEntry(Struct, frozen=True, gc=False):
    """A VIP: one address per family. ``members`` are namespace/name of those who share it."""

    name: str
    group: str
    addresses: Texts
    pools: Texts
    members: Texts
    announce: Announce
    engines: EnginesEntry
    listeners: list[ListenerEntry]
    translations: list[TranslationEntry]


class RejectionEntry(Struct, frozen=True, gc=False, rename={"conflicts": "with"}):
    """An object that somebody must edit. Objects are Kind/namespace/name, or Kind/name."""

    object: str
    code: Code
    message: Message
    conflicts: Texts


class ChangeEntry(Struct, frozen=True, gc=False):
    """What differs from the state that was compared with."""

    action: Action
    object: str
    because: str


class Summary(Struct, frozen=True, gc=False):
    """How many. ``rejected`` and ``pending`` count services."""

    services: int
    vips: int
    addresses: int
    rejected: int
    pending: int


class PlanDocument(Struct, frozen=True, gc=False):
    """What Fairlead would do, and what that changes."""

    services: list[ServiceEntry]
    ingresses: list[IngressEntry]
    gateways: list[GatewayEntry]
    reservations: list[ReservationEntry]
    vips: list[VipEntry]
    rejections: list[RejectionEntry]
    changes: list[ChangeEntry]
    summary: Summary
