"""``failover`` with twenty crashes of each kind instead of five."""

from collections.abc import Iterator

from bench.failover import crashes
from bench.failover_pair import run as pair
from bench.figure import Figure

REPETITIONS = 20


def run() -> Iterator[Figure]:
    """The crashes alone: what else there is needs no repetition."""
    for figure in (*crashes(REPETITIONS), *pair(REPETITIONS)):
        yield figure._replace(name=f"{figure.name}.of_{REPETITIONS}")
