"""The ``bgp`` driver: make local, announce, withdraw.

FRR's running configuration is the state. A change of VIPs is a few ``network`` lines, sent without
reading anything; a change of routers, and every repair, is the difference of lines between what
runs and what should. Nothing is ever reloaded, so no session ends that was not asked to.

A VIP is local before it is announced, and is local until routers heard that it is not announced any
more. What fails for one router or VIP is raised at the end (:class:`BgpError`), when the rest is
done.
"""

from collections.abc import Callable, Collection, Mapping

from msgspec.structs import replace

from fairlead.drivers.base import DriverError
from fairlead.drivers.bgp import edit, names
from fairlead.drivers.bgp.frr import FrrHost
from fairlead.drivers.bgp.host import Host
from fairlead.drivers.bgp.house import House
from fairlead.drivers.bgp.outcome import BgpError, Failure
from fairlead.drivers.bgp.render import Wanted, configuration, router
from fairlead.drivers.bgp.view import View, look
from fairlead.model.addresses import IPAddress
from fairlead.model.desired import BgpChanges, BgpDesired, BgpSpeaker
from fairlead.model.objects import SecretKey
from fairlead.model.peers import BgpPeer, BgpRoute

Secrets = Callable[[SecretKey], str]
"""The value of a key; LookupError, with what to do, when there is none."""


def no_secrets(key: SecretKey) -> str:
    """Where nobody can look up Secrets."""
    raise LookupError(f"Secret {key.namespace}/{key.name} cannot be read here")


