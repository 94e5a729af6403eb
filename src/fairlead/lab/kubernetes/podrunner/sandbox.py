"""The network of one pod: a namespace with `eth0`, a veth pair straight to the node.

There is no bridge: each pod is a /32 (and /128) routed by its node, as Calico does it. So traffic
between two pods of a node, and a pod's traffic to a Service of which it is an endpoint itself, pass
the node's rules like any other. The node answers on each pair as the pods' gateway.
"""

from __future__ import annotations

import ipaddress
from collections import deque
from typing import TYPE_CHECKING, Final

from fairlead.lab import netns
from fairlead.lab.errors import LabError
from fairlead.lab.wiring import checksum_in_software, settle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fairlead.lab.topology import Address, Network

__all__ = ["AddressPool", "make_sandbox", "remove_sandbox"]

_FIRST: Final = 2
_MOST: Final = 250


class AddressPool:
    """The pod addresses of one node; one that is given back is used again last."""

    def __init__(self, networks: tuple[Network, ...]) -> None:
        self._networks = networks
        self._free = deque(range(_FIRST, _FIRST + _MOST))

    def take(self) -> tuple[int, tuple[Address, ...]]:
        """A number and its addresses. Raises OSError when none is left."""
        if not self._free:
            raise OSError("the node has no pod address left")
        number = self._free.popleft()
        return number, tuple(_numbered(network, number) for network in self._networks)

    def give_back(self, number: int) -> None:
        """The addresses of this number are free again."""
        self._free.append(number)


def gateway(network: Network) -> Address:
    """The node's address towards its pods."""
    return network[1]


def make_sandbox(namespace: str, port: str, addresses: tuple[Address, ...]) -> None:
    """Make the network of a pod; to be called in the node's namespace.

    Raises LabError; then nothing of it is left.
    """
    netns.ip_batch([f"netns add {namespace}"])
    try:
        settle(namespace, forwards=False)
        netns.ip_batch(_node_side(namespace, port, addresses))
        checksum_in_software(namespace, ["eth0"])
        netns.ip_batch(_pod_side(addresses), namespace=namespace)
    except LabError:
        netns.remove([namespace])
        raise


def remove_sandbox(namespace: str) -> None:
    """End what runs in a pod's network and remove it; nothing there is no error."""
    netns.end_processes([namespace])
    netns.remove([namespace])


def _node_side(namespace: str, port: str, addresses: tuple[Address, ...]) -> Iterator[str]:
    yield f"link add {port} type veth peer name eth0 netns {namespace}"
    for address in addresses:
        own = f"{_gateway_of(address)}/{address.max_prefixlen}"
        yield f"addr add {own} dev {port} {_quietly(address)}"
    yield f"link set {port} up"
    for address in addresses:
        yield f"route add {address}/{address.max_prefixlen} dev {port}"


def _pod_side(addresses: tuple[Address, ...]) -> Iterator[str]:
    yield "link set lo up"
    yield "link set eth0 up"
    for address in addresses:
        bits = address.max_prefixlen
        yield f"addr add {address}/{bits} dev eth0 {_quietly(address)}"
        yield f"route add {_gateway_of(address)}/{bits} dev eth0"
        everywhere = "::/0" if address.version == 6 else "0.0.0.0/0"
        yield f"route add {everywhere} via {_gateway_of(address)}"


def _quietly(address: Address) -> str:
    return "nodad" if address.version == 6 else ""


def _gateway_of(address: Address) -> Address:
    """The first address of the /24 or /64 that the address is in."""
    size = 24 if address.version == 4 else 64
    return gateway(ipaddress.ip_network(f"{address}/{size}", strict=False))


def _numbered(network: Network, number: int) -> Address:
    """The address of a number; the IPv6 one spells the same digits."""
    return network[int(str(number), 16) if network.version == 6 else number]
