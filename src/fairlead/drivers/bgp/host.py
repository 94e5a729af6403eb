"""What the driver sees of a host and asks of it.

One protocol, two hosts: :class:`fairlead.drivers.bgp.frr.FrrHost` is the machine,
:class:`fairlead.drivers.bgp.fake.FakeHost` keeps the same promises in memory. The driver's rules
run unchanged on both, so that a test against the fake is a test of the rules.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Literal, Protocol

from fairlead.drivers.bgp.config import Running
from fairlead.model.addresses import IPAddress

Daemon = Literal["bgpd", "bfdd"]


class Host(Protocol):
    """Its methods raise :class:`~fairlead.drivers.base.DriverError` when the host as a whole
    refuses."""

    def beat(self) -> bool:
        """Say that there is an agent; whether FRR runs."""
        ...

    def start(self) -> None:
        """See to it that FRR runs."""
        ...

    def stop(self) -> None:
        """End FRR; routers forget at once what it announced. Idempotent."""
        ...

    def lost(self) -> bool:
        """Whether a daemon ended since it was last spoken to. Cheap."""
        ...

    def read(self, daemon: Daemon) -> Running:
        """What a daemon runs."""
        ...

    def tell(self, daemon: Daemon, commands: Sequence[str]) -> list[str]:
        """Run commands from the top of the configuration; what was refused and why, without
        passwords."""
        ...

    def settle(self) -> None:
        """Wait, within bounds, until routers that are reached have heard of all changes."""
        ...

    def local(self) -> frozenset[IPAddress]:
        """The addresses that we made local."""
        ...

    def add(self, addresses: Collection[IPAddress]) -> Mapping[IPAddress, str]:
        """Make addresses local; what went wrong, by address. Those of the host itself are
        refused."""
        ...

    def delete(self, addresses: Collection[IPAddress]) -> Mapping[IPAddress, str]:
        """Undo that; deleting what is not there is success."""
        ...

    def hush(self, addresses: Collection[IPAddress]) -> list[str]:
        """See to it that no LAN hears of the addresses by ARP; what could not be set."""
        ...

    def close(self) -> None:
        """Give connections back; everything stays as it is."""
        ...

    def restore(self) -> None:
        """Undo what :meth:`hush` set."""
        ...
