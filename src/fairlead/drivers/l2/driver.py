"""The ``l2`` driver: take, announce, let go.

A change goes through fixed steps: find each address its place, refuse what the host itself uses,
prepare the interface's ARP settings, add as one batch, announce. Addresses that must be probed come
after the others, so that no take-over waits for a probe. Last, let go of what is no longer wanted.
Every step takes out the addresses that fail it and goes on with the rest; what failed is raised
together at the end (:class:`~fairlead.drivers.l2.outcome.L2Error`).

An address that somebody else uses is no failure of the driver: it is reported by
:meth:`L2Driver.conflicts`, is not in :meth:`L2Driver.observe`, and is probed again whenever it is
asked for, as is one whose probe failed.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TypeVar

from fairlead.drivers.l2.announce import REPEATS
from fairlead.drivers.l2.host import AddressRow, Conflict, Edit, Host, Link, Station
from fairlead.drivers.l2.interfaces import Memory, lans, remember
from fairlead.drivers.l2.kernel import KernelHost
from fairlead.drivers.l2.outcome import Failure, L2Error
from fairlead.drivers.l2.probe import ProbeTiming
from fairlead.drivers.l2.view import Intake, View
from fairlead.model.addresses import IPAddress
from fairlead.model.desired import L2Changes, L2Desired

Value = TypeVar("Value")


class L2Driver:
    """Holds VIPs as explicit addresses in the network namespace of the calling thread.

    ``interfaces``: only these may carry LAN VIPs (None: any Ethernet interface). ``lifetime``:
    seconds until the kernel itself drops an address that is not asked for again (None: never);
    ``apply`` with an address that is held renews it. ``probe``: the window for foreign holders.
    ``repeats``: seconds after the first announcement. ``ends_flows``: whether flows of an address
    end when it is let go; not where somebody else carries them, from pods of this node too.
    ``host``: the machine, unless it is a fake.

    Calls must not overlap; :meth:`conflicts`, :meth:`disputes` and :meth:`placements` may be read
    at any time.
    """

    name = "l2"

    def __init__(
        self,
        *,
        interfaces: Collection[str] | None = None,
        lifetime: int | None = None,
        probe: ProbeTiming | None = None,
        repeats: Sequence[float] = REPEATS,
        ends_flows: bool = True,
        host: Host | None = None,
    ) -> None:
        self._ends_flows = ends_flows
        self._allowed = interfaces
        self._host = host or KernelHost(lifetime=lifetime, timing=probe, repeats=repeats)
        self._memory: Memory = {}
        self._suspects: set[IPAddress] = set()  # to be probed before they are taken
        self._conflicts: Mapping[IPAddress, Conflict] = {}
        self._placements: Mapping[IPAddress, str] = {}
        self._places: Mapping[IPAddress, str] = {}  # where some addresses are to be
        self._attended: Mapping[IPAddress, Station] = {}

    def observe(self) -> L2Desired:
        """The marked addresses that are where they belong, on interfaces that are up.

        An address of ours on a wrong interface, or on one that is down, is not held: applying it
        again repairs it.
        """
        stations = self._look().held
        held = self._placements = {one.address: one.link.name for one in stations}
        self._attend({one.address: one for one in stations})
        places = {address: name for address, name in self._places.items() if address in held}
        return L2Desired(owned=frozenset(held), places=places)

    def apply(self, changes: L2Changes) -> None:
        """Take and announce ``added``, then let go of ``removed``.

        Raises :class:`L2Error` naming addresses and interfaces; everything else is done by then.
        """
        self._places = {**_without(self._places, changes.added), **changes.places}
        view = self._look()
        self._suspects |= changes.probe & changes.added
        certain = view.intake(changes.added - changes.removed)
        # without a place where it is to be, it does not stay where it is not to be
        stranded = view.stranded(one.address for one in certain.failures)
        doubtful = certain.part(one for one in certain.stations if self._in_doubt(one, view))
        self._take(certain, view)
        self._ask(doubtful)
        self._take(doubtful, view)
        failures = certain.failures + doubtful.failures
        _raise(failures + self._let_go(changes.removed | stranded, view))

    def prune(self, desired: L2Desired) -> None:
        """Let go of marked addresses that nobody wants, and of doubles on wrong interfaces.

        Raises :class:`L2Error`.
        """
        self._places = desired.places
        view = self._look()
        present = {row.address for row in view.ours} | self._suspects
        failures = self._let_go(present - desired.owned, view)
        _raise(failures + self._delete(view.misplaced(), view))

    def withdraw(self) -> None:
        """Let go of everything of ours, stop announcing, restore the interfaces' settings."""
        try:
            self.prune(L2Desired(owned=frozenset()))
        finally:
            self._host.close()
            self._host.restore()

    def conflicts(self) -> tuple[Conflict, ...]:
        """The wanted addresses that somebody else was found to use, by address."""
        return _sorted(self._conflicts.values())

    def disputes(self) -> tuple[Conflict, ...]:
        """The held addresses that somebody else was heard to use as well. Cheap."""
        return _sorted(self._host.rivals().values())

    def placements(self) -> Mapping[IPAddress, str]:
        """The interface of each held address, as of the last call; ``lo`` means a routed VIP."""
        return self._placements

    def astray(self, places: Mapping[IPAddress, str]) -> Mapping[IPAddress, str]:
        """Those of the addresses that nobody would hear of if they were on this host, and why.

        ``places``: for each address the interface that is asked for; "" is any whose subnet holds
        it. An interface without a cable keeps what is on it, but is named here.
        """
        return self._look(places).astray(places)

    def _look(self, places: Mapping[IPAddress, str] | None = None) -> View:
        snapshot = self._host.read()
        current = lans(snapshot, self._allowed)
        self._memory = remember(self._memory, current, snapshot.links)
        return View(
            snapshot,
            current,
            memory=self._memory,
            allowed=self._allowed,
            places=self._places if places is None else places,
        )

    def _attend(self, stations: Mapping[IPAddress, Station]) -> None:
        """Listen whether somebody else uses what is held on a LAN."""
        self._attended = {address: one for address, one in stations.items() if one.link.lan}
        self._host.attend(self._attended.values())

    def _in_doubt(self, station: Station, view: View) -> bool:
        asked = station.address in self._suspects
        return asked and station.link.lan and station not in view.held

    def _ask(self, doubtful: Intake) -> None:
        if not doubtful.stations:
            return
        conflicts, problems = self._host.probe(doubtful.stations)
        doubtful.leave_out(conflicts)
        unknown = [one for one in doubtful.stations if one.link in problems]
        doubtful.refuse({one.address: problems[one.link] for one in unknown})
        free = {one.address for one in doubtful.stations}
        self._conflicts = {**_without(self._conflicts, free), **conflicts}

    def _take(self, intake: Intake, view: View) -> None:
        self._prepare(intake)
        self._add(intake, view)
        self._announce(intake)  # before all that nobody waits for
        self._attend({**self._attended, **{one.address: one for one in intake.stations}})

    def _prepare(self, intake: Intake) -> None:
        arp = [one for one in intake.stations if one.link.lan and one.address.version == 4]
        problems = {link: self._host.prepare(link) for link in {one.link for one in arp}}
        intake.refuse({one.address: said for one in arp if (said := problems[one.link])})

    def _add(self, intake: Intake, view: View) -> None:
        present = {(row.address, row.ifindex) for row in view.ours}
        edits = [
            Edit("renew" if (one.address, one.link.ifindex) in present else "add", one)
            for one in intake.stations
        ]
        said = zip(intake.stations, self._host.edit(edits), strict=True)
        intake.refuse({one.address: problem for one, problem in said if problem})
        place = {one.address: one.link.ifindex for one in intake.stations}
        elsewhere = [row for row in view.ours if place.get(row.address, row.ifindex) != row.ifindex]
        intake.failures += self._delete(elsewhere, view)
        taken = {one.address: one.link.name for one in intake.stations}
        self._placements = {**self._placements, **taken}
        self._suspects -= taken.keys()

    def _announce(self, intake: Intake) -> None:
        speaking = [one for one in intake.stations if one.link.lan]
        problems: Mapping[Link, str] = self._host.announce(speaking) if speaking else {}
        intake.failures += [
            Failure(address, link.name, problems[link])
            for address, link in speaking
            if link in problems
        ]

    def _let_go(self, addresses: Collection[IPAddress], view: View) -> list[Failure]:
        if not addresses:
            return []
        self._host.hush(addresses)
        self._attend(_without(self._attended, addresses))
        failures = self._delete([row for row in view.ours if row.address in addresses], view)
        if self._ends_flows:
            self._host.forget_flows([one for one in addresses if one not in view.foreign])
        self._suspects -= set(addresses)
        self._conflicts = _without(self._conflicts, addresses)
        self._placements = _without(self._placements, addresses)
        self._places = _without(self._places, addresses)
        return failures

    def _delete(self, rows: Iterable[AddressRow], view: View) -> list[Failure]:
        stations = [station for row in rows if (station := view.station(row)) is not None]
        said = self._host.edit([Edit("delete", station) for station in stations])
        return [
            Failure(address, link.name, problem)
            for (address, link), problem in zip(stations, said, strict=True)
            if problem
        ]


def _without(
    table: Mapping[IPAddress, Value], addresses: Collection[IPAddress]
) -> dict[IPAddress, Value]:
    return {key: value for key, value in table.items() if key not in addresses}


def _sorted(conflicts: Iterable[Conflict]) -> tuple[Conflict, ...]:
    return tuple(sorted(conflicts, key=lambda one: (one.address.version, int(one.address))))


def _raise(failures: Sequence[Failure]) -> None:
    if failures:
        raise L2Error(failures)
