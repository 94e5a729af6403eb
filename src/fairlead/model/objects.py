"""The kinds of ``fairlead.dev/v1alpha1``, cluster-scoped.

Unknown fields are errors here: a misspelt key in an object that is ours must not be silently
without effect.
"""

from typing import Annotated, Literal

from msgspec import Meta as Check
from msgspec import Struct

from fairlead.model.kube import KubeObject, Port, StatusCondition
from fairlead.model.names import Protocol

Announce = Literal["l2", "bgp", "none"]
Mode = Literal["ActiveStandby", "ActiveActive", "NPlusM"]
Operator = Literal["In", "NotIn", "Exists", "DoesNotExist"]


class Requirement(
    Struct, frozen=True, gc=False, rename="camel", omit_defaults=True, forbid_unknown_fields=True
):
    """meta/v1 LabelSelectorRequirement."""

    key: str
    operator: Operator
    values: tuple[str, ...] | None = None

    def matches(self, labels: dict[str, str]) -> bool:
        """Whether the labels satisfy it, by the API's rules (NotIn holds for an absent key)."""
        value = labels.get(self.key)
        match self.operator:
            case "In":
                return value is not None and value in (self.values or ())
            case "NotIn":
                return value is None or value not in (self.values or ())
            case "Exists":
                return value is not None
            case "DoesNotExist":
                return value is None


class Selector(
    Struct, frozen=True, gc=False, rename="camel", omit_defaults=True, forbid_unknown_fields=True
):
    """meta/v1 LabelSelector; an empty one selects everything."""

    match_labels: dict[str, str] | None = None
    match_expressions: tuple[Requirement, ...] | None = None

    def matches(self, labels: dict[str, str]) -> bool:
        """Whether all its terms hold for the labels."""
        wanted = self.match_labels or {}
        return all(labels.get(k) == v for k, v in wanted.items()) and all(
            term.matches(labels) for term in self.match_expressions or ()
        )


class Sharing(
    Struct, frozen=True, gc=False, rename="camel", omit_defaults=True, forbid_unknown_fields=True
):
    """AddressPool spec.sharing."""

    cross_namespace: bool = True


