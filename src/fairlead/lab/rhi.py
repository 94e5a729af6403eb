"""Route health injection as AKO's users set it up: a router that peers with whatever engine comes.

`CISCO` is the router's configuration as it was written for a CSR 1000V: AS 6000, neighbours of AS
5000 from a range, BFD. `route_health()` is the network around it: engines in that range, a client
behind the router, pods behind the engines.
"""

from __future__ import annotations

from typing import Final

from fairlead.lab.topology import HostSpec, Topology

__all__ = [
    "CISCO",
    "INTERFACES",
    "NETWORK",
    "PATIENT",
    "ROUTER",
    "VIP",
    "engine_address",
    "route_health",
]

CISCO: Final = """\
!!! enable BGP using dynamic neighbors

router bgp 6000
 bgp log-neighbor-changes
 bgp listen range 10.10.16.192/27 peer-group AVI-PEERS
 bgp listen limit 32
 neighbor AVI-PEERS peer-group
 neighbor AVI-PEERS remote-as 5000
 neighbor AVI-PEERS fall-over bfd
 !
 address-family ipv4
  neighbor AVI-PEERS activate
  maximum-paths eibgp 10
 exit-address-family
!
!! Enable BFD for fast convergence
interface gigabitEthernet3
   ip address 10.10.16.250 255.255.255.0
   no shutdown
   bfd interval 50 min_rx 50 multiplier 5
"""

PATIENT: Final = CISCO.replace(
    "bfd interval 50 min_rx 50 multiplier 5", "bfd interval 500 min_rx 500 multiplier 3"
)
"""The same for a machine that is busy with other things: 250 ms without a packet mean nothing."""

INTERFACES: Final = {"gigabitEthernet3": "lan"}
ROUTER: Final = "10.10.16.250"
NETWORK: Final = "10.10.16.0/24"
VIP: Final = "10.10.16.224"
_FIRST: Final = 192


def engine_address(number: int) -> str:
    """The address of `engine-NUMBER`, counted from 1, as AKO's Service Engines had them."""
    return f"10.10.16.{_FIRST - 1 + number}"


def route_health(*, engines: int = 3, pods: int = 1, neighbours: int = 1) -> Topology:
    """`router`, `engine-1`…, `client` behind the router, `near-1`… on the engines' LAN, `pod-a`….

    Both families; the IPv6 addresses spell the same digits in `fd00:16::/64`.
    """
    router = HostSpec.of(
        "router",
        "edge",
        lan=[f"{ROUTER}/24", "fd00:16::250/64"],
        pods=["10.99.0.1/24", "fd00:99::1/64"],
    )
    client = HostSpec.of(
        "client",
        "client",
        pods=["10.99.0.10/24", "fd00:99::10/64"],
        routes={"0.0.0.0/0": "10.99.0.1", "::/0": "fd00:99::1"},
    )
    return Topology(
        (
            router,
            client,
            *(_near(number) for number in range(1, neighbours + 1)),
            *(_engine(number) for number in range(1, engines + 1)),
            *(_pod(number) for number in range(pods)),
        )
    )


def _engine(number: int) -> HostSpec:
    last = engine_address(number).rpartition(".")[2]
    return HostSpec.of(
        f"engine-{number}",
        "engine",
        lan=[f"{engine_address(number)}/24", f"fd00:16::{last}/64"],
        pods=[f"10.244.0.{number}/16", f"fd00:244::{number}/64"],
        routes={"0.0.0.0/0": ROUTER, "::/0": "fd00:16::250"},
    )


def _near(number: int) -> HostSpec:
    return HostSpec.of(
        f"near-{number}",
        "client",
        lan=[f"10.10.16.{9 + number}/24", f"fd00:16::{9 + number}/64"],
        routes={"0.0.0.0/0": ROUTER, "::/0": "fd00:16::250"},
    )


def _pod(index: int) -> HostSpec:
    return HostSpec.of(
        f"pod-{chr(97 + index)}",
        "pod",
        pods=[f"10.244.0.{100 + index}/16", f"fd00:244::{100 + index}/64"],
        tcp=[8080],
        udp=[8080],
    )
