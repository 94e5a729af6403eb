"""The machine itself as a :class:`~fairlead.drivers.bgp.host.Host`: FRR, routes, ARP settings.

Sockets belong to the network namespace of the thread that first uses them.
"""

import re
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec

from fairlead.drivers.base import DriverError
from fairlead.drivers.bgp import routes
from fairlead.drivers.bgp.arp import Settings
from fairlead.drivers.bgp.config import Running, parse
from fairlead.drivers.bgp.host import Daemon
from fairlead.drivers.bgp.house import House
from fairlead.drivers.bgp.vty import Answer, Vty
from fairlead.model.addresses import IPAddress

SETTLE = 1.0
"""The longest wait for routers to hear of a change, in seconds."""
LINGER = 0.15
"""How long a router may take to stop sending, once it heard."""
GONE = "Can't find static route"
"""What bgpd says when it shall withdraw what it does not announce."""
RESTARTING = 3.0
"""For how long a daemon may be away before that is an error: its owner starts it again."""

_WAITING = re.compile(r"^\W*(\d+) .* process_queue", re.MULTILINE)
_SECRET = re.compile(r"(password ).*")


class FrrHost:
    """FRR in a :class:`House`, and the kernel of its namespace."""

    def __init__(self, house: House) -> None:
        self.house = house
        self._settings = Settings()
        self._open: dict[Daemon, Vty] = {}

    def beat(self) -> bool:
        """Say that there is an agent; whether FRR runs."""
        return self.house.beat()

    def start(self) -> None:
        """Start it where it does not run."""
        if self.house.start():
            self.close()

    def stop(self) -> None:
        """End it."""
        self.close()
        self.house.stop()

    def close(self) -> None:
        """Close the connections."""
        while self._open:
            self._open.popitem()[1].close()

    def lost(self) -> bool:
        """Whether a connection broke."""
        return any(vty.lost for vty in self._open.values())

    def read(self, daemon: Daemon) -> Running:
        """Its running configuration."""
        return parse(self._vty(daemon).ask("show running-config"))

    def tell(self, daemon: Daemon, commands: Sequence[str]) -> list[str]:
        """One batch."""
        refused = self._vty(daemon).configure(commands)
        return [_refusal(*pair) for pair in refused if GONE not in pair[1].text]

    def settle(self) -> None:
        """Until bgpd is through with everything and the sessions have it, and a little for the
        other end."""
        deadline = time.monotonic() + SETTLE
        while time.monotonic() < deadline and not self._told():
            time.sleep(0.01)
        time.sleep(LINGER)

    def local(self) -> frozenset[IPAddress]:
        """Read from the kernel."""
        with _refusing("read the local routes"):
            return routes.read()

    def add(self, addresses: Collection[IPAddress]) -> Mapping[IPAddress, str]:
        """One batch."""
        if not addresses:
            return {}
        with _refusing("make VIPs local"):
            own = routes.look().own
            problems = {one: "the host itself has this address" for one in addresses if one in own}
            return {**problems, **routes.add([one for one in addresses if one not in own])}

    def delete(self, addresses: Collection[IPAddress]) -> Mapping[IPAddress, str]:
        """One batch."""
        with _refusing("remove local routes"):
            return routes.delete(addresses)

    def hush(self, addresses: Collection[IPAddress]) -> list[str]:
        """The ARP settings of the LANs."""
        with _refusing("read the interfaces"):
            lans = routes.look().lans
        return self._settings.hush(lans, addresses)

    def restore(self) -> None:
        """The ARP settings from before."""
        with _refusing("restore ARP settings"):
            self._settings.restore()

    def _vty(self, daemon: Daemon) -> Vty:
        """The connection, anew when it broke: an owner starts a dead daemon again at once."""
        if daemon in self._open and self._open[daemon].lost:
            self._open.pop(daemon).close()
        deadline = time.monotonic() + RESTARTING
        while daemon not in self._open:
            try:
                self._open[daemon] = Vty(self.house.vty(daemon))
            except DriverError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
        return self._open[daemon]

    def _told(self) -> bool:
        """Whether no route waits to be decided on, and none to be sent."""
        vty = self._vty("bgpd")
        waiting = _WAITING.search(vty.ask("show work-queues"))
        families = msgspec.json.decode(vty.ask("show bgp summary json"), type=dict[str, Any])
        tables = [table for table in families.values() if isinstance(table, dict)]
        return (waiting is None or waiting[1] == "0") and not any(
            peer.get("outq") for table in tables for peer in table.get("peers", {}).values()
        )


def _refusal(command: str, answer: Answer) -> str:
    said = " ".join(answer.text.split()).removeprefix("% ") or f"status {answer.status}"
    text = f"FRR refuses {command!r}: {said}"
    return _SECRET.sub(r"\1…", command) + " is refused by FRR" if "password" in text else text


@contextmanager
def _refusing(what: str) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise DriverError(f"bgp: may not {what}: run as root (CAP_NET_ADMIN)") from error
    except OSError as error:
        raise DriverError(f"bgp: cannot {what}: {error.strerror or error}") from error
