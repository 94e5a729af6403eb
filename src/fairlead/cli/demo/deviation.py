"""Expectations: what must be seen, within which time, and what is said when it is not."""

import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE = 10.0
"""Seconds until what must come has come."""
PAUSE = 0.05
Seen = TypeVar("Seen")


class Deviation(Exception):
    """Something was not as it must be. ``hints``: what those concerned said last."""

    def __init__(self, *, expected: str, seen: object, hints: str = "") -> None:
        super().__init__(expected, seen)
        self.where = ""
        self._lines = [
            f"  expected: {expected}",
            f"  seen:     {seen or 'nothing'}",
            *hints.splitlines(),
        ]

    def __str__(self) -> str:
        return "\n".join([f"{self.where}:", *self._lines])


def until(
    look: Callable[[], Seen],
    right: Callable[[Seen], bool],
    *,
    expected: str,
    hints: Callable[[], str] = str,
    patience: float | None = None,
) -> Seen:
    """Look until what is seen is right, and return it. Raises :class:`Deviation` after
    ``patience``, which is :data:`PATIENCE` unless given."""
    patience = PATIENCE if patience is None else patience
    deadline = time.monotonic() + patience
    while True:
        late = time.monotonic() > deadline
        seen = look()
        if right(seen):
            return seen
        if late:
            raise Deviation(
                expected=f"within {patience:.0f} s {expected}", seen=seen, hints=hints()
            )
        time.sleep(PAUSE)
