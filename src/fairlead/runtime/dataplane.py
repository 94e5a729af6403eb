"""The data planes of one engine with their loops, wired to each other.

``up`` and ``agent`` differ in where their plans come from; what becomes of a plan on a host is the
same, and is here. Where somebody else serves (``dataplane: none``), there is nothing in it.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from fairlead.drivers.l2 import Conflict
from fairlead.model.addresses import IPAddress, canonical
from fairlead.model.plan import Plan
from fairlead.model.verdict import Code, Forward
from fairlead.runtime.closing import PATIENCE, Closing
from fairlead.runtime.health import DriverHealth
from fairlead.runtime.lanes import Addresses, BgpLane, DhcpLane, L2Lane, L4Lane, Target, UpnpLane
from fairlead.runtime.planes import Leaser, Opener, Planes, Speaker, failures_of
from fairlead.runtime.reconcile import ROUND_SHARE, AnyReconciler, Reconciler, Surroundings
from fairlead.runtime.verdicts import Impediment

GATEWAY_SHARE = 2
"""Asking a gateway may take one part in so many of the time: it is mostly waiting."""


class Rounds(NamedTuple):
    """How often to compare with what is really there: every so many seconds, and with one part in
    ``share`` of the time at most. ``gateway``: how often to ask the network's gateway."""

    every: float = 5.0
    share: int = ROUND_SHARE
    gateway: float = 30.0


