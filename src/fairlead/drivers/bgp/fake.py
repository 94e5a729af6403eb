"""The speaker on a host that is only in memory: the driver's own rules, and FRR's promises.

For tests of everything above the driver. FRR can be broken by hand (:attr:`FakeHost.bgpd` takes
commands) and killed; :meth:`FakeBgpDriver.dump` shows what routers would be told. A test runs the
same steps on this host and on FRR and compares what both run.
"""

from collections.abc import Collection, Mapping, Sequence

from fairlead.drivers.base import DriverError
from fairlead.drivers.bgp.config import (
    HEADER,
    Path,
    Running,
    neighbours,
    of_neighbour,
    parse,
    slot,
)
from fairlead.drivers.bgp.driver import BgpDriver, Secrets, no_secrets
from fairlead.drivers.bgp.host import Daemon
from fairlead.drivers.bgp.render import dump
from fairlead.model.addresses import IPAddress


class FakeDaemon:
    """A configuration that takes commands as a daemon of FRR does."""

    def __init__(self) -> None:
        self._sections: dict[Path, list[str]] = {(): []}

    def configure(self, commands: Sequence[str]) -> list[str]:
        """Run commands from the top; what was refused."""
        path: Path = ()
        refused = []
        for command in commands:
            if command == "exit":
                path = path[:-1]
            elif HEADER.match(command):
                path = (*path, command)
                refused += self._open(path)
            else:
                refused += self._line(path, command)
        return refused

    def text(self) -> str:
        """As ``show running-config`` prints it."""
        return "".join(self._printed(()))

    def _printed(self, path: Path) -> list[str]:
        inner = [one for one in self._sections if one[:-1] == path and one]
        indent = " " * len(path)
        lines = [f"{indent}{line}\n" for line in self._sections[path]]
        for one in inner:
            lines += [f"{indent}{one[-1]}\n", *self._printed(one), f"{indent}exit\n", "!\n"]
        return lines

    def _open(self, path: Path) -> list[str]:
        router = path[0].startswith("router bgp ") and " vrf " not in path[0]
        for one in self._sections:
            if router and len(one) == 1 and one != path[:1] and one[0].startswith("router bgp "):
                return [f"{path[0]}: BGP is already running; {one[0]}"]
        for depth in range(len(path)):
            self._sections.setdefault(path[: depth + 1], [])
        return []

    def _line(self, path: Path, command: str) -> list[str]:
        if path not in self._sections:
            return [f"{command}: there is no {path[-1]}"]
        lines = self._sections[path]
        words = command.split()
        match words:
            case ["no", "router" | "route-map" | "profile", *_]:
                self._remove((*path, command.removeprefix("no ")))
            case ["no", "neighbor", who] | ["no", "neighbor", who, "peer-group"]:
                self._dismiss(path, who)
            case ["no", "neighbor", who, "bfd"]:
                start = f"neighbor {who} bfd"
                self._sections[path] = [line for line in lines if not line.startswith(start)]
            case ["no", "network", network, *_]:
                self._sections[path] = [
                    line for line in lines if line.split()[:2] != ["network", network]
                ]
            case ["neighbor", who, what, *_] if what not in ("peer-group", "remote-as"):
                if who not in neighbours(self._sections[path[:1]]):
                    return [f"{command}: Specify remote-as or peer-group commands first"]
                self._set(path, command)
            case ["no", *_] if command not in _NEGATIVE:
                gone = command.removeprefix("no ")
                self._sections[path] = [line for line in lines if line != gone]
            case _:
                self._set(path, command)
        return []

    def _set(self, path: Path, command: str) -> None:
        lines = self._sections[path]
        for index, line in enumerate(lines):
            if slot(line) == slot(command):
                lines[index] = command
                return
        if f"no {command}" not in _NEGATIVE:
            lines.append(command)
        elif f"no {command}" in lines:
            lines.remove(f"no {command}")

    def _remove(self, path: Path) -> None:
        """A section with what is in it; ``no route-map NAME`` means all its entries."""
        whole = f"{path[-1]} "
        for one in list(self._sections):
            same = one[: len(path)] == path
            entry = one[:-1] == path[:-1] and bool(one) and one[-1].startswith(whole)
            if same or (entry and path[-1].startswith("route-map ")):
                del self._sections[one]

    def _dismiss(self, path: Path, who: str) -> None:
        for one in self._sections:
            if one[: len(path)] == path:
                gone = of_neighbour(self._sections[one], who)
                self._sections[one] = [line for line in self._sections[one] if line not in gone]


