"""The usual topology: clients, engines, an edge and nodes on one LAN, pods behind the engines.

Host addresses are counted from the *top* of each IPv4 subnet downwards (192.0.2.254 is the first
client), because VIP pools in manifests usually start at the bottom. The IPv6 address spells the
same digits (`fd00:2::254`), so that a capture can be read by eye. On the pod segment engines start
at `.1`, nodes at `.51`, pods at `.100`.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from fairlead.lab.errors import LabError
from fairlead.lab.topology import Address, HostSpec, Interface, Network, Role, Route, Topology

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["DEFAULT_LAN", "DEFAULT_PODS", "Subnet", "cluster", "from_top"]

_EVERYWHERE: Final = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))
_ON_LAN: Final = (Role.CLIENT, Role.EDGE, Role.ENGINE, Role.NODE)
_FIRST_POD: Final = 100
_POD_SIDE: Final = {Role.ENGINE: 0, Role.NODE: 50}


@dataclass(frozen=True, slots=True)
class Subnet:
    """A subnet of the LAN and the roles that have an address in it."""

    network: Network
    roles: frozenset[Role] = frozenset(_ON_LAN)

    @classmethod
    def of(cls, text: str, *roles: str) -> Subnet:
        """`Subnet.of("80.81.82.80/28", "client", "edge")`; no roles means all LAN roles."""
        return cls(ipaddress.ip_network(text), frozenset(map(Role, roles)) or frozenset(_ON_LAN))


DEFAULT_LAN: Final = (Subnet.of("192.0.2.0/24"), Subnet.of("fd00:2::/64"))
DEFAULT_PODS: Final = ("10.244.0.0/16", "fd00:244::/64")


def cluster(
    *,
    lan: Sequence[Subnet | str] = DEFAULT_LAN,
    pod_networks: Sequence[str] = DEFAULT_PODS,
    clients: int = 1,
    engines: int = 1,
    edges: int = 0,
    nodes: int = 0,
    pods: int | Sequence[str] = 2,
    pods_via: str | None = "engine-1",
    clients_via: str | None = None,
    engines_via: str | None = None,
    nodes_via: str | None = None,
    tcp: Iterable[int] = (8080,),
    udp: Iterable[int] = (8080,),
    sctp: Iterable[int] = (),
    node_ports: Iterable[int] = (30080,),
) -> Topology:
    """Build the usual topology.

    Hosts are `client`, `edge` (a number is added from the second on), `engine-1`…, `node-1`…, and
    `pod-a`… or the names given. `pods_via`, `engines_via` and `nodes_via` name the host that is
    the default gateway of these (None: they know only their own subnets; a pod's reply to the LAN
    then needs masquerading); `clients_via` names the host through which clients route to the pod
    networks (None: they do not, as on most sites). `tcp`, `udp`, `sctp` are the echo ports of every
    pod, `node_ports` the TCP and UDP echo ports of every node.
    """
    subnets = [Subnet.of(entry) if isinstance(entry, str) else entry for entry in lan]
    segment = [ipaddress.ip_network(text) for text in pod_networks]
    counts = {Role.CLIENT: clients, Role.EDGE: edges, Role.ENGINE: engines, Role.NODE: nodes}
    ports = tuple(node_ports)
    hosts = [
        replace(host, tcp=ports, udp=ports) if host.role is Role.NODE else host
        for host in _lan_hosts(counts, subnets, segment)
    ]
    names = _pod_names(pods) if isinstance(pods, int) else list(pods)
    echo = HostSpec(name="", role=Role.POD, tcp=tuple(tcp), udp=tuple(udp), sctp=tuple(sctp))
    hosts += _pods(names, segment, echo)
    gateways = {
        Role.POD: pods_via,
        Role.CLIENT: clients_via,
        Role.ENGINE: engines_via,
        Role.NODE: nodes_via,
    }
    return Topology(tuple(_routed(host, hosts, gateways, segment) for host in hosts))


def _lan_hosts(
    counts: Mapping[Role, int], subnets: Sequence[Subnet], segment: Sequence[Network]
) -> list[HostSpec]:
    ordered = [(role, ordinal) for role, count in counts.items() for ordinal in range(1, count + 1)]
    return [
        HostSpec(
            name=_name(role, ordinal),
            role=role,
            lan=tuple(from_top(s.network, rank) for s in subnets if role in s.roles),
            pods=tuple(
                _from_bottom(network, _POD_SIDE[role] + ordinal)
                for network in segment
                if role in _POD_SIDE
            ),
        )
        for rank, (role, ordinal) in enumerate(ordered)
    ]


def _pods(names: Sequence[str], segment: Sequence[Network], model: HostSpec) -> list[HostSpec]:
    return [
        replace(
            model,
            name=name,
            pods=tuple(_from_bottom(network, _FIRST_POD + rank) for network in segment),
        )
        for rank, name in enumerate(names)
    ]


def _routed(
    host: HostSpec,
    hosts: Sequence[HostSpec],
    gateways: Mapping[Role, str | None],
    segment: Sequence[Network],
) -> HostSpec:
    """The host with its routes: to the pod networks for a client, default ones for the others."""
    name = gateways.get(host.role)
    if name is None or name == host.name:
        return host
    targets = segment if host.role is Role.CLIENT else _EVERYWHERE
    hops = _next_hops(host, _named(hosts, name))
    routes = (Route(to, hops[to.version]) for to in targets if to.version in hops)
    return replace(host, routes=tuple(routes))


def _next_hops(host: HostSpec, gateway: HostSpec) -> dict[int, Address]:
    """By IP version, the gateway's address in the first subnet that both hosts are in."""
    hops: dict[int, Address] = {}
    for mine, theirs in ((host.lan, gateway.lan), (host.pods, gateway.pods)):
        networks = {interface.network for interface in mine}
        for interface in theirs:
            if interface.network in networks:
                hops.setdefault(interface.version, interface.ip)
    if not hops:
        raise LabError(f"{host.name} cannot route through {gateway.name}: no subnet in common")
    return hops


def _named(hosts: Sequence[HostSpec], name: str) -> HostSpec:
    for host in hosts:
        if host.name == name:
            return host
    raise LabError(f"no host {name!r} to route through; there are {[h.name for h in hosts]}")


def _name(role: Role, ordinal: int) -> str:
    """Engines and nodes are always numbered, clients and edges from the second on."""
    bare = role in (Role.CLIENT, Role.EDGE) and ordinal == 1
    return str(role) if bare else f"{role}-{ordinal}"


def _pod_names(count: int) -> list[str]:
    """pod-a … pod-z, then pod-27 …"""
    return [f"pod-{chr(97 + i)}" if i < 26 else f"pod-{i + 1}" for i in range(count)]


def from_top(network: Network, rank: int) -> Interface:
    """The address of the host of this rank, counted from the top. LabError when there is none."""
    size = min(network.num_addresses, 256)
    offset = size - 2 - rank
    if offset < 1:
        raise LabError(f"{network} is too small for the hosts of this lab")
    if network.version == 6 and network.prefixlen <= 112:
        offset = int(str(offset), 16)
    else:
        offset += network.num_addresses - size
    return _interface(network, offset)


def _from_bottom(network: Network, offset: int) -> Interface:
    spelled = int(str(offset), 16) if network.version == 6 else offset
    if spelled >= network.num_addresses - 1:
        raise LabError(f"{network} is too small for the pods of this lab")
    return _interface(network, spelled)


def _interface(network: Network, offset: int) -> Interface:
    return ipaddress.ip_interface(f"{network[offset]}/{network.prefixlen}")
