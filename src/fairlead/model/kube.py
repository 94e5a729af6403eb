"""The Kubernetes objects that Fairlead reads, with only the fields that it uses.

One set of msgspec Structs serves the file source and the API watch alike; undeclared fields are
skipped by the decoder and cost no memory. ``null`` stands for an absent map or list, as the API
reads it. Addresses stay text here: these types are the edge.
"""

from typing import Annotated, ClassVar

from msgspec import Meta as Check
from msgspec import Struct, field

from fairlead.model.names import Protocol, Ref

Port = Annotated[int, Check(ge=1, le=65535)]
NodePort = Annotated[int, Check(ge=0, le=65535)]
NO_TEXT: dict[str, str] = {}


class Metadata(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """ObjectMeta, as far as it matters here. ``creation_timestamp`` is RFC 3339 text, which
    sorts. ``resource_version`` is for writers; objects in a World have none, or every write would
    look like a change."""

    name: Annotated[str, Check(min_length=1, max_length=253)]
    namespace: str = ""
    uid: str = ""
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    resource_version: str = ""
    finalizers: tuple[str, ...] | None = None
    label_map: dict[str, str] | None = field(name="labels", default=None)
    annotation_map: dict[str, str] | None = field(name="annotations", default=None)

    @property
    def labels(self) -> dict[str, str]:
        """Labels; empty when there are none."""
        return self.label_map or NO_TEXT

    @property
    def annotations(self) -> dict[str, str]:
        """Annotations; empty when there are none."""
        return self.annotation_map or NO_TEXT


class KubeObject(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """What every object has. ``KIND`` and ``GROUP`` name the kind; ``CLUSTER`` kinds have no
    namespace."""

    KIND: ClassVar[str]
    GROUP: ClassVar[str]
    CLUSTER: ClassVar[bool] = False

    metadata: Metadata

    @property
    def ref(self) -> Ref:
        """The object's identity; namespaced objects without a namespace live in ``default``."""
        return Ref(self.KIND, "" if self.CLUSTER else self.namespace, self.metadata.name)

    @property
    def namespace(self) -> str:
        """metadata.namespace, or ``default`` as kubectl would fill it in."""
        return self.metadata.namespace or "default"

    @property
    def name(self) -> str:
        """metadata.name."""
        return self.metadata.name


class ServicePort(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """core/v1 ServicePort. ``target_port`` is a number, a container port's name, or absent (=
    port)."""

    port: Port
    protocol: Protocol = "TCP"
    name: str = ""
    target_port: int | str | None = None
    node_port: NodePort = 0
    app_protocol: str | None = None

    @property
    def key(self) -> tuple[Protocol, int]:
        """What must be unique on a VIP."""
        return self.protocol, self.port


class ClientIPConfig(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """core/v1 ClientIPConfig."""

    timeout_seconds: Annotated[int, Check(ge=1, le=86400)] | None = None


class SessionAffinityConfig(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """core/v1 SessionAffinityConfig."""

    client_ip: ClientIPConfig | None = field(name="clientIP", default=None)


class ServiceSpec(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """core/v1 ServiceSpec."""

    type: str = "ClusterIP"
    ports: tuple[ServicePort, ...] | None = None
    selector: dict[str, str] | None = None
    cluster_ip: str | None = field(name="clusterIP", default=None)
    load_balancer_ip: str | None = field(name="loadBalancerIP", default=None)
    load_balancer_class: str | None = None
    load_balancer_source_ranges: tuple[str, ...] | None = None
    external_traffic_policy: str | None = None
    session_affinity: str | None = None
    session_affinity_config: SessionAffinityConfig | None = None
    ip_families: tuple[str, ...] | None = None
    ip_family_policy: str | None = None
    publish_not_ready_addresses: bool = False
    allocate_load_balancer_node_ports: bool | None = None


class PortStatus(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """core/v1 PortStatus."""

    port: int
    protocol: str
    error: str | None = None


class LoadBalancerIngress(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """core/v1 LoadBalancerIngress. ``ip_mode``: VIP, or Proxy where a load balancer outside
    terminates."""

    ip: str = ""
    hostname: str = ""
    ip_mode: str | None = None
    ports: tuple[PortStatus, ...] | None = None


class LoadBalancerStatus(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """core/v1 LoadBalancerStatus."""

    ingress: tuple[LoadBalancerIngress, ...] | None = None


class StatusCondition(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """meta/v1 Condition. ``last_transition_time`` is RFC 3339 text."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_transition_time: str = ""
    observed_generation: int = 0


class ServiceStatus(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """core/v1 ServiceStatus."""

    load_balancer: LoadBalancerStatus | None = None
    conditions: tuple[StatusCondition, ...] | None = None


class Service(KubeObject, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """core/v1 Service."""

    KIND = "Service"
    GROUP = ""

    spec: ServiceSpec
    status: ServiceStatus | None = None

    @property
    def ports(self) -> tuple[ServicePort, ...]:
        """spec.ports; empty when there are none."""
        return self.spec.ports or ()


class EndpointConditions(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """discovery/v1 EndpointConditions; ``None`` means true for ready and serving, false for
    terminating."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class Endpoint(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """discovery/v1 Endpoint; consumers use ``addresses[0]``."""

    addresses: tuple[str, ...]
    conditions: EndpointConditions | None = None
    node_name: str | None = None


class EndpointPort(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """discovery/v1 EndpointPort."""

    port: Port | None = None
    name: str | None = None
    protocol: Protocol = "TCP"


class EndpointSlice(KubeObject, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """discovery/v1 EndpointSlice; its Service is named by a label."""

    KIND = "EndpointSlice"
    GROUP = "discovery.k8s.io"

    address_type: str = "IPv4"
    endpoints: tuple[Endpoint, ...] | None = None
    ports: tuple[EndpointPort, ...] | None = None

    @property
    def service(self) -> str:
        """The Service it belongs to, in its namespace; empty when unlabelled."""
        return self.metadata.labels.get("kubernetes.io/service-name", "")


class ContainerPort(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """core/v1 ContainerPort."""

    container_port: Port
    name: str = ""
    protocol: Protocol = "TCP"


class Container(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """core/v1 Container: only its named ports matter."""

    name: str = ""
    ports: tuple[ContainerPort, ...] | None = None


class PodSpec(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """core/v1 PodSpec."""

    node_name: str = ""
    containers: tuple[Container, ...] | None = None


class Condition(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """A condition of a pod or node."""

    type: str
    status: str = "Unknown"


class PodIP(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """core/v1 PodIP."""

    ip: str


class PodStatus(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """core/v1 PodStatus."""

    pod_ip: str = field(name="podIP", default="")
    pod_ips: tuple[PodIP, ...] | None = field(name="podIPs", default=None)
    conditions: tuple[Condition, ...] | None = None
    phase: str = ""
    host_ip: str = field(name="hostIP", default="")


class Pod(KubeObject, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """core/v1 Pod."""

    KIND = "Pod"
    GROUP = ""

    spec: PodSpec | None = None
    status: PodStatus | None = None


class NodeAddress(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """core/v1 NodeAddress."""

    type: str
    address: str


class NodeStatus(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """core/v1 NodeStatus."""

    addresses: tuple[NodeAddress, ...] | None = None
    conditions: tuple[Condition, ...] | None = None


class NodeSpec(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """core/v1 NodeSpec."""

    unschedulable: bool = False


class Node(KubeObject, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """core/v1 Node."""

    KIND = "Node"
    GROUP = ""
    CLUSTER = True

    spec: NodeSpec | None = None
    status: NodeStatus | None = None

    @property
    def cordoned(self) -> bool:
        """Whether it is marked as unschedulable, as by ``kubectl cordon``."""
        return self.spec is not None and self.spec.unschedulable

    @property
    def ready(self) -> bool:
        """The Ready condition; a Node written by hand without conditions counts as ready."""
        conditions = (self.status.conditions if self.status else None) or ()
        return all(c.status == "True" for c in conditions if c.type == "Ready")


class Namespace(KubeObject, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """core/v1 Namespace."""

    KIND = "Namespace"
    GROUP = ""
    CLUSTER = True


class ConfigMap(KubeObject, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """core/v1 ConfigMap."""

    KIND = "ConfigMap"
    GROUP = ""

    data: dict[str, str] | None = None


class SEGroup(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """AviInfraSetting spec.seGroup."""

    name: str


class VipNetwork(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """AviInfraSetting spec.network.vipNetworks[]: a name or an Avi UUID, never both."""

    network_name: str = ""
    network_uuid: str = field(name="networkUUID", default="")
    cidr: str = ""
    v6cidr: str = ""


class AviNetwork(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """AviInfraSetting spec.network; ``names`` is the form before AKO 1.5.1."""

    names: tuple[str, ...] | None = None
    vip_networks: tuple[VipNetwork, ...] | None = None
    enable_rhi: bool | None = None
    bgp_peer_labels: tuple[str, ...] | None = None


class L7Settings(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """AviInfraSetting spec.l7Settings."""

    shard_size: str = ""


class AviInfraSettingSpec(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """AviInfraSetting spec."""

    se_group: SEGroup | None = None
    network: AviNetwork | None = None
    l7_settings: L7Settings | None = field(name="l7Settings", default=None)


class AviInfraSettingStatus(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """AviInfraSetting status: ``Accepted``, or ``Rejected`` with the error."""

    status: str = ""
    error: str = ""


class AviInfraSetting(KubeObject, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """ako.vmware.com/v1alpha1 and v1beta1 AviInfraSetting, cluster-scoped."""

    KIND = "AviInfraSetting"
    GROUP = "ako.vmware.com"
    CLUSTER = True

    spec: AviInfraSettingSpec
    status: AviInfraSettingStatus | None = None
