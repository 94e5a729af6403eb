"""Interfaces: which one a lease is asked for on, and the macvlan by which its MAC is heard there.

The macvlan carries nothing but the traffic of the lease: no address, no ARP, no IPv6. What remains
of an agent that was killed is found by name and alias, and speaks to nobody meanwhile.
"""

import errno
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from ipaddress import ip_address, ip_interface
from re import fullmatch
from typing import Any, NamedTuple

from pyroute2 import IPRoute, NetlinkError

from fairlead.drivers.base import DriverError
from fairlead.drivers.dhcp.exchange import Parent
from fairlead.model.addresses import IPAddress
from fairlead.model.dhcp import LeaseKey

PREFIX = "fldh"
ALIAS = "fairlead lease "
"""With the name of the lease behind it."""
TAKEN = (errno.EOPNOTSUPP, errno.EINVAL, errno.EBUSY)
"""What the kernel says where an interface takes no macvlan (a bridge's port, a wireless one)."""
NEVER = ("lo",)


class Macvlan(NamedTuple):
    """One of ours. ``lease``: the name of what it is for; ``parent``: the number of its parent."""

    name: str
    lease: str
    mac: str
    parent: int


class Card(NamedTuple):
    """An interface that leads to a LAN, with its own subnets."""

    parent: Parent
    up: bool
    subnets: tuple[str, ...]
    default: bool


def macvlan_name(key: LeaseKey) -> str:
    """At most 15 characters (IFNAMSIZ), and as good as unique."""
    digest = blake2b(key.name.encode(), digest_size=5).hexdigest()
    return f"{PREFIX}{digest}"


