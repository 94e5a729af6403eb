"""The machine itself as a :class:`~fairlead.drivers.l2.host.Host`.

Sockets are made when they are needed, in the network namespace of the calling thread.
"""

import errno
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from fairlead.drivers.base import DriverError
from fairlead.drivers.l2 import addresses, conntrack, sysctl
from fairlead.drivers.l2.announce import REPEATS, Announcer
from fairlead.drivers.l2.host import Conflict, Edit, Link, ProbeResult, Snapshot, Station
from fairlead.drivers.l2.netlink import ROUTE, Netlink
from fairlead.drivers.l2.probe import ProbeTiming, probe_all
from fairlead.drivers.l2.sentry import Sentry
from fairlead.model.addresses import IPAddress

GONE = (errno.EADDRNOTAVAIL, errno.ENODEV)
"""What the kernel says to a deletion when address or interface are not there."""


class KernelHost:
    """Addresses, ARP and neighbour discovery of this network namespace.

    ``lifetime``: seconds until the kernel drops an address that nobody renews; None: never.
    """

    def __init__(
        self,
        *,
        lifetime: int | None = None,
        timing: ProbeTiming | None = None,
        repeats: Sequence[float] = REPEATS,
    ) -> None:
        self._lifetime = addresses.FOREVER if lifetime is None else lifetime
        self._timing = timing or ProbeTiming()
        self._announcer = Announcer(repeats)
        self._sentry = Sentry(lambda station: self._announcer.announce([station]))
        self._macs: frozenset[bytes] = frozenset()
        self._before: dict[str, int] = {}

    def read(self) -> Snapshot:
        """All interfaces and addresses."""
        with _refusal("read the interfaces and addresses"), Netlink(ROUTE) as netlink:
            found = addresses.read(netlink)
        self._macs = frozenset(link.mac for link in found.links.values())
        return found

    def edit(self, edits: Sequence[Edit]) -> list[str]:
        """One batch; per edit "" or what the kernel said."""
        if not edits:
            return []
        messages = [addresses.message(edit, lifetime=self._lifetime) for edit in edits]
        with _refusal("change addresses"), Netlink(ROUTE) as netlink:
            results = netlink.batch(messages)
        return [_said(edit, code) for edit, code in zip(edits, results, strict=True)]

    def prepare(self, link: Link) -> str:
        """Set ``arp_announce=2`` where it is not in force; refuse where ARP is not answered."""
        try:
            if sysctl.silenced(link.name):
                setting = f"net.ipv4.conf.{link.name}.arp_ignore"
                return f"{setting} is 8, so nobody could find a VIP: set 0 or 1"
            before = sysctl.arp_announce(link.name)
        except OSError as error:
            setting = f"net.ipv4.conf.{link.name}.arp_announce=2"
            return f"cannot set {setting} ({error.strerror}): set it on the host"
        if before is not None:
            self._before.setdefault(link.name, before)
        return ""

    def restore(self) -> None:
        """Give ``arp_announce`` its value from before, on interfaces that still exist."""
        while self._before:
            interface, value = self._before.popitem()
            with _refusal(f"restore arp_announce of {interface}"):
                _write_if_there(interface, value)

    def probe(self, stations: Collection[Station]) -> ProbeResult:
        """Ask the LANs; takes as long as the timing says."""
        own = {link.mac for link in self.read().links.values()}
        with _refusal("probe for other holders"):
            return probe_all(stations, timing=self._timing, own=own)

    def announce(self, stations: Sequence[Station]) -> Mapping[Link, str]:
        """First burst now, repeats from a thread."""
        return self._announcer.announce(stations)

    def hush(self, addresses: Iterable[IPAddress]) -> None:
        """No announcement of these leaves after the return."""
        self._announcer.hush(addresses)

    def attend(self, stations: Collection[Station]) -> None:
        """Listen for these."""
        self._sentry.attend(stations, self._macs)

    def rivals(self) -> Mapping[IPAddress, Conflict]:
        """What was heard."""
        return self._sentry.rivals()

    def forget_flows(self, addresses: Collection[IPAddress]) -> None:
        """Delete their connection tracking entries."""
        with _refusal("delete connection tracking entries"):
            conntrack.forget_flows(addresses)

    def close(self) -> None:
        """End the announcer's thread, and the sentry's."""
        self._sentry.close()
        self._announcer.close()


@contextmanager
def _refusal(what: str) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise DriverError(
            f"l2: may not {what}: run as root (CAP_NET_ADMIN, CAP_NET_RAW)"
        ) from error
    except OSError as error:
        raise DriverError(f"l2: cannot {what}: {error.strerror or error}") from error


def _said(edit: Edit, code: int) -> str:
    if code == 0 or (edit.action == "delete" and code in GONE):
        return ""
    match code:
        case errno.ENODEV:
            return "the interface is gone"
        case errno.EEXIST:
            return "somebody else just added the address to this host: remove it there"
        case errno.EACCES if edit.station.address.version == 6:
            return "IPv6 is disabled on the interface (net.ipv6.conf.*.disable_ipv6)"
        case errno.EPERM:
            return "not permitted: run as root (CAP_NET_ADMIN)"
    return f"the kernel refused the address: {os.strerror(code)}"


def _write_if_there(interface: str, value: int) -> None:
    try:
        sysctl.write(interface, value)
    except FileNotFoundError:
        return  # the interface is gone, and its setting with it
