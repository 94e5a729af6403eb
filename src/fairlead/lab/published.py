"""What a controller would publish about some VIPs, and what is behind them, as manifests.

For agents that read files, in labs without an API server: `objects(...)`, one JSON document each.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from fairlead.lab.topology import Address

__all__ = ["PORT", "node", "objects", "virtual_ip", "written"]

Manifest = dict[str, Any]
PORT: Final = 80
"""Where every VIP listens."""
_SERVICE: Final = "default/web"


def objects(
    *, engines: Mapping[str, str], homes: Mapping[Address, str], pods: Sequence[str], target: int
) -> Iterator[Manifest]:
    """Nodes by name and address, a Service with these pods behind it, and a VIP for each address,
    at home on the engine named."""
    for name, address in engines.items():
        yield node(name, address)
    ports = [{"port": PORT, "targetPort": target}]
    yield {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"type": "LoadBalancer", "ports": ports},
    }
    yield {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "web", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [pod]} for pod in pods],
        "ports": [{"port": target, "protocol": "TCP"}],
    }
    for vip, home in homes.items():
        yield virtual_ip(vip, home)


def node(name: str, address: str, *, cordoned: bool = False) -> Manifest:
    """A Node that is ready."""
    status = {
        "addresses": [{"type": "InternalIP", "address": address}],
        "conditions": [{"type": "Ready", "status": "True"}],
    }
    spec = {"spec": {"unschedulable": True}} if cordoned else {}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name},
        **spec,
        "status": status,
    }


def virtual_ip(vip: Address, home: str, service: str = _SERVICE) -> Manifest:
    """A VIP of a Service, in a group of its own."""
    name = str(vip) if vip.version == 4 else _spelled(vip)
    return {
        "apiVersion": "fairlead.dev/v1alpha1",
        "kind": "VirtualIP",
        "metadata": {"name": name, "labels": {"fairlead.dev/engine-group": "default"}},
        "spec": {
            "address": str(vip),
            "group": {"dialect": "fairlead", "scope": "service", "name": f"vip-{name}"},
            "members": [f"Service/{service}"],
            "listeners": [{"protocol": "TCP", "port": PORT, "service": service}],
            "home": [home],
        },
    }


def _spelled(vip: Address) -> str:
    """IPv6 as the name of an object, which may hold no colon."""
    return "-".join(f"{int(group, 16):x}" for group in vip.exploded.split(":"))


def written(manifests: Iterable[Manifest]) -> str:
    """As a stream of YAML documents, each of them JSON."""
    return "\n---\n".join(map(json.dumps, manifests)) + "\n"
