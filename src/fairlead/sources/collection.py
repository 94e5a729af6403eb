"""Garbage collection, kept out of the way.

Worlds, plans and ledgers are immutable values without cycles: collecting finds nothing in them, and
walking over 50 000 Services costs as much as planning for them.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Build many values without a collection between."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def settle() -> None:
    """Leave everything that is there now out of later collections."""
    gc.collect()
    set_aside()


def set_aside() -> None:
    """The same at once, without collecting before."""
    gc.freeze()


def collect_seldom() -> None:
    """For processes that read a cluster over seconds, and go on for months: what is young is looked
    at when 10 000 values came and stayed, and what is old hardly ever."""
    gc.set_threshold(10_000, 20, 100)
