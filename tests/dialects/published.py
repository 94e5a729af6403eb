"""Short ways to write VirtualIPs and what is behind them."""

from typing import Any

from fairlead.model.addresses import parse_address
from fairlead.model.kube import KubeObject
from fairlead.model.ledger import Spot
from fairlead.model.virtualip import object_name
from tests.dialects.make import decoded

GROUP = {"dialect": "fairlead", "scope": "service", "namespace": "default", "name": "web"}


def listener(port: int = 80, service: str = "default/web", **more: Any) -> dict[str, Any]:
    """One listener of TCP, unless said otherwise."""
    return {"protocol": "TCP", "port": port, "service": service, **more}


def virtual_ip(address: str, *listeners: dict[str, Any], **spec: Any) -> KubeObject:
    """A VirtualIP of the group ``web``, named as it must be; ``name`` and ``group`` to differ."""
    name = spec.pop("name", None) or object_name(
        Spot(spec.get("space", "default"), parse_address(address))
    )
    group = {**GROUP, "name": spec.pop("group", "web")}
    body = {"address": address, "group": group, "listeners": list(listeners), **spec}
    return decoded({"kind": "VirtualIP", "metadata": {"name": name}, "spec": body})


def slices(name: str, *endpoints: dict[str, Any], port: int = 8080, kind: str = "") -> KubeObject:
    """The EndpointSlice of a Service; an endpoint is ``{"addresses": [...], "nodeName": ...}``."""
    first = endpoints[0]["addresses"][0] if endpoints else "10.0.0.1"
    return decoded(
        {
            "kind": "EndpointSlice",
            "metadata": {
                "name": f"{name}{kind}",
                "namespace": "default",
                "labels": {"kubernetes.io/service-name": name},
            },
            "addressType": "IPv6" if ":" in first else "IPv4",
            "endpoints": list(endpoints),
            "ports": [{"port": port}],
        }
    )


def endpoint(address: str, node: str = "n1", **conditions: bool) -> dict[str, Any]:
    return {"addresses": [address], "nodeName": node, "conditions": conditions}


def node(name: str, *, ready: bool = True, **labels: str) -> KubeObject:
    status = {"conditions": [{"type": "Ready", "status": str(ready)}]}
    return decoded({"kind": "Node", "metadata": {"name": name, "labels": labels}, "status": status})


def engine_group(name: str, **spec: Any) -> KubeObject:
    return decoded({"kind": "EngineGroup", "metadata": {"name": name}, "spec": spec})
