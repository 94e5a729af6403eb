"""What a data plane or the ledger is doing, as values: the edges print and publish them."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple


class DriverHealth(NamedTuple):
    """Whether a driver (or ``ledger``) works. ``since`` is when that began (UTC); ``error`` is
    empty while it works."""

    name: str
    ok: bool
    error: str
    since: datetime


@dataclass(slots=True)
class Counters:
    """How often, since the process started. ``repairs`` are full rounds that found something to do
    although the plan had not changed; ``seconds`` is the time of the last round or change."""

    rounds: int = 0
    changes: int = 0
    repairs: int = 0
    failures: int = 0
    seconds: float = 0.0