class BgpDriver:
    """Announces VIPs from the network namespace of the calling thread. Calls must not overlap.

    ``house``: where FRR lives. ``secrets``: looks up passwords. ``host``: the machine, unless it is
    a fake.
    """

    name = "bgp"

    def __init__(
        self,
        *,
        house: House | None = None,
        secrets: Secrets = no_secrets,
        host: Host | None = None,
    ) -> None:
        self._host: Host = host or FrrHost(house or House())
        self._secrets = secrets
        self._wanted = BgpDesired()  # routers as they were asked for; VIPs are not remembered
        self._kinds: set[BgpRoute] = set()
        self._sure = False

    def observe(self) -> BgpDesired:
        """The routers that are configured as they were asked for, and the VIPs that are local and
        announced. Raises :class:`DriverError`."""
        self._sure = False
        view = self._look()
        if view is None:
            return BgpDesired()
        self._kinds = set(view.kinds.values())
        speaker = self._wanted.speaker
        routes = view.routes(self._host.local())
        if speaker is None or speaker != view.speaker:
            return BgpDesired(routes=routes)
        known, _ = self._passwords()
        wanted = self._configuration(speaker, known)
        found = view.peers(wanted, speaker, self._able(known))
        founded = edit.founded(view.bgpd, wanted.bgpd, speaker)
        self._sure = founded and len(found) == len(self._wanted.peers)
        return BgpDesired(speaker if founded else None, found, routes)

    def apply(self, changes: BgpChanges) -> None:
        """Announce what is new, then withdraw what is gone. Raises :class:`BgpError`."""
        self._host.beat()
        before, self._wanted = self._wanted, _merged(self._wanted, changes)
        removed = [address for address, row in changes.routes.items() if row is None]
        if not self._wanted.peers:
            self._host.stop()
            _raise(self._forget(removed))
            return
        speaker = self._wanted.speaker
        if speaker is None:
            raise DriverError("bgp: there are routers and no AS number of ours")
        new = {address: row for address, row in changes.routes.items() if row is not None}
        failures = self._localise(new)
        routes = {address: row for address, row in new.items() if address not in failures.addresses}
        kinds = set(routes.values())
        if self._sure and not (changes.speaker or changes.peers or kinds - self._kinds):
            self._tell(edit.announce(speaker, routes), failures)
        else:
            self._kinds |= kinds
            self._configure(speaker, routes, _departed(before, self._wanted), failures)
        if removed:
            self._tell(edit.withdraw(speaker, removed), failures)
            self._host.settle()
            failures += self._forget(removed)
        _raise(failures)

    def prune(self, desired: BgpDesired) -> None:
        """Remove whatever of ours nobody wants: in FRR, which is ours whole, and local routes.

        Raises :class:`BgpError`.
        """
        failures = Failures()
        view = self._look()
        speaker = desired.speaker
        if view is not None and (speaker is None or not desired.peers):
            self._host.stop()
        elif view is not None and speaker is not None:
            self._wanted = replace(desired, routes={})
            self._kinds = set(desired.routes.values())
            self._tidy(view, speaker, desired.routes, failures)
        failures += self._forget([one for one in self._host.local() if one not in desired.routes])
        _raise(failures)

    def withdraw(self) -> None:
        """Withdraw everything, end FRR, restore the interfaces' settings. Idempotent."""
        self._wanted, self._sure = BgpDesired(), False
        try:
            self._host.stop()
            _raise(self._forget(self._host.local()))
        finally:
            self._host.restore()

    def disturbed(self) -> bool:
        """Whether a daemon ended since the last call. Cheap; what somebody configures by hand shows
        in the full round only."""
        return self._host.lost()

    def close(self) -> None:
        """Close the connections; FRR goes on as long as its owner lets it. Idempotent."""
        self._host.close()

    # -- what is there ---------------------------------------------------------------------------

    def _look(self) -> View | None:
        if not self._host.beat():
            return None
        return look(self._host.read("bgpd"), self._host.read("bfdd"))

    def _configuration(self, speaker: BgpSpeaker, known: Mapping[str, str]) -> Wanted:
        peers = self._able(known)
        return configuration(speaker, peers, self._kinds, known)

    def _able(self, known: Mapping[str, str]) -> dict[str, BgpPeer]:
        """The routers that need no password, or whose password is known."""
        peers = self._wanted.peers.items()
        return {name: peer for name, peer in peers if peer.password is None or name in known}

    def _passwords(self) -> tuple[dict[str, str], list[Failure]]:
        known: dict[str, str] = {}
        failures = []
        for name, peer in self._wanted.peers.items():
            if peer.password is None:
                continue
            try:
                value = self._secrets(peer.password)
            except LookupError as error:
                failures.append(Failure(str(error.args[0]), peer=name))
                continue
            problem = names.unfit_password(value)
            if problem:
                failures.append(Failure(problem, peer=name))
            else:
                known[name] = value
        return known, failures

    # -- changes ---------------------------------------------------------------------------------

    def _configure(
        self,
        speaker: BgpSpeaker,
        routes: Mapping[IPAddress, BgpRoute],
        departed: Collection[str],
        failures: "Failures",
    ) -> None:
        """Everything that should be there, whatever is there now."""
        self._host.start()
        known, problems = self._passwords()
        failures += problems
        wanted = self._configuration(speaker, known)
        bfdd = self._host.read("bfdd")
        failures.said(self._host.tell("bfdd", edit.make_profiles(bfdd, wanted.bfdd)))
        running = self._host.read("bgpd")
        if router(speaker) not in running.sections:
            routes = {**edit.announced(running), **routes}  # they go with the old AS number
        self._tell(edit.make(running, wanted.bgpd, speaker, routes), failures)
        if departed:
            self._tell(edit.dismiss(self._host.read("bgpd"), speaker, departed), failures)
        self._sure = not failures

    def _tidy(
        self,
        view: View,
        speaker: BgpSpeaker,
        routes: Mapping[IPAddress, BgpRoute],
        failures: "Failures",
    ) -> None:
        known, problems = self._passwords()
        failures += problems
        wanted = self._configuration(speaker, known)
        made = edit.make(view.bgpd, wanted.bgpd, speaker, {})
        self._tell(made, failures)
        running = self._host.read("bgpd") if made else view.bgpd
        self._tell(edit.tidy(running, wanted.bgpd, speaker, routes), failures)
        failures.said(self._host.tell("bfdd", edit.tidy_profiles(view.bfdd, wanted.bfdd)))
        self._sure = not failures

    def _localise(self, routes: Collection[IPAddress]) -> "Failures":
        failures = Failures()
        if routes:
            failures += [Failure(why, one) for one, why in self._host.add(routes).items()]
            failures += [Failure(why) for why in self._host.hush(routes)]
        return failures

    def _forget(self, addresses: Collection[IPAddress]) -> "Failures":
        said = self._host.delete(addresses) if addresses else {}
        return Failures(Failure(why, one) for one, why in said.items())

    def _tell(self, commands: list[str], failures: "Failures") -> None:
        if commands:
            failures.said(self._host.tell("bgpd", commands))


class Failures(list[Failure]):
    """What failed so far."""

    @property
    def addresses(self) -> frozenset[IPAddress]:
        """The VIPs that failed."""
        return frozenset(one.address for one in self if one.address is not None)

    def said(self, refusals: Collection[str]) -> None:
        """Note what FRR refused."""
        self += [Failure(refusal) for refusal in refusals]


def _merged(wanted: BgpDesired, changes: BgpChanges) -> BgpDesired:
    peers = {**wanted.peers, **changes.peers}
    return BgpDesired(
        changes.speaker or wanted.speaker,
        {name: peer for name, peer in peers.items() if peer is not None},
    )


def _departed(before: BgpDesired, after: BgpDesired) -> set[str]:
    """The neighbours that are gone from one state to the other."""
    old, new = (
        {names.neighbour(name, peer) for name, peer in state.peers.items()}
        for state in (before, after)
    )
    return old - new


def _raise(failures: Collection[Failure]) -> None:
    if failures:
        raise BgpError(failures)
