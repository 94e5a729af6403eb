"""What the driver believes to be in the table, and the steps from there to what is wanted.

Listing the table takes a second at 10 000 listeners, so the driver lists it at the start, in the
full round and after an error, and otherwise trusts what it committed.
"""

from collections.abc import Iterator, Mapping
from itertools import islice

from msgspec import Struct, field
from msgspec.structs import replace

from fairlead.drivers.nft.elements import Element, elements, shape, vip_element
from fairlead.drivers.nft.schema import MAX_BACKENDS, Shape
from fairlead.model.addresses import IPAddress
from fairlead.model.desired import PASSED, L4Changes, L4Desired, L4Key, L4Listener

BATCH = 2_000
"""Listeners per transaction: longer ones hold up everybody else's commits."""


class Known(Struct):
    """The driver's picture of the table. ``rebuild``: there is no usable table yet. ``damaged``
    and ``strays`` are as in :class:`~fairlead.drivers.nft.observe.Seen`."""

    rows: dict[L4Key, L4Listener] = field(default_factory=dict)
    vips: set[IPAddress] = field(default_factory=set)
    damaged: dict[L4Key, frozenset[Element]] = field(default_factory=dict)
    strays: frozenset[Element] = frozenset()
    shapes: set[Shape] = field(default_factory=set)
    rebuild: bool = False

    def desired(self) -> L4Desired:
        """It as the contract's value."""
        return L4Desired(listeners=dict(self.rows), vips=frozenset(self.vips))

    def elements_of(self, key: L4Key) -> frozenset[Element]:
        """The elements that are there for a listener."""
        if key in self.damaged:
            return self.damaged[key]
        row = self.rows.get(key)
        return elements(key, row) if row else frozenset()

    def record(self, changes: L4Changes) -> None:
        """Changes were committed."""
        for key, listener in changes.listeners.items():
            self.damaged.pop(key, None)
            if listener is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = listener
                self.shapes.update(shape(listener).needs())
        self.vips |= changes.vips_added
        self.vips -= changes.vips_removed

    def unused_shapes(self) -> set[Shape]:
        """Shapes with a chain and no listener."""
        used = {need for row in self.rows.values() for need in shape(row).needs()}
        return self.shapes - used - {Shape(0)}


class Step(Struct, frozen=True):
    """One transaction's worth."""

    out: list[Element]
    into: list[Element]
    shapes: set[Shape]
    changes: L4Changes


def steps(known: Known, changes: L4Changes) -> Iterator[Step]:
    """Changes as transactions: what comes first, what goes last, a listener never in two.

    A VIP is added after its listeners and removed after them, so nobody finds it half made.
    """
    come = {key: row for key, row in changes.listeners.items() if row is not None}
    gone = {key: None for key, row in changes.listeners.items() if row is None}
    if len(changes.listeners) <= BATCH:
        yield _step(known, changes)
        return
    for part in _chunks(come):
        yield _step(known, L4Changes(listeners=part))
    if changes.vips_added:
        yield _step(known, L4Changes(listeners={}, vips_added=changes.vips_added))
    for part in _chunks(gone):
        yield _step(known, L4Changes(listeners=part))
    if changes.vips_removed:
        yield _step(known, L4Changes(listeners={}, vips_removed=changes.vips_removed))


def _step(known: Known, changes: L4Changes) -> Step:
    out: list[Element] = [vip_element(one) for one in changes.vips_removed & known.vips]
    into: list[Element] = [vip_element(one) for one in changes.vips_added - known.vips]
    shapes: set[Shape] = set()
    for key, listener in changes.listeners.items():
        old = known.elements_of(key)
        new = elements(key, listener) if listener else frozenset()
        out += old - new
        into += new - old
        if listener:
            shapes.update(shape(listener).needs())
    return Step(out, into, shapes - known.shapes, changes)


def _chunks(
    rows: Mapping[L4Key, L4Listener | None],
) -> Iterator[dict[L4Key, L4Listener | None]]:
    items = iter(rows.items())
    while part := dict(islice(items, BATCH)):
        yield part


def stale_flows(known: Known, changes: L4Changes) -> dict[L4Key, frozenset[tuple[IPAddress, int]]]:
    """Per listener, the backends whose flows may go on after such changes; the others end.

    A removed listener's end, of every protocol; a UDP listener's that are not on a present backend
    do when backends left or it is new, and all of them when its sources were restricted anew
    (those still allowed come back with their next packet). Those that somebody else translates are
    his to end.
    """
    listeners: dict[L4Key, frozenset[tuple[IPAddress, int]]] = {}
    for key, row in changes.listeners.items():
        old = known.rows.get(key)
        if row is None:
            listeners[key] = frozenset()
        elif key.protocol == "UDP" and not row.passes and _ends_flows(old, row):
            same = old is None or row.source_ranges in ((), old.source_ranges)
            listeners[key] = live(row) if same else frozenset()
    return listeners


def _ends_flows(old: L4Listener | None, new: L4Listener) -> bool:
    if old is None:
        return True
    return bool(live(old) - live(new)) or new.source_ranges not in ((), old.source_ranges)


def live(row: L4Listener | None) -> frozenset[tuple[IPAddress, int]]:
    """Where a listener's flows may go."""
    return frozenset((backend.address, backend.port) for backend in (row.backends if row else ()))


def possible(changes: L4Changes) -> tuple[L4Changes, list[str]]:
    """The changes without the listeners that no table can hold, and what is wrong with those: one
    impossible listener must not keep the others from being served."""
    wrong = {
        key: problem
        for key, row in changes.listeners.items()
        if row is not None and (problem := _problem(key, row))
    }
    if not wrong:
        return changes, []
    rows = {key: row for key, row in changes.listeners.items() if key not in wrong}
    named = [f"listener {k.protocol} {k.address} port {k.port}: {p}" for k, p in wrong.items()]
    return replace(changes, listeners=rows), sorted(named)


def _problem(key: L4Key, row: L4Listener) -> str:
    if row.passes and row != PASSED:
        return "it passes, and says how it is served besides"
    if len(row.backends) > MAX_BACKENDS:
        return f"more than {MAX_BACKENDS} backends"
    if row.affinity_seconds < 0:
        return f"an affinity of {row.affinity_seconds} s"
    strange = (b.address for b in row.backends if b.address.version != key.address.version)
    return "".join(f"backend {address} is of the other family" for address in islice(strange, 1))