_NEGATIVE = frozenset({"no bgp default ipv4-unicast", "no bgp network import-check"})
"""Lines that FRR prints with their ``no``, because the default is the opposite."""


class FakeHost:
    """FRR, local routes and the host's own addresses in memory.

    ``own``: addresses of the host itself. ``hushed``: every VIP that no LAN may hear of.
    """

    def __init__(self) -> None:
        self.own: set[IPAddress] = set()
        self.locals: set[IPAddress] = set()
        self.hushed: set[IPAddress] = set()
        self.running = False
        self.bgpd, self.bfdd = FakeDaemon(), FakeDaemon()
        self._lost = False

    def kill(self, daemon: Daemon) -> None:
        """A daemon ends; its owner starts it again, with nothing in it."""
        setattr(self, daemon, FakeDaemon())
        self._lost = True

    def leave(self) -> None:
        """The owner ends, and FRR with it."""
        self.bgpd, self.bfdd = FakeDaemon(), FakeDaemon()
        self.running, self._lost = False, True

    def beat(self) -> bool:
        """Whether FRR runs."""
        return self.running

    def start(self) -> None:
        """It runs at once."""
        self.running = True

    def stop(self) -> None:
        """Everything in it is gone."""
        self.leave()
        self._lost = False

    def lost(self) -> bool:
        """Whether a daemon was killed."""
        return self._lost

    def read(self, daemon: Daemon) -> Running:
        """What it holds."""
        return parse(self._daemon(daemon).text())

    def tell(self, daemon: Daemon, commands: Sequence[str]) -> list[str]:
        """Runs them."""
        return self._daemon(daemon).configure(commands)

    def settle(self) -> None:
        """Nobody has to hear of it."""

    def local(self) -> frozenset[IPAddress]:
        """The local routes."""
        return frozenset(self.locals)

    def add(self, addresses: Collection[IPAddress]) -> Mapping[IPAddress, str]:
        """All but the host's own."""
        self.locals.update(one for one in addresses if one not in self.own)
        own = [one for one in addresses if one in self.own]
        return dict.fromkeys(own, "the host itself has this address")

    def delete(self, addresses: Collection[IPAddress]) -> Mapping[IPAddress, str]:
        """All that are there."""
        self.locals.difference_update(addresses)
        return {}

    def hush(self, addresses: Collection[IPAddress]) -> list[str]:
        """Notes them."""
        self.hushed.update(addresses)
        return []

    def close(self) -> None:
        """Nothing is open."""

    def restore(self) -> None:
        """Notes that nothing is hushed any more."""
        self.hushed.clear()

    def _daemon(self, daemon: Daemon) -> FakeDaemon:
        if not self.running:
            raise DriverError(f"bgp: FRR's {daemon} does not answer")
        self._lost = False
        return self.bgpd if daemon == "bgpd" else self.bfdd


class FakeBgpDriver(BgpDriver):
    """The driver on a :class:`FakeHost`."""

    def __init__(self, *, secrets: Secrets = no_secrets) -> None:
        self.host = FakeHost()
        super().__init__(host=self.host, secrets=secrets)

    def dump(self) -> str:
        """What is in place, as :func:`~fairlead.drivers.bgp.render.dump` writes it."""
        return dump(self.observe())
