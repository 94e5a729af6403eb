"""Turning a topology into namespaces, bridges, addresses and routes.

Everything is made inside the lab's own namespaces: a veth pair is created in the switch's
namespace with its other end directly in the host's, so nothing ever appears in, or leads to, the
namespace of the machine. Kernel settings are written per namespace before the interfaces come up,
and all that matter are written, because IPv4 defaults are inherited from the machine.
"""

from __future__ import annotations

import ctypes
import fcntl
import socket
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fairlead.lab import netns
from fairlead.lab.errors import LabUnavailable
from fairlead.lab.state import Record, namespace_of
from fairlead.lab.topology import SWITCH, HostSpec, Interface

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["SEGMENTS", "build", "checksum_in_software", "port_name", "settle"]

SEGMENTS: Final = ("lan", "pods")

_SIOCETHTOOL: Final = 0x8946
_ETHTOOL_STXCSUM: Final = 0x17

# DAD off: an IPv6 address is usable at once. Redirects and reverse-path checks off: engines hand
# packets back out of the interface they came from. ICMP limits off: a refusal is always seen.
_QUIET: Final = {
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "0",
    "net/ipv4/conf/all/arp_ignore": "0",
    "net/ipv4/conf/default/arp_ignore": "0",
    "net/ipv4/conf/all/arp_announce": "0",
    "net/ipv4/conf/default/arp_announce": "0",
    "net/ipv4/conf/all/send_redirects": "0",
    "net/ipv4/conf/default/send_redirects": "0",
    "net/ipv4/conf/all/accept_redirects": "0",
    "net/ipv4/conf/default/accept_redirects": "0",
    "net/ipv4/icmp_ratemask": "0",
    "net/ipv6/icmp/ratelimit": "0",
    "net/ipv6/conf/all/disable_ipv6": "0",
    "net/ipv6/conf/default/disable_ipv6": "0",
    "net/ipv6/conf/all/accept_dad": "0",
    "net/ipv6/conf/default/accept_dad": "0",
    "net/ipv6/conf/default/dad_transmits": "0",
    "net/ipv6/conf/default/accept_ra": "0",
    "net/ipv6/conf/default/router_solicitations": "0",
}


def build(record: Record) -> None:
    """Make the network of this lab. Raises LabError or LabUnavailable; then part of it exists."""
    hosts = record.topology.hosts
    netns.create(record.namespaces)
    switch = namespace_of(record.name, SWITCH)
    settle(switch, forwards=False, addresses=False)
    for host in hosts:
        settle(namespace_of(record.name, host.name), forwards=host.forwards)
    netns.ip_batch(_switch_commands(record.name, hosts), namespace=switch)
    checksum_in_software(switch, [port for host in hosts for port in _ports(host)])
    for host in hosts:
        inside = namespace_of(record.name, host.name)
        checksum_in_software(inside, [segment for segment, _ in _attached(host)])
        netns.ip_batch(_host_commands(host), namespace=inside)


def port_name(host: str, segment: str) -> str:
    """The switch's interface towards this host on this segment; at most 15 characters."""
    return f"{segment[0]}-{host}"


def _attached(host: HostSpec) -> list[tuple[str, Sequence[Interface]]]:
    """The segments of the host. A host without any address is still on the LAN, as a bare port."""
    segments = [("lan", host.lan), ("pods", host.pods)]
    return [(name, addresses) for name, addresses in segments if addresses] or [("lan", ())]


def _ports(host: HostSpec) -> list[str]:
    return [port_name(host.name, segment) for segment, _ in _attached(host)]


def _switch_commands(lab: str, hosts: Sequence[HostSpec]) -> Iterator[str]:
    for segment in SEGMENTS:
        yield f"link add {segment} type bridge stp_state 0 forward_delay 0 mcast_snooping 0"
        yield f"link set {segment} up"
    for host in hosts:
        for segment, _ in _attached(host):
            port = port_name(host.name, segment)
            inside = namespace_of(lab, host.name)
            yield f"link add {port} type veth peer name {segment} netns {inside}"
            yield f"link set {port} master {segment} up"


def _host_commands(host: HostSpec) -> Iterator[str]:
    yield "link set lo up"
    for segment, addresses in _attached(host):
        yield f"link set {segment} up"
        for address in addresses:
            flags = "nodad" if address.version == 6 else "brd +"
            yield f"addr add {address} {flags} dev {segment}"
    for route in host.routes:
        yield f"route add {route.to} via {route.via}"


def settle(namespace: str, *, forwards: bool, addresses: bool = True) -> None:
    """Write the kernel settings of a host into its namespace.

    `forwards` holds for interfaces that are there and for those to come. Without `addresses` no
    interface gets one by itself. Raises LabUnavailable when the kernel lacks a protocol.
    """
    settings = dict(_QUIET)
    if not addresses:  # a bridge with addresses would be one more host on its segments
        settings["net/ipv6/conf/all/disable_ipv6"] = "1"
        settings["net/ipv6/conf/default/disable_ipv6"] = "1"
    settings["net/ipv4/ip_forward"] = str(int(forwards))
    settings["net/ipv6/conf/all/forwarding"] = str(int(forwards))
    settings["net/ipv6/conf/default/forwarding"] = str(int(forwards))

    def write() -> None:
        for key, value in settings.items():
            try:
                Path("/proc/sys", key).write_text(value)
            except FileNotFoundError:
                raise LabUnavailable(
                    f"the lab needs a kernel with IPv4 and IPv6; this one has no {key}"
                ) from None

    netns.call_inside(netns.NETNS_DIR / namespace, write)


def checksum_in_software(namespace: str, interfaces: Sequence[str]) -> None:
    """Turn transmit checksum offload off: a veth never fills in what it promised to.

    Captures, raw sockets and SCTP through NAT would see packets with wrong checksums otherwise.
    """

    def switch_off() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            for interface in interfaces:
                value = ctypes.create_string_buffer(struct.pack("II", _ETHTOOL_STXCSUM, 0))
                request = struct.pack("16sP", interface.encode(), ctypes.addressof(value))
                fcntl.ioctl(control, _SIOCETHTOOL, request)

    netns.call_inside(netns.NETNS_DIR / namespace, switch_off)
