"""Objects for tests, as changes of a world."""

from fairlead.model.kube import (
    Endpoint,
    EndpointPort,
    EndpointSlice,
    KubeObject,
    Metadata,
    Service,
    ServicePort,
    ServiceSpec,
)
from fairlead.model.names import Ref
from fairlead.model.objects import AddressPool, AddressPoolSpec
from fairlead.model.verdict import Code, Reason
from fairlead.model.world import Change

BROKEN = Reason(Code.INVALID_OBJECT, "spec.ports must be a list")


def service(name: str, *, port: int = 80, kind: str = "LoadBalancer") -> Service:
    return Service(Metadata(name), ServiceSpec(type=kind, ports=(ServicePort(port),)))


def backends(name: str, *addresses: str) -> EndpointSlice:
    return EndpointSlice(
        Metadata(f"{name}-1", label_map={"kubernetes.io/service-name": name}),
        endpoints=tuple(Endpoint((address,)) for address in addresses),
        ports=(EndpointPort(8080, ""),),
    )


def pool(*ranges: str, name: str = "pool", **annotations: str) -> AddressPool:
    notes = {key.replace("_", "/"): value for key, value in annotations.items()}
    meta = Metadata(name, annotation_map=notes or None)
    return AddressPool(meta, AddressPoolSpec(ranges or ("192.0.2.0/24",)))


def added(*objects: KubeObject) -> list[Change]:
    return [Change(one.ref, one) for one in objects]


def deleted(*objects: KubeObject) -> list[Change]:
    return [Change(one.ref, None) for one in objects]


def unusable(*refs: Ref) -> list[Change]:
    return [Change(ref, None, BROKEN) for ref in refs]
