"""The order in which engines are candidates for a VIP: what is more than a hash of names.

Who has it at home comes first. In mode NPlusM some engines are a buffer: they come next, so that
they take over what a failed engine had, and before the others, which have enough of their own. An
engine that leaves (its Node is cordoned) comes last, whatever else it is.
"""

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from math import ceil

from fairlead.model.claim import Engine

CELL = 16
"""Engines in a cell, at most."""
Order = tuple[str, ...]


@lru_cache(maxsize=64)
def buffers(engines: Order, count: int) -> frozenset[str]:
    """Which engines are the buffer: the last by name, which all cells share. One at least is
    none."""
    names = sorted(engines)
    return frozenset(names[max(1, len(names) - count) :]) if count else frozenset()


@lru_cache(maxsize=64)
def leaving(engines: tuple[Engine, ...]) -> frozenset[str]:
    """The engines that are to keep only what nobody else can hold."""
    return frozenset(e.name for e in engines if e.leaving)


@lru_cache(maxsize=64)
def cells(engines: Order) -> tuple[Order, ...]:
    """The engines in cells of at most :data:`CELL`."""
    names = sorted(engines)
    count = max(1, ceil(len(names) / CELL))
    return tuple(tuple(names[i::count]) for i in range(count))


@lru_cache(maxsize=64)
def numbered(engines: Order) -> Mapping[str, int]:
    """The number of each engine's cell; empty where all are in one."""
    found = cells(engines)
    return {n: i for i, cell in enumerate(found) for n in cell} if len(found) > 1 else {}


def arranged(
    order: Sequence[str], *, home: Collection[str], buffer: Collection[str], holders: int
) -> Order:
    """The order with those at home first, and in NPlusM the buffer behind the first ``holders``."""
    if not (home or buffer):
        return tuple(order)
    first = [name for name in dict.fromkeys(home) if name in order]
    rest = [name for name in order if name not in first]
    if not buffer:
        return (*first, *rest)
    busy = [name for name in rest if name not in buffer]
    count = max(0, holders - len(first))
    spare = (name for name in rest if name in buffer)
    return (*first, *busy[:count], *spare, *busy[count:])


def leaving_last(order: Sequence[str], going: Collection[str]) -> Order:
    """The order with those who leave behind the others."""
    if not going:
        return tuple(order)
    return (*(n for n in order if n not in going), *(n for n in order if n in going))
