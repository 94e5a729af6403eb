"""What the announcer sees of a host and asks of it.

One protocol, two hosts: :class:`fairlead.drivers.l2.kernel.KernelHost` is the machine,
:class:`fairlead.drivers.l2.fake.FakeHost` keeps the same promises in memory. The driver's rules run
unchanged on both, so that a test against the fake is a test of the rules.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

from fairlead.model.addresses import IPAddress, IPNetwork


class Link(NamedTuple):
    """A network interface. ``up``: set up by the administrator. ``carrier``: there is a cable with
    somebody at its other end, and the interface that this one lies on is up, if it lies on one.

    ``lan``: it speaks ARP and neighbour discovery over Ethernet, as bridges, VLANs and bonds do;
    loopback, point-to-point and NOARP interfaces do not.
    """

    ifindex: int
    name: str
    mac: bytes
    up: bool
    lan: bool
    loopback: bool
    carrier: bool = True


class AddressRow(NamedTuple):
    """An address of an interface; ``network``: the subnet it opens; ``ours``: it bears our mark."""

    ifindex: int
    address: IPAddress
    network: IPNetwork
    ours: bool


class Snapshot(NamedTuple):
    """The interfaces by index and all their addresses, in the kernel's order."""

    links: Mapping[int, Link]
    rows: tuple[AddressRow, ...]


class Station(NamedTuple):
    """An address and the interface that is, or shall be, its place."""

    address: IPAddress
    link: Link


class Edit(NamedTuple):
    """One line of an address batch. ``renew``: it is there and ours, its lifetime starts anew."""

    action: Literal["add", "renew", "delete"]
    station: Station


class Conflict(NamedTuple):
    """Somebody else on the LAN of ``interface`` uses ``address``; ``mac`` is ``aa:bb:cc:…``."""

    address: IPAddress
    mac: str
    interface: str


class ProbeResult(NamedTuple):
    """Who answered, and which interfaces could not be probed and why."""

    conflicts: Mapping[IPAddress, Conflict]
    problems: Mapping[Link, str]


class Host(Protocol):
    """The machine's side of the announcer. Its methods raise
    :class:`~fairlead.drivers.base.DriverError` when the machine as a whole refuses."""

    def read(self) -> Snapshot:
        """The interfaces and addresses that are there."""
        ...

    def edit(self, edits: Sequence[Edit]) -> list[str]:
        """Do the edits as one batch; per edit "" or what went wrong.

        Deleting what is not there is success. Adding never replaces what somebody else added.
        """
        ...

    def prepare(self, link: Link) -> str:
        """See to it that the kernel answers ARP for VIPs there and never asks in their name.

        "" or what went wrong.
        """
        ...

    def restore(self) -> None:
        """Undo what :meth:`prepare` changed."""
        ...

    def probe(self, stations: Collection[Station]) -> ProbeResult:
        """Ask the LANs whether somebody has the addresses, all at once (RFC 5227, RFC 4862)."""
        ...

    def announce(self, stations: Sequence[Station]) -> Mapping[Link, str]:
        """Say now, and repeat, that the addresses are here; what went wrong per interface."""
        ...

    def attend(self, stations: Collection[Station]) -> None:
        """Listen from now on whether somebody else uses exactly these, which are held here, and
        defend them (RFC 5227 §2.4)."""
        ...

    def rivals(self) -> Mapping[IPAddress, Conflict]:
        """Who else uses which of them. Cheap."""
        ...

    def hush(self, addresses: Iterable[IPAddress]) -> None:
        """Stop repeating for these: when this returns, no announcement of them leaves any more."""
        ...

    def forget_flows(self, addresses: Collection[IPAddress]) -> None:
        """Drop the connection tracking entries in which the addresses occur."""
        ...

    def close(self) -> None:
        """Stop all repeating and give sockets back. The host stays usable."""
        ...