class DataPlane:
    """``engine``: the name of this host's engine. ``known``: addresses that it holds since before.
    ``progress``: something is in place now, or no more. ``lane``: what is special about the
    addresses of a role. ``standby``: a fence may take what others hold, at any time."""

    def __init__(
        self,
        engine: str,
        planes: Planes | None,
        *,
        known: Iterable[IPAddress] = (),
        rounds: Rounds | None = None,
        progress: Callable[[], None],
        health: Callable[[DriverHealth], None],
        lane: type[L2Lane] = L2Lane,
        standby: bool = False,
    ) -> None:
        self._standby = standby
        self._engine, self._planes = engine, planes
        self._progress, self._health = progress, health
        self._closing = Closing(self._open)
        self._behind: tuple[AnyReconciler, ...] = ()
        self._told: tuple[Conflict, ...] = ()
        self.loops: tuple[AnyReconciler, ...] = ()
        if planes is not None:
            self._wire(planes, known, rounds or Rounds(), lane)

    def _wire(
        self, planes: Planes, known: Iterable[IPAddress], rounds: Rounds, lane: type[L2Lane]
    ) -> None:
        self._l4: AnyReconciler = Reconciler(
            L4Lane(self._engine, standby=self._standby),
            planes.l4,
            Surroundings(
                other=self._elsewhere,
                progress=lambda: self._moved(*self._announcers),
                health=self._health,
                disturbed=planes.disturbed,
            ),
            every=rounds.every,
            share=rounds.share,
        )
        self._l2: AnyReconciler = Reconciler(
            lane(
                self._engine,
                known=known,
                contested=lambda: {one.address for one in planes.l2.conflicts()},
                closing=self._closing.waiting,
            ),
            planes.l2,
            Surroundings(
                other=lambda: self._l4.in_place,
                progress=lambda: self._moved(self._l4, *self._behind),
                health=self._health,
                news=planes.links,
                untold=lambda: self.disputes != self._told,
            ),
            every=rounds.every,
            share=rounds.share,
        )
        self._announcers: tuple[AnyReconciler, ...] = (self._l2,)
        if planes.bgp is not None:
            self._announcers = (self._l2, self._routed(planes.bgp, rounds))
        leases = (self._leasing(planes.dhcp, rounds),) if planes.dhcp is not None else ()
        opened = (self._opener(planes.upnp, rounds),) if planes.upnp is not None else ()
        self._behind = opened
        self.loops = (self._l4, *self._announcers, *leases, *opened)

    def _routed(self, speaker: Speaker, rounds: Rounds) -> AnyReconciler:
        return Reconciler(
            BgpLane(self._engine),
            speaker,
            Surroundings(
                other=lambda: self._l4.in_place,
                progress=lambda: self._moved(self._l4, *self._behind),
                health=self._health,
                disturbed=speaker.disturbed,
            ),
            every=rounds.every,
            share=rounds.share,
        )

    def _leasing(self, leaser: Leaser, rounds: Rounds) -> AnyReconciler:
        return Reconciler(
            DhcpLane(self._engine),
            leaser,
            Surroundings(other=frozenset, progress=self._progress, health=self._health),
            every=rounds.every,
            share=rounds.share,
        )

    def _opener(self, opener: Opener, rounds: Rounds) -> AnyReconciler:
        return Reconciler(
            UpnpLane(self._engine),
            opener,
            Surroundings(
                other=self._elsewhere, progress=lambda: self._moved(self._l2), health=self._health
            ),
            every=rounds.gateway,
            share=GATEWAY_SHARE,
        )

    def _open(self) -> Mapping[IPAddress, int]:
        opener = self._planes.upnp if self._planes is not None else None
        return opener.open() if opener is not None else {}

    def _closed(self) -> None:
        """Some patience with the gateway is over: look whether all of it is."""
        if self._closing.waiting():
            asyncio.get_running_loop().call_later(PATIENCE, self._closed)
        else:
            self._moved(self._l2)

    def _elsewhere(self) -> Addresses | None:
        """The addresses that are announced in any way; None when that is not known."""
        if any(loop.in_place is None for loop in self._announcers):
            return None
        return self.announced

    def offer(self, target: Target) -> None:
        """Make this true from now on."""
        if self._behind and self._closing.follow(target.plan):
            asyncio.get_running_loop().call_later(PATIENCE, self._closed)
        for loop in self.loops:
            loop.offer(target)

    async def withdraw(self, *, listeners: bool = True) -> bool:
        """Remove everything, after the loops have ended; without ``listeners`` all but these.
        Returns whether that worked."""
        # one after the other: an address goes before its listeners
        going = self.loops if listeners else self.loops[1:]
        clean = [await loop.withdraw() for loop in reversed(going)]
        return all(clean)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the drivers."""
        return tuple(loop.name for loop in self.loops)

    @property
    def healths(self) -> tuple[DriverHealth, ...]:
        """How the drivers do, of those that did something already."""
        return tuple(loop.health for loop in self.loops if loop.health is not None)

    @property
    def serving(self) -> tuple[DriverHealth, ...]:
        """The same of those without which VIPs are not served."""
        behind = {loop.name for loop in self._behind}
        return tuple(health for health in self.healths if health.name not in behind)

    @property
    def in_place(self) -> set[IPAddress]:
        """The addresses that this host has on its LANs; do not change it."""
        return (self._l2.in_place if self.loops else None) or set()

    @property
    def announced(self) -> set[IPAddress]:
        """The addresses that this host has on its LANs or tells routers of; do not change it."""
        loops = self._announcers if self.loops else ()
        found = [loop.in_place for loop in loops if loop.in_place]
        if len(found) == 1:
            return found[0]  # copying thousands for nobody
        return set().union(*found)

    @property
    def announcers(self) -> tuple[AnyReconciler, ...]:
        """The loops that tell networks of addresses."""
        return self._announcers if self.loops else ()

    @property
    def closing(self) -> bool:
        """Whether some address that goes waits for its ports on the gateway."""
        return bool(self._closing.waiting())

    @property
    def forwards(self) -> tuple[Forward, ...]:
        """What became of each port that is to be open on the gateway."""
        opener = self._planes.upnp if self._planes is not None else None
        return opener.forwards() if opener is not None else ()

    @property
    def listening(self) -> set[IPAddress] | None:
        """The addresses whose listeners are in place; None while that is not known."""
        return self._l4.in_place if self.loops else None

    @property
    def settled(self) -> bool:
        """Whether everything that was offered is in place; the gateway may take its time."""
        return all(loop.settled for loop in self.loops if loop not in self._behind)

    @property
    def disputes(self) -> tuple[Conflict, ...]:
        """The held addresses that somebody else on the LAN uses as well."""
        return tuple(self._planes.l2.disputes()) if self._planes else ()

    @property
    def rivals(self) -> tuple[Conflict, ...]:
        """Everybody else who uses a VIP, whether it could be taken or not."""
        contested = self._planes.l2.conflicts() if self._planes else ()
        return (*contested, *self.disputes)

    def impediments(self, plan: Plan) -> tuple[Impediment, ...]:
        """Why addresses that this host should have are not in place."""
        failing = [health for health in self.serving if not health.ok]
        planes = self._planes
        conflicts = {one.address: one for one in planes.l2.conflicts()} if planes else {}
        self._told = self.disputes
        found = [_disputed(one) for one in self._told]
        if not failing and not conflicts:
            return tuple(found)
        for loop in self._announcers:
            failures = failures_of(loop.error)
            blamed = [one for one in failing if one.name in (self._l4.name, loop.name)]
            for address in sorted(loop.missing(plan), key=lambda a: (a.version, int(a))):
                if address in conflicts:
                    found.append(_contested(conflicts[address]))
                elif address in failures:
                    found.append(_unserved(address, self._engine, failures[address]))
                elif blamed and not failures:
                    why = f"the {blamed[0].name} driver fails: {blamed[0].error}"
                    found.append(_unserved(address, self._engine, why))
        return tuple(found)

    def _moved(self, *others: AnyReconciler) -> None:
        for other in others:
            other.nudge()
        self._progress()


def _contested(conflict: Conflict) -> Impediment:
    return Impediment(
        conflict.address,
        Code.ADDRESS_IN_USE,
        f"{canonical(conflict.address)} is used by another host, {conflict.mac} on "
        f"{conflict.interface}: it is not taken. It is probed again and served once it is free.",
    )


def _disputed(conflict: Conflict) -> Impediment:
    return Impediment(
        conflict.address,
        Code.ADDRESS_DISPUTED,
        f"{canonical(conflict.address)} is also used by another host, {conflict.mac} on "
        f"{conflict.interface}: clients may reach either. Free it there, or ask for another.",
    )


def _unserved(address: IPAddress, engine: str, why: str) -> Impediment:
    text = f"it holds {canonical(address)}, but {engine} cannot announce it: {why}"
    return Impediment(address, Code.NO_READY_ENGINE, text)