class Links:
    """The interfaces of the network namespace of the calling thread.

    ``allowed``: the interfaces that may carry VIPs; none: all.
    """

    def __init__(self, allowed: Collection[str] = ()) -> None:
        self._allowed = frozenset(allowed)
        self._route: Any = None
        self._cards: list[Card] | None = None

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Within the block there is one connection to the kernel and one look at its interfaces:
        many leases come together, and each look costs as much as a lease."""
        with IPRoute() as route:
            self._route, self._cards = route, None
            try:
                yield
            finally:
                self._route = self._cards = None

    @contextmanager
    def _open(self) -> Iterator[Any]:
        if self._route is not None:
            yield self._route
            return
        with IPRoute() as route:
            yield route

    def ours(self) -> list[Macvlan]:
        """Every macvlan of ours that is there."""
        with self._open() as route:
            return [*_ours(route)]

    def parent(self, name: str, address: IPAddress | None) -> Parent:
        """The interface for a lease: the one that is named, else the one whose subnet has the
        address, else the one that is likely meant. Raises DriverError."""
        with self._open() as route:
            if self._cards is None or self._route is None:
                self._cards = [*_cards(route)]
        cards = [card for card in self._cards if self._may(card.parent.name)]
        if name:
            found = [card for card in cards if card.parent.name == name]
            if not found:
                raise DriverError(f"dhcp: there is no interface {name} that may carry VIPs")
        else:
            found = _fitting(cards, address)
        if not found:
            raise DriverError(
                "dhcp: there is no interface with a subnet to ask on: name one in "
                "kube-vip.io/serviceInterface, or in the configuration (interfaces)"
            )
        if not found[0].up:
            raise DriverError(f"dhcp: interface {found[0].parent.name} is down")
        return found[0].parent

    def _may(self, name: str) -> bool:
        return name not in NEVER and (not self._allowed or name in self._allowed)

    def add(self, key: LeaseKey, parent: Parent, mac: str) -> bool:
        """Have the parent hear unicast for a MAC; False where it takes no macvlan, and the server
        must answer by broadcast instead. Raises DriverError."""
        name = macvlan_name(key)
        with self._open() as route:
            self._remove(route, name)
            try:
                route.link(
                    "add", ifname=name, kind="macvlan", link=parent.number, address=mac,
                    macvlan_mode="private",
                )  # fmt: skip
                number = route.link_lookup(ifname=name)[0]
                _silence(route, number)
                route.link("set", index=number, arp=False, ifalias=ALIAS + key.name)
                route.link("set", index=number, state="up")
            except NetlinkError as error:
                self._remove(route, name)
                if error.code in TAKEN:
                    return False
                raise DriverError(f"dhcp: cannot make macvlan {name}: {error}") from error
        return True

    def remove(self, names: Collection[str]) -> None:
        """Remove some of ours; one that is not there is removed already."""
        with self._open() as route:
            for name in names:
                self._remove(route, name)

    def _remove(self, route: Any, name: str) -> None:
        for number in route.link_lookup(ifname=name):
            try:
                route.link("del", index=number)
            except NetlinkError as error:
                if error.code != errno.ENODEV:
                    raise DriverError(f"dhcp: cannot remove macvlan {name}: {error}") from error


def _silence(route: Any, number: int) -> None:
    """No IPv6 address on an interface: with one it would tell the LAN of itself. By netlink, since
    /proc/sys may be read-only in a container; a kernel without IPv6 has nothing to silence."""
    none = [["IFLA_INET6_ADDR_GEN_MODE", 1]]
    spec = {"attrs": [["AF_INET6", {"attrs": none}]]}
    try:
        route.link("set", index=number, IFLA_AF_SPEC=spec)
    except NetlinkError as error:
        if error.code != errno.EAFNOSUPPORT:
            raise


def _ours(route: Any) -> Iterator[Macvlan]:
    for link in route.get_links():
        name, alias = link.get_attr("IFLA_IFNAME"), link.get_attr("IFLA_IFALIAS") or ""
        info = link.get_attr("IFLA_LINKINFO")
        kind = info.get_attr("IFLA_INFO_KIND") if info is not None else ""
        if kind == "macvlan" and fullmatch(PREFIX + "[0-9a-f]{10}", name):
            mac, parent = link.get_attr("IFLA_ADDRESS"), link.get_attr("IFLA_LINK") or 0
            yield Macvlan(name, alias.removeprefix(ALIAS), mac, parent)


def _cards(route: Any) -> Iterator[Card]:
    own: dict[int, list[str]] = {}
    for row in route.get_addr():
        text = f"{row.get_attr('IFA_ADDRESS')}/{row['prefixlen']}"
        own.setdefault(row["index"], []).append(text)
    routes = route.get_default_routes(family=2)
    defaults = {one.get_attr("RTA_OIF") for one in routes}
    for link in route.get_links():
        number, name = link["index"], link.get_attr("IFLA_IFNAME")
        mac, texts = link.get_attr("IFLA_ADDRESS"), own.get(number, [])
        if name.startswith(PREFIX) or not mac or link["flags"] & 0x80:  # IFF_NOARP
            continue
        parent = Parent(name, number, mac, _first(texts), _link_local(texts))
        lans = tuple(text for text in texts if not _single(text))
        yield Card(parent, link.get_attr("IFLA_OPERSTATE") != "DOWN", lans, number in defaults)


def _single(text: str) -> bool:
    """Whether it opens no subnet: a VIP, or a link-local address, which is on every interface."""
    found = ip_interface(text)
    return found.network.num_addresses == 1 or found.ip.is_link_local


def _first(texts: Collection[str]) -> str:
    """The first own IPv4 address that is no VIP."""
    four = (text.partition("/")[0] for text in texts if ":" not in text and not _single(text))
    return next(four, "")


def _link_local(texts: Collection[str]) -> str:
    found = (text.partition("/")[0] for text in texts if ":" in text)
    return next((text for text in found if ip_address(text).is_link_local), "")


def _fitting(cards: Collection[Card], address: IPAddress | None) -> list[Card]:
    """The interface of an address, else that of the default route, else the first one; a server
    that is somewhere else does not answer, and who reads that sees where it was asked for."""
    if address is not None:
        near = [card for card in cards if any(_holds(text, address) for text in card.subnets)]
        if near:
            return near
    leading = [card for card in cards if card.default]
    addressed = [card for card in cards if card.subnets and card.up]
    return leading or sorted(addressed, key=lambda card: card.parent.number)


def _holds(text: str, address: IPAddress) -> bool:
    network = ip_interface(text).network
    return network.version == address.version and address in network
