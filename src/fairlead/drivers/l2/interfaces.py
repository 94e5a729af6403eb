"""Where a VIP belongs: the interface whose subnet holds it, else the loopback interface.

Subnets are those of the host's own addresses; the longest prefix wins. Loopback, point-to-point and
NOARP interfaces have no neighbours to tell, so they are no candidates. An address in no subnet is a
*routed* VIP: it goes on ``lo``, where no ARP is spoken.

The kernel drops the IPv6 addresses, and so the subnets, of an interface that is set down, and all
of one that is removed. Taking a VIP for a routed one then would hide the fault, so subnets once
seen are remembered (:data:`Memory`) and a missing interface is named instead. For the same reason
no VIP is taken for a routed one while an interface that the configuration lists is not there.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from fairlead.drivers.l2.host import AddressRow, Link, Snapshot
from fairlead.model.addresses import IPAddress, IPNetwork

Memory = Mapping[IPNetwork, str]
"""Subnets seen before, with the name of their interface."""

ROUTED = "lo"
"""How failures name the place of routed VIPs when there is not even a loopback interface."""


class Lan(NamedTuple):
    """A subnet and its interface."""

    network: IPNetwork
    link: Link


class Missing(NamedTuple):
    """No place for an address, because of ``interface``."""

    interface: str
    problem: str


def lans(snapshot: Snapshot, allowed: Collection[str] | None) -> tuple[Lan, ...]:
    """The subnets a VIP can be in, longest prefix first, interfaces that are up before others.

    ``allowed``: only these interfaces (None: all). Our own marked addresses open no subnet, nor do
    IPv6 link-local addresses, whose subnet is the same on every interface.
    """
    found = {
        Lan(row.network, link)
        for row in snapshot.rows
        if _opens_subnet(row)
        and (link := snapshot.links.get(row.ifindex)) is not None
        and link.lan
        and (allowed is None or link.name in allowed)
    }
    return tuple(
        sorted(found, key=lambda lan: (-lan.network.prefixlen, not lan.link.up, lan.link.ifindex))
    )


def _opens_subnet(row: AddressRow) -> bool:
    return not row.ours and not (row.address.version == 6 and row.address.is_link_local)


def remember(memory: Memory, current: Collection[Lan], links: Mapping[int, Link]) -> Memory:
    """The memory after a look at the host.

    What an interface that is up has no longer is forgotten: somebody renumbered it.
    """
    present = {link.name for link in links.values() if link.up}
    kept = {network: name for network, name in memory.items() if name not in present}
    return kept | {lan.network: lan.link.name for lan in current}


def choose(
    address: IPAddress,
    current: Collection[Lan],
    *,
    memory: Memory,
    links: Mapping[int, Link],
    allowed: Collection[str] | None,
) -> Link | Missing:
    """The interface for a VIP, which is up, or what is in the way."""
    for lan in current:
        if address in lan.network:
            return lan.link if lan.link.up else Missing(lan.link.name, "the interface is down")
    up = {link.name: link.up for link in links.values()}
    for network, name in memory.items():
        if address in network:
            return Missing(name, f"the interface is {_state(name, up)}; it held {network}")
    for name in sorted(allowed or ()):
        if not up.get(name, False):
            return Missing(
                name, f"the interface is {_state(name, up)}, and no other has the subnet"
            )
    return _loopback(links)


def named(
    name: str, *, links: Mapping[int, Link], allowed: Collection[str] | None
) -> Link | Missing:
    """The interface that is asked for by name, whatever its subnets, or what is in the way."""
    if allowed is not None and name not in allowed:
        return Missing(name, "it is asked for, and not among the interfaces that may carry VIPs")
    for link in links.values():
        if link.name == name:
            return link if link.up else Missing(name, "the interface is down")
    return Missing(name, "it is asked for, and there is no such interface")


def _state(name: str, up: Mapping[str, bool]) -> str:
    return "down" if name in up else "gone"


def _loopback(links: Mapping[int, Link]) -> Link | Missing:
    loopback = next((link for link in links.values() if link.loopback), None)
    match loopback:
        case None:
            return Missing(ROUTED, "there is no loopback interface for a routed VIP")
        case Link(up=False, name=name):
            return Missing(name, "the interface is down: ip link set dev lo up")
        case found:
            return found
