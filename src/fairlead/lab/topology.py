"""What a lab consists of, as frozen data: hosts, their addresses, their routes and what they serve.

Two layer-2 segments exist, both bridges in one namespace of their own (the `switch`): `lan`, where
clients, engines, edges and nodes meet and where VIPs are announced, and `pods`, where pods and the
hosts that reach them meet. A segment has no router of its own and no way out: a host gets further
only through a host whose `forwards` is set, as on a real site.

Strings are taken by `HostSpec.of` and nowhere else; everything kept is an `ipaddress` object.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)
from typing import TYPE_CHECKING, Final

from fairlead.lab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["SWITCH", "Address", "HostSpec", "Interface", "Network", "Role", "Route", "Topology"]

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,12}")

Address = IPv4Address | IPv6Address
Interface = IPv4Interface | IPv6Interface
Network = IPv4Network | IPv6Network

SWITCH: Final = "switch"
"""The name of the namespace that holds the bridges; no host may have it."""


class Role(StrEnum):
    """What a host stands for. Engines and edges forward packets, the others do not."""

    CLIENT = "client"
    ENGINE = "engine"
    EDGE = "edge"
    NODE = "node"
    POD = "pod"

    @property
    def forwards(self) -> bool:
        return self in (Role.ENGINE, Role.EDGE)


@dataclass(frozen=True, slots=True)
class Route:
    """A static route of a host; `to` is `0.0.0.0/0` or `::/0` for the default."""

    to: Network
    via: Address


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSpec:
    """One host: a namespace with an interface named `lan` and/or one named `pods`.

    `tcp`, `udp` and `sctp` are the ports its echo server answers on, in both families.
    """

    name: str
    role: Role
    lan: tuple[Interface, ...] = ()
    pods: tuple[Interface, ...] = ()
    routes: tuple[Route, ...] = ()
    tcp: tuple[int, ...] = ()
    udp: tuple[int, ...] = ()
    sctp: tuple[int, ...] = ()

    @classmethod
    def of(
        cls,
        name: str,
        role: str,
        *,
        lan: Iterable[str] = (),
        pods: Iterable[str] = (),
        routes: Mapping[str, str] | None = None,
        tcp: Iterable[int] = (),
        udp: Iterable[int] = (),
        sctp: Iterable[int] = (),
    ) -> HostSpec:
        """Read a host from strings: `lan=["192.0.2.9/24"]`, `routes={"0.0.0.0/0": "192.0.2.1"}`.

        Raises ValueError for an address, network or role that is none.
        """
        return cls(
            name=name,
            role=Role(role),
            lan=tuple(ipaddress.ip_interface(text) for text in lan),
            pods=tuple(ipaddress.ip_interface(text) for text in pods),
            routes=tuple(
                Route(ipaddress.ip_network(to), ipaddress.ip_address(via))
                for to, via in (routes or {}).items()
            ),
            tcp=tuple(tcp),
            udp=tuple(udp),
            sctp=tuple(sctp),
        )

    @property
    def forwards(self) -> bool:
        """Whether the kernel of this host forwards packets between its interfaces."""
        return self.role.forwards

    @property
    def serves(self) -> bool:
        return bool(self.tcp or self.udp or self.sctp)


@dataclass(frozen=True, slots=True)
class Topology:
    """All hosts of a lab. Raises LabError when two clash or a name cannot be an interface name."""

    hosts: tuple[HostSpec, ...]

    def __post_init__(self) -> None:
        names: set[str] = set()
        taken: dict[tuple[str, Address], str] = {}
        for host in self.hosts:
            if not _NAME.fullmatch(host.name) or host.name == SWITCH:
                raise LabError(
                    f"lab host name {host.name!r}: use 1 to 13 of a-z, 0-9 and '-', not 'switch'"
                )
            if host.name in names:
                raise LabError(f"lab host {host.name!r} is there twice; names must be unique")
            names.add(host.name)
            for segment, interfaces in (("lan", host.lan), ("pods", host.pods)):
                for interface in interfaces:
                    holder = taken.setdefault((segment, interface.ip), host.name)
                    if holder != host.name:
                        raise LabError(f"{interface.ip} is given to {holder} and to {host.name}")
