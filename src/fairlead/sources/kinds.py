"""The kinds that Fairlead reads, by apiVersion and kind, for the file source and the API watch
alike.

Where a group is ours to read but the version is not, that is worth an error (a Service of ``v2`` is
a slip); a kind of a foreign group (a Knative ``Service``) is somebody else's and only counted.
"""

from collections.abc import Mapping
from typing import Final

from fairlead.model.addresslease import AddressLease
from fairlead.model.kube import (
    AviInfraSetting,
    ConfigMap,
    EndpointSlice,
    KubeObject,
    Namespace,
    Node,
    Pod,
    Service,
)
from fairlead.model.objects import AddressPool, BGPPeer, Engine, EngineGroup
from fairlead.model.virtualip import VirtualIP

KINDS: Final[Mapping[tuple[str, str], type[KubeObject]]] = {
    ("v1", "Service"): Service,
    ("v1", "Pod"): Pod,
    ("v1", "Node"): Node,
    ("v1", "Namespace"): Namespace,
    ("v1", "ConfigMap"): ConfigMap,
    ("discovery.k8s.io/v1", "EndpointSlice"): EndpointSlice,
    ("ako.vmware.com/v1alpha1", "AviInfraSetting"): AviInfraSetting,
    ("ako.vmware.com/v1beta1", "AviInfraSetting"): AviInfraSetting,
    ("fairlead.dev/v1alpha1", "AddressPool"): AddressPool,
    ("fairlead.dev/v1alpha1", "EngineGroup"): EngineGroup,
    ("fairlead.dev/v1alpha1", "Engine"): Engine,
    ("fairlead.dev/v1alpha1", "BGPPeer"): BGPPeer,
    ("fairlead.dev/v1alpha1", "VirtualIP"): VirtualIP,
    ("fairlead.dev/v1alpha1", "AddressLease"): AddressLease,
}
"""(apiVersion, kind) -> its type."""

OF_GROUP: Final = {(kind.GROUP, kind.KIND): kind for kind in KINDS.values()}
"""(API group, kind) -> its type, whatever the version."""


def group_of(version: str) -> str:
    """The group of an apiVersion; empty for the core group."""
    return version.rpartition("/")[0]


def versions_of(kind: type[KubeObject]) -> list[str]:
    """The apiVersions in which a kind is read."""
    return [version for (version, _), known in KINDS.items() if known is kind]
