"""``fairlead plan``: what would be, and what would change. Writes nothing."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from fairlead.cli.failure import DONE, REJECTED, USAGE
from fairlead.cli.options import THIS_HOST, ConfigFile, Engine, Files, Output, State, Yes
from fairlead.cli.output import Format, emit, note

if TYPE_CHECKING:
    from fairlead.cli.inputs import Decision
    from fairlead.publish.contract import PlanDocument


def plan(
    files: Files,
    state: State = None,
    config: ConfigFile = None,
    engine: Engine = THIS_HOST,
    output: Output = Format.TABLE,
    yes: Yes = False,
) -> None:
    """Show what `fairlead up` would do with these manifests, and change nothing.

    Compares with the state of a running or former `up` when --state is given, else with nothing.
    Exit code: 0 done, 1 something was rejected, 2 bad usage or a file that cannot be read (the rest
    is planned and printed all the same).

    Example: fairlead plan -f examples/ako-shared-vip -o json
    """
    from fairlead.cli.inputs import decide
    from fairlead.planner import differences
    from fairlead.publish.document import document

    decision = decide(files, state=state, config=config, engine=engine, yes=yes)
    if state is None:
        note("compared with nothing, because no --state is given")
    elif not decision.before.holdings:
        note(f"compared with nothing, because no address is held in {state}")
    changes = differences(decision.before, decision.plan)
    result = document(decision.plan, decision.world, changes)
    emit(result, output, _table(result, decision))
    if decision.refused is not None:
        note(f"'fairlead up' would hold this back: {decision.refused.message}")
    if decision.unreadable:
        raise typer.Exit(USAGE)
    raise typer.Exit(REJECTED if result.rejections else DONE)


def _table(result: "PlanDocument", decision: "Decision") -> Callable[[], str]:
    def text() -> str:
        from datetime import UTC, datetime

        from fairlead.publish.report import report

        return report(result, decision.world, now=datetime.now(UTC))

    return text