class ObjectStatus(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """The status of an object of ours: what became of it, as conditions."""

    conditions: tuple[StatusCondition, ...] | None = None


class AddressPoolStatus(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """The status of a pool. ``size``: its addresses, as text because IPv6 has many."""

    conditions: tuple[StatusCondition, ...] | None = None
    assigned: int = 0
    size: str = ""


class AddressPoolSpec(
    Struct, frozen=True, gc=False, rename="camel", omit_defaults=True, forbid_unknown_fields=True
):
    """AddressPool spec (DESIGN §5). ``addresses``: CIDRs, ``a-b`` ranges or single addresses."""

    addresses: Annotated[tuple[str, ...], Check(min_length=1)]
    networks: tuple[str, ...] | None = None
    namespaces: tuple[str, ...] | None = None
    namespace_selector: Selector | None = None
    service_selector: Selector | None = None
    priority: int = 0
    auto_assign: bool = True
    avoid_first_last: bool = True
    sharing: Sharing | None = None
    announce: Announce = "l2"


class AddressPool(KubeObject, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """Address ranges that VIPs are allocated from."""

    KIND = "AddressPool"
    GROUP = "fairlead.dev"
    CLUSTER = True

    spec: AddressPoolSpec
    status: AddressPoolStatus | None = None


class EngineGroupSpec(
    Struct, frozen=True, gc=False, rename="camel", omit_defaults=True, forbid_unknown_fields=True
):
    """EngineGroup spec (DESIGN §5). Zero for a maximum means no limit."""

    node_selector: Selector | None = None
    se_groups: tuple[str, ...] | None = None
    mode: Mode = "ActiveStandby"
    min_scale: Annotated[int, Check(ge=1)] = 1
    max_scale: Annotated[int, Check(ge=0)] = 0
    buffer_engines: Annotated[int, Check(ge=0)] = 0
    max_vips_per_engine: Annotated[int, Check(ge=0)] = 0
    failback: bool = True


class EngineGroup(KubeObject, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """Which engines serve, and how many of them hold a VIP."""

    KIND = "EngineGroup"
    GROUP = "fairlead.dev"
    CLUSTER = True

    spec: EngineGroupSpec
    status: ObjectStatus | None = None


class SecretKey(
    Struct, frozen=True, gc=False, rename="camel", omit_defaults=True, forbid_unknown_fields=True
):
    """A key of a Secret; the values stay in the Secret."""

    name: Annotated[str, Check(min_length=1, max_length=253)]
    namespace: str = "fairlead-system"
    key: str = "password"


class BFDTimers(
    Struct, frozen=True, gc=False, rename="camel", omit_defaults=True, forbid_unknown_fields=True
):
    """How fast BFD notices: milliseconds between packets, and how many must be missing."""

    transmit: Annotated[int, Check(ge=10, le=60000)] = 100
    receive: Annotated[int, Check(ge=10, le=60000)] = 100
    multiplier: Annotated[int, Check(ge=2, le=255)] = 3


class BGPPeerSpec(
    Struct, frozen=True, gc=False, rename="camel", omit_defaults=True, forbid_unknown_fields=True
):
    """BGPPeer spec: a router, by its address or by the range that it connects from.

    Times are seconds. ``labels`` answer AKO's ``bgpPeerLabels``. ``node_selector``: the engines
    that speak to it, all by default.
    """

    peer_asn: Annotated[int, Check(ge=1, le=4294967295)]
    local_asn: Annotated[int, Check(ge=1, le=4294967295)]
    address: str = ""
    listen_range: str = ""
    port: Annotated[int, Check(ge=1, le=65535)] = 179
    password: SecretKey | None = None
    ebgp_multihop: Annotated[int, Check(ge=0, le=255)] = 0
    keepalive_seconds: Annotated[int, Check(ge=1, le=65535)] = 3
    hold_seconds: Annotated[int, Check(ge=3, le=65535)] = 9
    bfd: bool = True
    bfd_timers: BFDTimers | None = None
    communities: tuple[str, ...] | None = None
    local_preference: Annotated[int, Check(ge=0, le=4294967295)] | None = None
    as_path_prepend: Annotated[int, Check(ge=0, le=10)] = 0
    graceful_restart: bool = True
    labels: tuple[str, ...] | None = None
    node_selector: Selector | None = None


class BGPPeer(KubeObject, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """A router that learns VIPs."""

    KIND = "BGPPeer"
    GROUP = "fairlead.dev"
    CLUSTER = True

    spec: BGPPeerSpec
    status: ObjectStatus | None = None


class EngineForward(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """A port of the Service (``namespace/name``) that an engine keeps open on the network's
    gateway. ``address``: the VIP that it leads to; ``external``: the address where it is reached;
    ``reason`` and ``message``: what there is to say about it."""

    service: str
    protocol: Protocol
    port: Port
    address: str
    external: str = ""
    reason: str = ""
    message: str = ""


class EngineSpec(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """What an engine holds, as it says itself. ``count``: how many ``holds`` are. ``side``: the
    engines that it is connected with. ``rightful``: it may hold VIPs, by the rule of its fence.
    ``problems``: what keeps it from holding what it should. ``forwards``: its ports on the
    gateway. ``rivals``: VIPs that another host of its LAN uses, each as ``ADDRESS MAC
    INTERFACE``."""

    count: int = 0
    holds: tuple[str, ...] = ()
    side: tuple[str, ...] = ()
    rightful: bool = True
    problems: tuple[str, ...] = ()
    forwards: tuple[EngineForward, ...] = ()
    rivals: tuple[str, ...] = ()


class Engine(KubeObject, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """Who holds what: one object for each engine, named as its Node, written by its agent."""

    KIND = "Engine"
    GROUP = "fairlead.dev"
    CLUSTER = True

    spec: EngineSpec
