"""Requests from the client, and who answered them."""

import time
from collections import Counter
from collections.abc import Collection
from typing import NamedTuple

from fairlead.cli.demo.deviation import Deviation
from fairlead.lab import Host
from fairlead.lab.probe import Answer, Outcome, Refused, TimedOut, tcp_ask, udp_ask

FEWEST, MOST = 8, 80
"""Requests: so many at least, and so many to have everybody answer (one of two stays silent in one
of 2^79 trials)."""
GRACE = 3.0
"""Seconds in which the first request may fail: neighbours have to learn of an address that moved.
"""
TIMEOUT = 1.0


class Target(NamedTuple):
    """Where requests go."""

    address: str
    port: int
    protocol: str = "TCP"

    def __str__(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}/{self.protocol}"


def ask(client: Host, target: Target, timeout: float = TIMEOUT) -> Outcome:
    """One request."""
    question = udp_ask if target.protocol == "UDP" else tcp_ask
    return client.call(question, target.address, target.port, timeout)


def answered(client: Host, target: Target, by: Collection[str]) -> Counter[str]:
    """Who answered how often: all of ``by``, nobody else, and no request without an answer."""
    tally: Counter[str] = Counter()
    first = _first(client, target, by)
    while tally.total() < FEWEST or (set(tally) != set(by) and tally.total() < MOST):
        outcome = first if not tally else ask(client, target)
        if not isinstance(outcome, Answer):
            raise _deviation(target, by, f"{tell(outcome)} after {tally.total()} answers")
        tally[outcome.name] += 1
    if set(tally) != set(by):
        raise _deviation(target, by, f"answers of {', '.join(sorted(tally))}")
    return tally


def silent(client: Host, target: Target) -> Outcome:
    """What becomes of a request that nobody may answer."""
    outcome = ask(client, target, TIMEOUT / 2)
    if isinstance(outcome, Answer):
        raise Deviation(expected=f"no answer from {target}", seen=tell(outcome))
    return outcome


def tell(outcome: Outcome) -> str:
    """What became of a request, in words."""
    match outcome:
        case Answer(name=name):
            return f"an answer from {name}"
        case Refused(reason=reason):
            return f"refused ({reason})"
        case TimedOut(elapsed=elapsed):
            return f"no answer in {elapsed:.1f} s"


def _first(client: Host, target: Target, by: Collection[str]) -> Answer:
    deadline = time.monotonic() + GRACE
    while True:
        outcome = ask(client, target)
        if isinstance(outcome, Answer):
            return outcome
        if time.monotonic() > deadline:
            raise _deviation(target, by, f"{tell(outcome)}, for {GRACE:.0f} s")
        time.sleep(0.02)


def _deviation(target: Target, by: Collection[str], seen: str) -> Deviation:
    return Deviation(expected=f"{target} answered by {' and '.join(sorted(by))}", seen=seen)
