"""The resources of the Kubernetes API that Fairlead reads or writes, and what to watch of them."""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple
from urllib.parse import quote, urlencode

from msgspec import Struct

from fairlead.model.addresslease import AddressLease
from fairlead.model.kube import KubeObject
from fairlead.model.objects import BGPPeer
from fairlead.model.virtualip import VirtualIP
from fairlead.sources.kinds import OF_GROUP


class Resource(NamedTuple):
    """One resource in one version. ``custom``: it comes from a CustomResourceDefinition, so it may
    be absent."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool
    custom: bool = False

    @property
    def api_version(self) -> str:
        """``group/version``, or the version alone in the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def definition(self) -> str:
        """The name of its CustomResourceDefinition."""
        return f"{self.plural}.{self.group}"

    @property
    def root(self) -> str:
        """The path of its group and version."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    def collection(self, namespace: str = "") -> str:
        """The path of all objects, or of those in a namespace."""
        if namespace:
            return f"{self.root}/namespaces/{namespace}/{self.plural}"
        return f"{self.root}/{self.plural}"

    def item(self, name: str, namespace: str = "", subresource: str = "") -> str:
        """The path of an object, or of a part of it such as ``status``.

        The name is quoted: a slash or a question mark in it must not lead elsewhere.
        """
        path = f"{self.collection(namespace)}/{quote(name, safe=':')}"
        return f"{path}/{subresource}" if subresource else path


SERVICES: Final = Resource("", "v1", "services", "Service", True)
PODS: Final = Resource("", "v1", "pods", "Pod", True)
NODES: Final = Resource("", "v1", "nodes", "Node", False)
NAMESPACES: Final = Resource("", "v1", "namespaces", "Namespace", False)
CONFIG_MAPS: Final = Resource("", "v1", "configmaps", "ConfigMap", True)
ENDPOINT_SLICES: Final = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", True)
LEASES: Final = Resource("coordination.k8s.io", "v1", "leases", "Lease", True)
EVENTS: Final = Resource("events.k8s.io", "v1", "events", "Event", True)
DEFINITIONS: Final = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", False
)

_AKO: Final = "ako.vmware.com"
_OWN: Final = "fairlead.dev"
AVI_INFRA_SETTINGS: Final = (
    Resource(_AKO, "v1beta1", "aviinfrasettings", "AviInfraSetting", False, True),
    Resource(_AKO, "v1alpha1", "aviinfrasettings", "AviInfraSetting", False, True),
)
"""Both generations; the newer one where both are served."""
ADDRESS_POOLS: Final = Resource(_OWN, "v1alpha1", "addresspools", "AddressPool", False, True)
ENGINE_GROUPS: Final = Resource(_OWN, "v1alpha1", "enginegroups", "EngineGroup", False, True)
VIRTUAL_IPS: Final = Resource(_OWN, "v1alpha1", "virtualips", "VirtualIP", False, True)
ENGINES: Final = Resource(_OWN, "v1alpha1", "engines", "Engine", False, True)
ADDRESS_LEASES: Final = Resource(_OWN, "v1alpha1", "addressleases", "AddressLease", False, True)
BGP_PEERS: Final = Resource(_OWN, "v1alpha1", "bgppeers", "BGPPeer", False, True)

TYPES: Final[Mapping[tuple[str, str], type[KubeObject]]] = {
    **OF_GROUP,
    (VirtualIP.GROUP, VirtualIP.KIND): VirtualIP,
    (BGPPeer.GROUP, BGPPeer.KIND): BGPPeer,
    (AddressLease.GROUP, AddressLease.KIND): AddressLease,
}
"""(group, kind) -> the type of its objects."""

Transform = Callable[[KubeObject], KubeObject | None]
"""What a caller keeps of an object: all, a smaller one, or nothing (None)."""


class Watch(Struct, frozen=True):
    """What to read of one kind. ``resources``: its versions, the preferred first.

    ``labels`` and ``fields`` are selectors as the API takes them. ``transform`` must be pure: it
    decides what is kept, and an object that it drops is as good as not there.
    """

    resources: tuple[Resource, ...]
    namespace: str = ""
    labels: str = ""
    fields: str = ""
    transform: Transform | None = None

    @property
    def kind(self) -> str:
        """The kind, whatever the version."""
        return self.resources[0].kind

    @property
    def type(self) -> type[KubeObject]:
        """The type of its objects."""
        first = self.resources[0]
        return TYPES[first.group, first.kind]

    def url(self, resource: Resource, **query: str) -> str:
        """The path and query of a list or watch of it in that version."""
        if self.labels:
            query["labelSelector"] = self.labels
        if self.fields:
            query["fieldSelector"] = self.fields
        path = resource.collection(self.namespace)
        return f"{path}?{urlencode(query)}" if query else path


def watch(
    *resources: Resource,
    namespace: str = "",
    labels: str = "",
    fields: str = "",
    transform: Transform | None = None,
) -> Watch:
    """A :class:`Watch` of one kind in these versions."""
    return Watch(resources, namespace, labels, fields, transform)


VERBS: Final = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


def asked_for(method: str, path: str) -> tuple[str, str]:
    """What a request is, as RBAC has it: ``("patch", "services/status")``."""
    parts = path.partition("?")[0].split("/")
    start = 3 if path.startswith("/api/") else 4
    if len(parts) > start + 2 and parts[start] == "namespaces":
        start += 2
    resource = "/".join(parts[start : start + 3 : 2])
    reading = "list" if len(parts) == start + 1 else "get"
    return VERBS.get(method) or ("watch" if method == "WATCH" else reading), resource
