"""What ``up`` tells whoever started it, as values; and the default listener, which writes a log.

The command line prints for people, the log is for machines: one line for each event, with one key
for each object, to standard error.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import structlog

from fairlead.model.addresses import canonical
from fairlead.model.plan import Plan
from fairlead.model.verdict import State, Verdict
from fairlead.planner import message
from fairlead.runtime.health import DriverHealth
from fairlead.runtime.pipeline import Refused
from fairlead.runtime.verdicts import VerdictChange
from fairlead.sources.files import Problem


class Started(NamedTuple):
    """``up`` runs. ``ephemeral``: the state directory is temporary and goes with it.
    ``remembered``: how many addresses the ledger held.
    """

    host: str
    state: Path
    ephemeral: bool
    remembered: int


class Stopped(NamedTuple):
    """``up`` ends. ``kept``: the data plane stays as it is. ``clean``: everything else was
    withdrawn.
    """

    kept: bool
    clean: bool


class Reporter(Protocol):
    """Gets everything that ``up`` has to say, in order, in the event loop's thread."""

    def started(self, event: Started) -> None:
        """Once, before anything is read."""
        ...

    def read(self, problems: Sequence[Problem], unknown: Mapping[str, int]) -> None:
        """After each batch: everything that is wrong with the files now, and how many objects of
        which kinds are not read."""
        ...

    def refused(self, refused: Refused | None) -> None:
        """What the guard holds back is another than before, or (None) nothing any more."""
        ...

    def verdicts(self, plan: Plan, changes: Sequence[VerdictChange]) -> None:
        """What is said of objects changed. ``plan`` knows the words
        (:func:`fairlead.planner.verdicts.message`)."""
        ...

    def health(self, health: DriverHealth) -> None:
        """A driver, or the ledger, begins to work, fails, or fails otherwise."""
        ...

    def stopped(self, event: Stopped) -> None:
        """Once, at the end."""
        ...


class LogReporter:
    """Writes structured log lines."""

    def __init__(self, log: structlog.typing.FilteringBoundLogger) -> None:
        self._log = log
        self._read: tuple[frozenset[Problem], dict[str, int]] = frozenset(), {}

    def started(self, event: Started) -> None:
        self._log.info(
            "started",
            host=event.host,
            state=str(event.state),
            ephemeral=event.ephemeral,
            remembered=event.remembered,
        )

    def read(self, problems: Sequence[Problem], unknown: Mapping[str, int]) -> None:
        """Only what is new since the last batch."""
        before, counts = self._read
        self._read = frozenset(problems), dict(unknown)
        for problem in problems:
            if problem not in before:
                self._log.warning(
                    "unreadable", at=str(problem.path), line=problem.line, why=problem.message
                )
        for kind, count in sorted(unknown.items()):
            if counts.get(kind) != count:
                self._log.info("not read", kind=kind, count=count)

    def refused(self, refused: Refused | None) -> None:
        if refused is None:
            self._log.info("nothing is held back any more")
            return
        self._log.error("held back", why=refused.message, addresses=len(refused.addresses))
        for ref in refused.withheld:
            self._log.warning("held back", object=str(ref))

    def verdicts(self, plan: Plan, changes: Sequence[VerdictChange]) -> None:
        for ref, _, after in changes:
            if after is None:
                self._log.info("gone", object=str(ref))
            else:
                level = "info" if after.state is State.SERVED and not after.reason else "warning"
                getattr(self._log, level)(after.state.value, object=str(ref), **_told(plan, after))

    def health(self, health: DriverHealth) -> None:
        if health.ok:
            self._log.info("works", driver=health.name)
        else:
            self._log.error("fails", driver=health.name, why=health.error)

    def stopped(self, event: Stopped) -> None:
        self._log.info("stopped", kept=event.kept, clean=event.clean)


def _told(plan: Plan, verdict: Verdict) -> dict[str, str]:
    told = {"addresses": " ".join(map(canonical, (*verdict.addresses, *verdict.external)))}
    if verdict.reason is not None:
        told |= {"reason": verdict.code.value, "why": message(plan, verdict.reason)}
    return {key: value for key, value in told.items() if value}
