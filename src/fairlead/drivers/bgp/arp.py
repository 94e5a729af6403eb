"""Routed VIPs are nobody's on the LAN, also where they lie in its subnet.

Every engine that serves such a VIP has it as a local address. So that none of them says so by ARP:

- ``arp_announce=2``: the kernel never asks for a neighbour in the name of a VIP, which routers take
  for an announcement or ignore.
- ``arp_ignore=1``, only where a VIP lies in a subnet of the interface: the kernel answers for the
  addresses of the interface itself and for no others. VIPs that are announced by ARP are such
  addresses.

IPv6 needs neither: a local route is not answered for.
"""

from collections.abc import Collection, Iterable
from pathlib import Path

from fairlead.drivers.bgp.routes import Lan
from fairlead.model.addresses import IPAddress

_CONF = Path("/proc/sys/net/ipv4/conf")


class Settings:
    """The settings that were raised, and their values from before."""

    def __init__(self) -> None:
        self._before: dict[Path, int] = {}

    def hush(self, lans: Iterable[Lan], vips: Collection[IPAddress]) -> list[str]:
        """See to it that no LAN hears of the VIPs; what could not be set."""
        problems = []
        for lan in lans:
            if any(vip.version == 4 for vip in vips):
                problems += self._raise(lan.name, "arp_announce", 2)
            if any(vip in row.network for row in lan.networks for vip in vips):
                problems += self._raise(lan.name, "arp_ignore", 1)
        return problems

    def restore(self) -> None:
        """Give the settings their values from before, on interfaces that still exist."""
        while self._before:
            path, value = self._before.popitem()
            try:
                path.write_text(f"{value}\n")
            except FileNotFoundError:
                continue  # the interface is gone, and its setting with it

    def _raise(self, interface: str, name: str, least: int) -> list[str]:
        """The kernel uses the larger of the interface's value and that of ``all``."""
        path = _CONF / interface / name
        try:
            own = int(path.read_text())
            if max(own, int((_CONF / "all" / name).read_text())) >= least:
                return []
            path.write_text(f"{least}\n")
        except OSError as error:
            setting = f"net.ipv4.conf.{interface}.{name}={least}"
            return [f"cannot set {setting} ({error.strerror}): set it on the host"]
        self._before.setdefault(path, own)
        return []
