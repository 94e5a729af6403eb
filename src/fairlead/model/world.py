"""One immutable snapshot of everything that was read: the planner's only view of the outside.

Tables are persistent maps (hash array mapped tries), so a snapshot after one change shares all the
rest with the one before and costs the same at 50 and at 50 000 Services. Each snapshot remembers
which objects its last changes touched, which is what makes incremental planning possible.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, TypeVar, cast

from immutables import Map
from msgspec import Struct

from fairlead.model.config import Config
from fairlead.model.kube import (
    EndpointSlice,
    KubeObject,
    Namespace,
    Node,
    Pod,
    Service,
)
from fairlead.model.names import Ref
from fairlead.model.verdict import Reason

Kind = TypeVar("Kind", bound=KubeObject)
Rows = Map[str, Any]
EMPTY: Map[Any, Any] = Map()
JOURNAL = 256
"""Changes remembered; a planner that is further behind plans in full."""
BULK = 4096
"""A change of more objects than this is not remembered one by one: planning in full is cheaper."""


class Entry(NamedTuple):
    """One step of the journal: the revision it led to and the objects it touched."""

    revision: int
    touched: frozenset[Ref]


class Change(NamedTuple):
    """One object as it is now (``None``: it is gone), or why it cannot be used.

    With a ``problem`` and no object, what was read before stays in use (DESIGN, "Duplicates").
    ``lingers``: the object is gone, and what it holds is kept for its return.
    """

    ref: Ref
    object: KubeObject | None
    problem: Reason | None = None
    lingers: bool = False


class World(Struct, frozen=True):
    """Everything that was read. ``host`` is the engine that this process runs on, empty for none.

    ``tables``: kind -> namespace -> name -> object. ``slices``: (namespace, Service) -> its slices.
    ``problems``: objects that exist but cannot be used. ``lingering``: objects that are gone, whose
    addresses are kept for a while.
    """

    config: Config = Config()
    host: str = ""
    tables: Map[str, Map[str, Rows]] = EMPTY
    slices: Map[tuple[str, str], tuple[EndpointSlice, ...]] = EMPTY
    problems: Map[Ref, Reason] = EMPTY
    lingering: frozenset[Ref] = frozenset()
    revision: int = 0
    journal: tuple[Entry, ...] = ()

    def find(self, kind: type[Kind], name: str, namespace: str = "") -> Kind | None:
        """The object of that kind and name, or None."""
        rows = self.tables.get(kind.KIND, EMPTY).get(namespace, EMPTY)
        return cast("Kind | None", rows.get(name))

    def every(self, kind: type[Kind], namespace: str | None = None) -> Iterator[Kind]:
        """All objects of a kind (in one namespace), in no particular order."""
        table = self.tables.get(kind.KIND, EMPTY)
        spaces = table.values() if namespace is None else [table.get(namespace, EMPTY)]
        for rows in spaces:
            yield from rows.values()

    def service(self, ref: Ref) -> Service | None:
        """The Service of that reference."""
        return self.find(Service, ref.name, ref.namespace)

    def slices_of(self, service: Service) -> tuple[EndpointSlice, ...]:
        """The EndpointSlices of a Service, by name."""
        return self.slices.get((service.namespace, service.name), ())

    def namespace(self, name: str) -> Namespace | None:
        """The Namespace of that name; None where none was written."""
        return self.find(Namespace, name)

    def nodes(self) -> list[Node]:
        """All Nodes, by name."""
        return sorted(self.every(Node), key=lambda node: node.name)

    def pods(self, namespace: str) -> Iterator[Pod]:
        """The pods of a namespace."""
        return self.every(Pod, namespace)

    def touched_since(self, revision: int) -> frozenset[Ref] | None:
        """What changed after that revision; None when that is further back than the journal."""
        if revision == self.revision:
            return frozenset()
        oldest = self.journal[0].revision if self.journal else self.revision + 1
        if revision < oldest - 1 or revision > self.revision:
            return None
        return frozenset().union(*(e.touched for e in self.journal if e.revision > revision))

    def evolve(self, changes: Iterable[Change]) -> "World":
        """The world after some changes. Unchanged objects are noticed and touch nothing."""
        return _Evolution(self).run(changes)


class _Evolution:
    """The working state of one :meth:`World.evolve`; it never leaves this module."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.tables: dict[str, dict[str, Any]] = {}
        self.slices = world.slices.mutate()
        self.problems = world.problems.mutate()
        self.lingering = world.lingering
        self.touched: set[Ref] = set()

    def run(self, changes: Iterable[Change]) -> World:
        for change in changes:
            self._problem(change)
            self._linger(change)
            if change.object is not None or change.problem is None:
                self._object(change)
        return self._finish() if self.touched else self.world

    def _problem(self, change: Change) -> None:
        if self.problems.get(change.ref) != change.problem:
            self.touched.add(change.ref)
            if change.problem is None:
                del self.problems[change.ref]
            else:
                self.problems[change.ref] = change.problem

    def _linger(self, change: Change) -> None:
        if change.lingers != (change.ref in self.lingering):
            self.touched.add(change.ref)
            self.lingering ^= {change.ref}

    def _object(self, change: Change) -> None:
        kind, namespace, name = change.ref
        rows = self._rows(kind, namespace)
        old = rows.get(name)
        if old == change.object:
            return
        self.touched.add(change.ref)
        if change.object is None:
            del rows[name]
        else:
            rows[name] = change.object
        if kind == EndpointSlice.KIND:
            self._slice(old, cast("EndpointSlice | None", change.object))

    def _rows(self, kind: str, namespace: str) -> Any:
        spaces = self.tables.setdefault(kind, {})
        if namespace not in spaces:
            table = self.world.tables.get(kind, EMPTY)
            spaces[namespace] = table.get(namespace, EMPTY).mutate()
        return spaces[namespace]

    def _slice(self, old: EndpointSlice | None, new: EndpointSlice | None) -> None:
        if old is not None:
            key = (old.namespace, old.service)
            rest = tuple(s for s in self.slices.get(key, ()) if s.name != old.name)
            if rest:
                self.slices[key] = rest
            else:
                self.slices.pop(key, None)
        if new is not None and new.service:
            key = (new.namespace, new.service)
            self.slices[key] = tuple(sorted((*self.slices.get(key, ()), new), key=lambda s: s.name))

    def _finish(self) -> World:
        world, tables = self.world, self.world.tables.mutate()
        for kind, spaces in self.tables.items():
            table = world.tables.get(kind, EMPTY).mutate()
            for namespace, rows in spaces.items():
                table[namespace] = rows.finish()
            tables[kind] = table.finish()
        revision = world.revision + 1
        return World(
            config=world.config,
            host=world.host,
            tables=tables.finish(),
            slices=self.slices.finish(),
            problems=self.problems.finish(),
            lingering=self.lingering,
            revision=revision,
            journal=self._journal(revision),
        )

    def _journal(self, revision: int) -> tuple[Entry, ...]:
        if len(self.touched) > BULK:
            return ()
        entry = Entry(revision, frozenset(self.touched))
        return (*self.world.journal[-(JOURNAL - 1) :], entry)
