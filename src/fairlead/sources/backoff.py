"""How long to wait before the next attempt."""

from collections.abc import Callable
from random import random


class Backoff:
    """Exponential delays with jitter, so that engines which failed together do not retry together.

    ``first`` and ``longest`` are seconds. ``jitter`` returns numbers in [0, 1); it is given in
    tests.
    """

    def __init__(
        self,
        first: float = 0.2,
        longest: float = 30.0,
        *,
        jitter: Callable[[], float] = random,
    ) -> None:
        self._first = first
        self._longest = longest
        self._jitter = jitter
        self._failures = 0

    def next(self) -> float:
        """The delay after one more failure: between half and the whole of ``first`` x
        2^failures."""
        whole = min(self._longest, self._first * (1 << min(self._failures, 32)))
        self._failures += 1
        return whole * (0.5 + self._jitter() / 2)

    def reset(self) -> None:
        """After a success the next failure starts over."""
        self._failures = 0
