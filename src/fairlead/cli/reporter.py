"""What ``fairlead up`` says to the person who started it: one line for each thing that changes.

Results go to standard output, problems to standard error, both as they happen.
"""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence

import typer

from fairlead.cli.inputs import unknown_kinds
from fairlead.cli.output import note, painted
from fairlead.model.addresses import canonical
from fairlead.model.plan import Plan
from fairlead.model.verdict import State, Verdict
from fairlead.publish.document import sentence
from fairlead.runtime.health import DriverHealth
from fairlead.runtime.pipeline import Refused
from fairlead.runtime.report import Started, Stopped
from fairlead.runtime.verdicts import VerdictChange
from fairlead.sources.files import Problem

MANY = 50
"""Of more changes than this at once, those that are simply served are only counted."""


class TerminalReporter:
    """Prints what happens. It is a :class:`fairlead.runtime.report.Reporter`."""

    def __init__(self) -> None:
        self._problems: frozenset[Problem] = frozenset()
        self._unknown: dict[str, int] = {}

    def started(self, event: Started) -> None:
        """Where the state is kept is always said, above all when it will not last."""
        kind = "temporary state" if event.ephemeral else "state"
        held = f", which holds {event.remembered} addresses" if event.remembered else ""
        self._say(f"fairlead serves as engine {event.host}, {kind} in {event.state}{held}")

    def read(self, problems: Sequence[Problem], unknown: Mapping[str, int]) -> None:
        """Only what is new since the last time."""
        for problem in problems:
            if problem not in self._problems:
                note(str(problem))
        for problem in self._problems.difference(problems):
            note(f"{problem.path}: no longer: {problem.message}")
        if unknown and dict(unknown) != self._unknown:
            note(unknown_kinds(unknown))
        self._problems, self._unknown = frozenset(problems), dict(unknown)

    def refused(self, refused: Refused | None) -> None:
        """Loudly, because somebody has to act."""
        if refused is None:
            note("nothing is held back any more")
        else:
            note(f"held back: {refused.message}")

    def verdicts(self, plan: Plan, changes: Sequence[VerdictChange]) -> None:
        """One line for each object, with the reason."""
        counts: Counter[str] = Counter()
        for ref, _, after in changes:
            counts[after.state.value if after else "Gone"] += 1
            plain = after is not None and after.state is State.SERVED and not after.reason
            if len(changes) <= MANY or not plain:
                self._say(f"{_state(after)} {ref}{_told(plan, after)}")
        if len(changes) > MANY:
            told = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
            self._say(f"{len(changes)} objects: {told}")

    def health(self, health: DriverHealth) -> None:
        """What a driver cannot do, and when it can again."""
        note(f"{health.name}: works" if health.ok else f"{health.name}: fails: {health.error}")

    def stopped(self, event: Stopped) -> None:
        """What is left behind."""
        if event.kept:
            self._say("stopped; everything is left as it is (--keep)")
        elif event.clean:
            self._say("stopped; everything is withdrawn")
        else:
            note("stopped, but not everything could be withdrawn; see above")

    def _say(self, text: str) -> None:
        typer.echo(text)
        sys.stdout.flush()


def _state(verdict: Verdict | None) -> str:
    name = verdict.state.value if verdict else "Gone"
    return painted(name, f"{name:<8}")


def _told(plan: Plan, verdict: Verdict | None) -> str:
    if verdict is None:
        return ""
    code, text = sentence(plan, verdict)
    addresses = " ".join(map(canonical, (*verdict.addresses, *verdict.external)))
    return f" {addresses}".rstrip() + (f": {code}: {text}" if code else "")
