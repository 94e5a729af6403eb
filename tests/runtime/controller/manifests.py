"""Objects for tests of the controller, as a user would write them."""

from typing import Any

Object = dict[str, Any]
OURS = "fairlead.dev/vip"
AKO = "ako.vmware.com/avi-lb"
SHARED = "ako.vmware.com/enable-shared-vip"


def service(
    name: str,
    *,
    port: int = 80,
    protocol: str = "TCP",
    kind: str = "LoadBalancer",
    cls: str = OURS,
    wanted: str = "",
    families: tuple[str, ...] = (),
    annotations: dict[str, str] | None = None,
) -> Object:
    """A Service without node ports. ``wanted``: a static address."""
    spec: Object = {"type": kind, "ports": [{"port": port, "protocol": protocol}]}
    if kind == "LoadBalancer":
        spec["allocateLoadBalancerNodePorts"] = False
        if cls:
            spec["loadBalancerClass"] = cls
    if wanted:
        spec["loadBalancerIP"] = wanted
    if families:
        policy = "RequireDualStack" if len(families) > 1 else "SingleStack"
        spec |= {"ipFamilies": list(families), "ipFamilyPolicy": policy}
    meta = {"name": name, "annotations": annotations or {}}
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}


def shared(name: str, key: str, **options: Any) -> Object:
    """A member of an AKO shared VIP."""
    return service(name, cls=AKO, annotations={SHARED: key}, **options)


def pool(name: str, *addresses: str, **spec: Any) -> Object:
    """An AddressPool."""
    return {
        "apiVersion": "fairlead.dev/v1alpha1",
        "kind": "AddressPool",
        "metadata": {"name": name},
        "spec": {"addresses": list(addresses), **spec},
    }


def reservation(address: str) -> Object:
    """A VirtualIP made by hand, so that nobody gets the address (IPv4)."""
    return {
        "apiVersion": "fairlead.dev/v1alpha1",
        "kind": "VirtualIP",
        "metadata": {"name": address},
        "spec": {
            "address": address,
            "group": {"dialect": "hand", "scope": "reservation", "name": address},
            "reserve": True,
        },
    }
