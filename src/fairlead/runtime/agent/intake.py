"""From batches of a source to changes that an agent may follow.

Nothing is withdrawn because of missing information. So nothing live is followed before all that is
needed was read. What vanishes although nobody deleted it (its definition was removed, the API
server came back with an older memory, a folder was emptied) is kept for a while, in which whoever
decides can say it again. And that a Node is not ready is believed only when it lasts: after an
outage of the API server, nodes whose heartbeats could not be written meanwhile are reported so for
some seconds, one after the other.
"""

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator
from time import monotonic
from typing import Any, NamedTuple, Protocol

from fairlead.model.addresslease import AddressLease
from fairlead.model.kube import Node
from fairlead.model.names import Ref
from fairlead.model.objects import EngineGroup
from fairlead.model.virtualip import VirtualIP
from fairlead.model.world import Change, World
from fairlead.planner.guard import LEAST, SHARE
from fairlead.sources.kube import Health

GRACE = 600.0
"""Seconds for which what vanished is kept. An address that somebody else gets meanwhile is said
anew, under the same name, so nothing stale can be in the way."""
VIPS = VirtualIP.KIND
HOW = "install the CustomResourceDefinitions: fairlead crds | kubectl apply --server-side -f -"
OWN = frozenset({VIPS, EngineGroup.KIND, AddressLease.KIND})
"""The kinds that whoever decides makes again when they are lost."""


class Batch(Protocol):
    """What changed since the batch before: see :class:`~fairlead.sources.kube.KubeBatch`."""

    @property
    def changes(self) -> tuple[Change, ...]: ...
    @property
    def explicit(self) -> frozenset[Ref]: ...
    @property
    def absent(self) -> frozenset[str]: ...
    @property
    def received_at(self) -> float: ...


class Source(Protocol):
    """Where batches come from; the first one has all that could be read."""

    @property
    def health(self) -> tuple[Health, ...]:
        """How each kind is read; empty where that is no question."""
        ...

    def batches(self) -> AsyncIterator[Any]:
        """Batches (:class:`Batch`)."""
        ...


class Pending(NamedTuple):
    """A change that is not followed before a time."""

    until: float
    change: Change


class Intake:
    """Sifts changes. ``needed``: the kinds without which nothing live is followed. ``live``: they
    were read. ``patience``: seconds for which a Node must be not ready, ``grace``: for which what
    vanished is kept. ``foreign``: the engine groups whose VIPs are not read any more."""

    def __init__(
        self,
        needed: Iterable[str],
        *,
        patience: float = 0.0,
        grace: float = GRACE,
        foreign: Callable[[], Collection[str]] = tuple,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.live = False
        self._needed, self._clock = frozenset(needed), clock
        self._patience, self._grace, self._foreign = patience, grace, foreign
        self._waiting: dict[Ref, Change] = {}
        self._pending: dict[Ref, Pending] = {}
        self._absent: frozenset[str] = frozenset()

    def lacks(self, health: Iterable[Health]) -> list[Health]:
        """What is needed and was not read yet. A kind that does not exist is not waited for, but
        without VirtualIPs nothing is known at all."""
        needed = (one for one in health if one.kind in self._needed)
        return [one for one in needed if not (one.synced or (one.absent and one.kind != VIPS))]

    def take(self, batch: Batch, health: Iterable[Health], world: World) -> list[Change]:
        """What to follow of a batch. ``world``: what is followed so far, perhaps from a cache."""
        self._absent = batch.absent
        if self.live:
            return [change for change in batch.changes if self._follows(change, batch, world)]
        self._waiting.update((change.ref, change) for change in batch.changes)
        if self.lacks(health):
            return []
        self.live = True
        waiting, self._waiting = self._waiting, {}
        return [
            *(change for change in waiting.values() if self._follows(change, batch, world)),
            *self._missing(waiting, world),
        ]

    @property
    def kept(self) -> int:
        """How many objects are kept although they vanished."""
        return sum(1 for _, change in self._pending.values() if change.object is None)

    def due(self) -> float | None:
        """Seconds until something is to be followed that is not yet; None: nothing is."""
        if not self._pending:
            return None
        return max(0.0, min(until for until, _ in self._pending.values()) - self._clock())

    def expired(self) -> list[Change]:
        """What lasted for long enough. The time does not run while its kind is absent."""
        now = self._clock()
        found = []
        for ref, (until, change) in list(self._pending.items()):
            if ref.kind in self._absent:
                self._pending[ref] = Pending(now + self._grace, change)
            elif until <= now:
                del self._pending[ref]
                found.append(change)
        return found

    def _follows(self, change: Change, batch: Batch, world: World) -> bool:
        """Whether a change is followed at once; else it is remembered."""
        before = self._pending.pop(change.ref, None)
        vanished = change.ref.kind in OWN and _is_gone(change) and change.ref not in batch.explicit
        if vanished and not self._is_foreign(change, world):
            self._defer(change, self._grace)
            return False
        if self._patience > 0 and _is_lost(change, world):
            self._defer(change, self._patience)
            if before is not None:  # since then; something else of it changed
                self._pending[change.ref] = before._replace(change=change)
            return False
        return True

    def _is_foreign(self, change: Change, world: World) -> bool:
        """Whether it is gone because its engine group is none of ours any more."""
        known = world.find(VirtualIP, change.ref.name) if change.ref.kind == VIPS else None
        return known is not None and known.spec.engine_group in self._foreign()

    def _defer(self, change: Change, seconds: float) -> None:
        self._pending[change.ref] = Pending(self._clock() + seconds, change)

    def _missing(self, said: dict[Ref, Change], world: World) -> Iterator[Change]:
        """What was followed and is not there any more: deleted while nobody looked. That many VIPs
        were is not believed at once."""
        gone = [ref for ref in _refs(world) if ref not in said and ref.kind not in self._absent]
        vips = [ref for ref in gone if ref.kind == VirtualIP.KIND]
        doubtful = is_many(len(vips), sum(1 for _ in world.every(VirtualIP)))
        for ref in gone:
            if doubtful and ref.kind in OWN:
                self._defer(Change(ref, None), self._grace)
            else:
                yield Change(ref, None)


def why(health: Iterable[Health]) -> list[str]:
    """What cannot be read, each reason once, with the kinds that it is about."""
    found: dict[str, list[str]] = {}
    for one in health:
        reason = f"the API server does not have it; {HOW}" if one.absent else one.error
        if reason:
            found.setdefault(reason, []).append(one.kind)
    return [f"{', '.join(kinds)}: {reason}" for reason, kinds in found.items()]


def is_many(gone: int, total: int) -> bool:
    """Whether so many VIPs of all are more than anybody means to give up at once."""
    return gone > max(LEAST - 1, total * SHARE // 100)


def _is_gone(change: Change) -> bool:
    return change.object is None and change.problem is None


def _is_lost(change: Change, world: World) -> bool:
    """Whether a Node was ready, by what is followed, and is not any more."""
    if not isinstance(change.object, Node) or change.object.ready:
        return False
    before = world.find(Node, change.ref.name)
    return before is not None and before.ready


def _refs(world: World) -> Iterator[Ref]:
    for kind, spaces in world.tables.items():
        for namespace, rows in spaces.items():
            for name in rows:
                yield Ref(kind, namespace, name)
