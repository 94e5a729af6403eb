"""A cell of engines as one of them sees it: the facts that liveness is decided by.

A cell has at most sixteen engines, so everybody tells everybody everything: each message carries
the newest row of every engine that its sender knows of.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from immutables import Map
from msgspec import Struct

Partition = Literal["consistent", "available"]
"""What a side without a majority does: let go, or keep serving (and accept two holders)."""


class Roster(NamedTuple):
    """Whose majority counts. ``generation`` counts up; 0 is the cell as configured."""

    generation: int
    members: frozenset[str]


class Row(Struct, frozen=True):
    """What one engine said of itself. ``heard``: when it said so, in seconds by the reader's own
    clock. ``links``: whom it has a live session with. ``roster``: the newest that it has taken;
    ``agreed``: the newest that it knows to have been taken by all its members. ``serving``: it has
    not let go."""

    heard: float
    links: frozenset[str]
    roster: Roster
    agreed: Roster
    serving: bool = True


class Sight(Struct, frozen=True):
    """What engine ``me`` knows at ``now``.

    ``links``, ``roster`` and ``agreed`` are its own; ``rows`` is what others said, the freshest of
    each. ``alone``: until when (same clock) it is known that the machines of the others do not
    answer on the LAN while the gateway does; only looked for when the API is away. ``since``: when
    it began to listen.
    """

    me: str
    now: float
    links: frozenset[str]
    roster: Roster
    agreed: Roster
    rows: Mapping[str, Row] = Map()
    alone: float = 0.0
    since: float = float("-inf")
