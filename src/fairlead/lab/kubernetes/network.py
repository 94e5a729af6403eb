"""The network of a Kubernetes lab: the control host, nodes and clients on a LAN, pods behind nodes.

Nodes reach each other's pods over the pod segment, by routes, so that the LAN carries what a real
LAN would see. What a pod asks of the LAN leaves with its node's address, as most network plugins
have it; what it answers, and what goes to the control host, keeps its own.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final

from fairlead.lab.kubernetes.programs import SERVICE_CIDRS
from fairlead.lab.layout import DEFAULT_LAN, Subnet, cluster, from_top
from fairlead.lab.topology import HostSpec, Role, Topology
from fairlead.lab.wiring import settle

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fairlead.lab.host import Host
    from fairlead.lab.lab import Hosts
    from fairlead.lab.topology import Network

__all__ = ["CONTROL", "connect", "pod_cidrs", "topology"]

CONTROL: Final = "control"
"""The host of the API server."""

_SEGMENT: Final = ("10.244.0.0/24", "fd00:244::/64")
_PODS: Final = {4: "10.244.{}.0/24", 6: "fd00:244:0:{}::/64"}


def topology(
    *,
    nodes: int,
    clients: int,
    ipv6: bool = True,
    lan: Sequence[Subnet | str] = DEFAULT_LAN,
    others: Sequence[HostSpec] = (),
) -> Topology:
    """The hosts: `client`…, `node-1`…, `control`, and `others`. Raises LabError, ValueError."""
    wanted = [Subnet.of(entry) if isinstance(entry, str) else entry for entry in lan]
    subnets = [entry for entry in wanted if ipv6 or entry.network.version == 4]
    base = cluster(
        lan=subnets,
        pod_networks=_SEGMENT if ipv6 else _SEGMENT[:1],
        clients=clients,
        engines=0,
        nodes=nodes,
        pods=0,
        pods_via=None,
        node_ports=(),
    )
    addresses = tuple(from_top(entry.network, clients + nodes) for entry in subnets)
    control = HostSpec(name=CONTROL, role=Role.CLIENT, lan=addresses)
    return Topology((*base.hosts, control, *others))


def pod_cidrs(number: int, *, ipv6: bool) -> tuple[str, ...]:
    """The pod networks of the node of this number, from 1 on."""
    return tuple(text.format(number) for version, text in _PODS.items() if ipv6 or version == 4)


def connect(hosts: Hosts, nodes: Sequence[Host], *, ipv6: bool) -> None:
    """Have the nodes forward, masquerade, and know the way to each other's pods."""
    networks = {
        node.name: [ipaddress.ip_network(text) for text in pod_cidrs(rank, ipv6=ipv6)]
        for rank, node in enumerate(nodes, start=1)
    }
    for node in nodes:
        settle(node.namespace, forwards=True)
        for services in SERVICE_CIDRS[: 2 if ipv6 else 1]:
            # A packet needs a route before kube-proxy can turn it; there is no default one here.
            node.ip("route", "add", services, "dev", "lan")
        rules = "\n".join(_masquerading(networks[node.name]))
        node.run(["nft", "-f", "-"], input=rules, check=True)
    for node in nodes:
        for other in (*nodes, hosts[CONTROL]):
            if other is not node:
                _route(other, networks[node.name], via=node)


def _route(host: Host, networks: Sequence[Network], *, via: Host) -> None:
    """Over the pod segment where the host is on it, else over the LAN."""
    hops = {
        entry.version: entry.ip for entry in (via.spec.pods if host.spec.pods else via.spec.lan)
    }
    for network in networks:
        if network.version in hops:
            host.ip("route", "add", str(network), "via", str(hops[network.version]))


def _masquerading(networks: Sequence[Network]) -> Iterator[str]:
    yield "table inet lab_pods {"
    yield "  chain out {"
    yield "    type nat hook postrouting priority srcnat; policy accept;"
    for network in networks:
        family = "ip" if network.version == 4 else "ip6"
        yield f'    oifname "lan" {family} saddr {network} masquerade'
    yield "  }"
    yield "}"
