"""What an agent reads of a cluster, and how little of it.

At 50 000 VIPs memory is what an agent costs. With the cluster's own proxy it needs no backends, so
Services are not read, EndpointSlices only once some VIP is Local, and of a VirtualIP nothing stays
but its place. What many objects say alike is one value.
"""

from collections.abc import Hashable
from typing import Final, TypeVar

from msgspec.structs import replace

from fairlead.model.addresslease import AddressLease
from fairlead.model.config import Config
from fairlead.model.kube import (
    Endpoint,
    EndpointSlice,
    KubeObject,
    Metadata,
    Node,
    NodeStatus,
    Pod,
    Service,
)
from fairlead.model.objects import BGPPeer, EngineGroup
from fairlead.model.virtualip import VirtualIP, VirtualIPGroup, VirtualIPListener
from fairlead.sources.kube import Watch
from fairlead.sources.kube.resources import (
    ADDRESS_LEASES,
    BGP_PEERS,
    ENDPOINT_SLICES,
    ENGINE_GROUPS,
    NODES,
    PODS,
    SERVICES,
    VIRTUAL_IPS,
    watch,
)

Value = TypeVar("Value", bound=Hashable)
SERVICE_NAME: Final = "kubernetes.io/service-name"
MOST: Final = 1 << 16
"""Values that are remembered; then they are forgotten, and what is shared stays shared."""


def watches(config: Config) -> tuple[Watch, ...]:
    """What to read from the start; VirtualIPs follow once it is known which."""
    keep = Trim(config)
    found = [
        watch(ENGINE_GROUPS, transform=keep),
        watch(NODES, transform=keep),
        watch(BGP_PEERS, transform=keep),
        watch(ADDRESS_LEASES, transform=keep),
    ]
    if config.dataplane == "nft":
        found += [watch(SERVICES, transform=keep), watch(ENDPOINT_SLICES, transform=keep)]
        if config.service_type == "NodePortLocal":
            found.append(watch(PODS, transform=keep))
    return tuple(found)


def virtual_ips(config: Config, *, labels: str) -> Watch:
    """VirtualIPs, of those that the selector chooses."""
    return watch(VIRTUAL_IPS, labels=labels, transform=Trim(config))


def slices(config: Config) -> Watch | None:
    """What to read besides once a VIP is Local; None where it is read anyway, or never needed."""
    return watch(ENDPOINT_SLICES, transform=Trim(config)) if config.dataplane == "cluster" else None


def needed(config: Config) -> frozenset[str]:
    """The kinds without which nothing is known; of the others it is enough to read them later."""
    own = {VirtualIP.KIND, EngineGroup.KIND, Node.KIND, BGPPeer.KIND, AddressLease.KIND}
    behind = {Service.KIND, EndpointSlice.KIND} if config.dataplane == "nft" else set()
    return frozenset(own | behind)


class Trim:
    """Keeps of an object what an agent reads."""

    def __init__(self, config: Config) -> None:
        self._joins = config.dataplane == "nft"
        self._same: dict[Hashable, Hashable] = {}

    def __call__(self, item: KubeObject) -> KubeObject:
        """The smaller object."""
        if len(self._same) > MOST:
            self._same.clear()
        match item:
            case VirtualIP():
                return self._virtual_ip(item)
            case Node():
                return _node(item)
            case EndpointSlice():
                return self._slice(item)
            case Service():
                return _service(item)
            case Pod():
                return replace(item, metadata=_bare(item.metadata, annotations=True))
        return replace(item, metadata=_bare(item.metadata))

    def _one(self, value: Value) -> Value:
        """One value for all that are equal."""
        return self._same.setdefault(value, value)  # type: ignore[return-value]

    def _virtual_ip(self, item: VirtualIP) -> VirtualIP:
        spec, meta = item.spec, item.metadata
        group = spec.group
        created = meta.creation_timestamp
        return VirtualIP(
            metadata=Metadata(
                name=meta.name, creation_timestamp=self._one(created) if created else None
            ),
            spec=replace(
                spec,
                address=meta.name if meta.name == spec.address else spec.address,
                group=VirtualIPGroup(
                    self._one(group.dialect),
                    self._one(group.scope),
                    group.name,
                    self._one(group.namespace),
                ),
                space=self._one(spec.space),
                slot=self._one(spec.slot),
                pool=self._one(spec.pool),
                setting="",
                members=(),
                listeners=self._one(tuple(map(self._listener, spec.listeners))),
                engine_group=self._one(spec.engine_group),
                home=self._one(tuple(map(self._one, spec.home))),
                role=self._one(spec.role),
                announce=self._one(spec.announce),
                interface=self._one(spec.interface),
            ),
        )

    def _listener(self, entry: VirtualIPListener) -> VirtualIPListener:
        if self._joins:
            return entry
        service = entry.service if entry.local or entry.forward is not None else ""
        local, forward = entry.local, entry.forward
        return VirtualIPListener(entry.protocol, entry.port, service, local=local, forward=forward)

    def _slice(self, item: EndpointSlice) -> EndpointSlice:
        labels = {SERVICE_NAME: item.service} if item.service else None
        meta = replace(_bare(item.metadata), label_map=labels)
        if self._joins:
            return replace(item, metadata=meta)
        spots = dict.fromkeys(map(_whereabouts, item.endpoints or ()))
        return replace(item, metadata=meta, endpoints=self._one(tuple(spots)), ports=None)


def _bare(meta: Metadata, *, annotations: bool = False) -> Metadata:
    """Name, age and labels."""
    return Metadata(
        name=meta.name,
        namespace=meta.namespace,
        creation_timestamp=meta.creation_timestamp,
        deletion_timestamp=meta.deletion_timestamp,
        label_map=meta.label_map,
        annotation_map=meta.annotation_map if annotations else None,
    )


def _node(item: Node) -> Node:
    """Without heartbeats: whether it is ready, whether cordoned, and its addresses."""
    status = item.status
    if status is not None:
        ready = tuple(c for c in status.conditions or () if c.type == "Ready")
        status = NodeStatus(addresses=status.addresses, conditions=ready)
    spec = item.spec if item.cordoned else None
    return Node(metadata=_bare(item.metadata), spec=spec, status=status)


def _service(item: Service) -> Service:
    """Without what is decided already."""
    spec = replace(item.spec, load_balancer_source_ranges=None, cluster_ip=None)
    meta = replace(_bare(item.metadata), label_map=None, creation_timestamp=None)
    return Service(metadata=meta, spec=spec)


def _whereabouts(endpoint: Endpoint) -> Endpoint:
    """On which node it is, and how it does."""
    return Endpoint((), endpoint.conditions, endpoint.node_name)
