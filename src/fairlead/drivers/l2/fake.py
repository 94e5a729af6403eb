"""The announcer on a host that is only in memory: the driver's own rules, and a kernel's promises.

For tests of everything above the driver. It can be given foreign holders, interfaces that go down
or away, and addresses of the host itself; :meth:`FakeL2Driver.dump` shows what a reader of ``ip
addr`` would see of ours. A test runs the same steps on this host and on the kernel and compares.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from ipaddress import ip_interface, ip_network

from fairlead.drivers.l2.driver import L2Driver
from fairlead.drivers.l2.host import (
    AddressRow,
    Conflict,
    Edit,
    Link,
    ProbeResult,
    Snapshot,
    Station,
)
from fairlead.drivers.l2.render import order
from fairlead.model.addresses import IPAddress, canonical

LOOPBACK = Link(ifindex=1, name="lo", mac=bytes(6), up=True, lan=False, loopback=True)


class FakeHost:
    """Interfaces, addresses and neighbours in memory.

    ``holders``: who else answers for an address (MAC as text). ``announced``: every station that
    was announced, in order. ``forgotten``: every address whose flows were dropped, in order.
    """

    def __init__(self) -> None:
        self.links: dict[int, Link] = {LOOPBACK.ifindex: LOOPBACK}
        self.rows: list[AddressRow] = []
        self.holders: dict[IPAddress, str] = {}
        self.announced: list[Station] = []
        self.forgotten: list[IPAddress] = []
        self.attended: dict[IPAddress, Station] = {}

    def read(self) -> Snapshot:
        """The interfaces and addresses."""
        return Snapshot(dict(self.links), tuple(self.rows))

    def edit(self, edits: Sequence[Edit]) -> list[str]:
        """One after the other."""
        return [self._edit(edit) for edit in edits]

    def prepare(self, link: Link) -> str:
        """There is no kernel to keep quiet."""
        return ""

    def restore(self) -> None:
        """Nothing was changed."""

    def probe(self, stations: Collection[Station]) -> ProbeResult:
        """The holders answer at once."""
        conflicts = {
            address: Conflict(address, self.holders[address], link.name)
            for address, link in stations
            if address in self.holders
        }
        return ProbeResult(conflicts, {})

    def announce(self, stations: Sequence[Station]) -> Mapping[Link, str]:
        """Notes them."""
        self.announced += stations
        return {}

    def attend(self, stations: Collection[Station]) -> None:
        """Notes them."""
        self.attended = {one.address: one for one in stations}

    def rivals(self) -> Mapping[IPAddress, Conflict]:
        """Whoever answers for what is held."""
        return {
            address: Conflict(address, self.holders[address], station.link.name)
            for address, station in self.attended.items()
            if address in self.holders
        }

    def hush(self, addresses: Iterable[IPAddress]) -> None:
        """Nothing is repeated."""

    def forget_flows(self, addresses: Collection[IPAddress]) -> None:
        """Notes them."""
        self.forgotten += sorted(addresses, key=order)

    def close(self) -> None:
        """Nothing is open."""

    def _edit(self, edit: Edit) -> str:
        address, link = edit.station
        there = [row for row in self.rows if (row.address, row.ifindex) == (address, link.ifindex)]
        match edit.action:
            case "delete":
                self.rows = [row for row in self.rows if not (row in there and row.ours)]
            case _ if link.ifindex not in self.links:
                return "the interface is gone"
            case "add" if there:
                return "somebody else just added the address to this host: remove it there"
            case _ if not there:
                self.rows.append(AddressRow(link.ifindex, address, ip_network(address), ours=True))
        return ""


class FakeL2Driver(L2Driver):
    """The driver on a :class:`FakeHost` with the given interfaces.

    ``lans``: interface → the host's own addresses there, as ``10.0.0.1/24``.
    """

    def __init__(
        self, lans: Mapping[str, Iterable[str]], *, interfaces: Collection[str] | None = None
    ) -> None:
        self.host = FakeHost()
        super().__init__(interfaces=interfaces, host=self.host)
        for name, own in lans.items():
            self.plug(name, own)

    def plug(self, name: str, own: Iterable[str]) -> None:
        """Add an interface that is up, with addresses of the host."""
        index = max(self.host.links) + 1
        mac = bytes((2, 0)) + index.to_bytes(4)
        self.host.links[index] = Link(index, name, mac, up=True, lan=True, loopback=False)
        for text in own:
            self.own(name, text)

    def own(self, name: str, text: str) -> None:
        """Give the host itself an address, as ``10.0.0.1/24``."""
        interface = ip_interface(text)
        link = self._link(name)
        row = AddressRow(link.ifindex, interface.ip, interface.network, ours=False)
        self.host.rows.append(row)

    def unplug(self, name: str) -> None:
        """Take an interface away, and its addresses with it."""
        index = self._link(name).ifindex
        del self.host.links[index]
        self.host.rows = [row for row in self.host.rows if row.ifindex != index]

    def switch(self, name: str, *, up: bool) -> None:
        """Set an interface up or down; the kernel drops its IPv6 addresses when it goes down."""
        link = self._link(name)
        self.host.links[link.ifindex] = link._replace(up=up)
        if not up:
            self.host.rows = [
                row
                for row in self.host.rows
                if row.ifindex != link.ifindex or row.address.version == 4
            ]

    def hold(self, address: IPAddress, mac: str = "02:00:00:00:00:99") -> None:
        """Let another host of the LAN answer for an address."""
        self.host.holders[address] = mac

    def leave(self, address: IPAddress) -> None:
        """The other host is gone."""
        self.host.holders.pop(address, None)

    def lose(self, address: IPAddress) -> None:
        """Somebody deletes the address by hand."""
        self.host.rows = [row for row in self.host.rows if row.address != address]

    def dump(self) -> str:
        """Our addresses as ``INTERFACE ADDRESS`` lines, then conflicts, sorted."""
        held = sorted(
            (self.host.links[row.ifindex].name, order(row.address), canonical(row.address))
            for row in self.host.rows
            if row.ours
        )
        lines = [f"{name} {text}\n" for name, _, text in held]
        lines += [
            f"{one.interface} {canonical(one.address)} held by {one.mac}\n"
            for one in self.conflicts()
        ]
        return "".join(lines)

    def _link(self, name: str) -> Link:
        return next(link for link in self.host.links.values() if link.name == name)
