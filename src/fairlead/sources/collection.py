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
    gc.freeze()
