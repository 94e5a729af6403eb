"""One look at the host: what is ours, what of it is in its place, what else may come."""

from collections.abc import Collection, Iterable, Iterator, Mapping

from fairlead.drivers.l2.host import AddressRow, Link, Snapshot, Station
from fairlead.drivers.l2.interfaces import Lan, Memory, Missing, choose, named
from fairlead.drivers.l2.outcome import Failure
from fairlead.model.addresses import IPAddress


class Intake:
    """Addresses on their way onto the host: each step takes out those that fail it, and why."""

    def __init__(self, stations: Iterable[Station], failures: Iterable[Failure]) -> None:
        self.stations = list(stations)
        self.failures = list(failures)

    def part(self, stations: Iterable[Station]) -> "Intake":
        """Take these out to go their own way."""
        taken = Intake(stations, ())
        self.leave_out({one.address for one in taken.stations})
        return taken

    def refuse(self, problems: Mapping[IPAddress, str]) -> None:
        """Take these out as failed."""
        self.failures += [
            Failure(address, link.name, problems[address])
            for address, link in self.stations
            if address in problems
        ]
        self.leave_out(problems)

    def leave_out(self, addresses: Collection[IPAddress]) -> None:
        """Take these out; somebody else says why."""
        self.stations = [one for one in self.stations if one.address not in addresses]


class View:
    """A snapshot and where addresses belong on it."""

    def __init__(
        self,
        snapshot: Snapshot,
        current: Collection[Lan],
        *,
        memory: Memory,
        allowed: Collection[str] | None,
        places: Mapping[IPAddress, str],
    ) -> None:
        self.links = snapshot.links
        self.ours = tuple(row for row in snapshot.rows if row.ours)
        self.foreign = {
            row.address: self._name(row.ifindex) for row in snapshot.rows if not row.ours
        }
        self._current = current
        self._memory = memory
        self._allowed = allowed
        self._places = places
        self.held = frozenset(self._held())

    def station(self, row: AddressRow) -> Station | None:
        """A row as a station; None when its interface went between the two reads."""
        link = self.links.get(row.ifindex)
        return Station(row.address, link) if link else None

    def misplaced(self) -> list[AddressRow]:
        """Our rows of addresses that are held, but on another interface."""
        place = {station.address: station.link.ifindex for station in self.held}
        return [row for row in self.ours if place.get(row.address, row.ifindex) != row.ifindex]

    def stranded(self, addresses: Iterable[IPAddress]) -> frozenset[IPAddress]:
        """Those of them that are to be on a certain interface, and are on another one."""
        asked = {one: place for one in addresses if (place := self._places.get(one, ""))}
        return frozenset(
            row.address
            for row in self.ours
            if row.address in asked and self._name(row.ifindex) != asked[row.address]
        )

    def intake(self, addresses: Collection[IPAddress]) -> Intake:
        """Each address with its place, sorted; those without one as failures.

        An address that the host itself has is never taken over, wherever it is.
        """
        stations: list[Station] = []
        failures: list[Failure] = []
        for address in sorted(addresses, key=lambda one: (one.version, int(one))):
            if (owner := self.foreign.get(address)) is not None:
                failures.append(Failure(address, owner, "the host itself has this address"))
                continue
            match self._choose(address):
                case Missing(interface, problem):
                    failures.append(Failure(address, interface, problem))
                case link:
                    stations.append(Station(address, link))
        return Intake(stations, failures)

    def astray(self, addresses: Iterable[IPAddress]) -> dict[IPAddress, str]:
        """Those that nobody would hear of if they were here: what is in the way, and where."""
        found = {}
        for address in addresses:
            match self._choose(address):
                case Missing(interface, problem):
                    found[address] = f"{interface}: {problem}"
                case Link(carrier=False, name=name):
                    found[address] = f"{name}: no cable, or nobody at its other end"
        return found

    def _held(self) -> Iterator[Station]:
        for row in self.ours:
            match self._choose(row.address):
                case Link(ifindex=row.ifindex) as link:
                    yield Station(row.address, link)

    def _choose(self, address: IPAddress) -> Link | Missing:
        if place := self._places.get(address, ""):
            return named(place, links=self.links, allowed=self._allowed)
        return choose(
            address,
            self._current,
            memory=self._memory,
            links=self.links,
            allowed=self._allowed,
        )

    def _name(self, index: int) -> str:
        link = self.links.get(index)
        return link.name if link else f"interface {index}"
