"""``fairlead up``: makes what the manifests say so on this host, and keeps it so."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairlead.cli.failure import Failure, need_root
from fairlead.cli.options import DEFAULT_STATE, THIS_HOST, ConfigFile, Engine, Files, State, Yes

if TYPE_CHECKING:
    from fairlead.model.config import Config
    from fairlead.runtime.report import Reporter


Ephemeral = Annotated[
    bool, typer.Option("--ephemeral", help="Keep the state in a temporary directory.")
]
Keep = Annotated[
    bool, typer.Option("--keep", help="When stopped, leave addresses and listeners in place.")
]
Interfaces = Annotated[
    list[str] | None,
    typer.Option(
        "--interface",
        metavar="IF",
        help="Announce only here. May be given several times.",
        show_default="all that have a fitting subnet",
    ),
]
Log = Annotated[
    bool, typer.Option("--log", help="Write JSON lines to standard error instead of text.")
]


def up(
    files: Files,
    state: State = DEFAULT_STATE,
    ephemeral: Ephemeral = False,
    keep: Keep = False,
    engine: Engine = THIS_HOST,
    config: ConfigFile = None,
    yes: Yes = False,
    interface: Interfaces = None,
    log: Log = False,
) -> None:
    """Serve these manifests on this host, follow their edits, and withdraw everything when stopped.

    Needs root. Ctrl-C (or SIGTERM) stops it; `fairlead get` and `fairlead explain` show what it
    serves.

    Example: fairlead up -f examples/ako-shared-vip --ephemeral
    """
    need_root("'fairlead up'", "up -f ...")
    import asyncio
    import sys

    from fairlead.cli.inputs import configuration
    from fairlead.runtime.store import StateError
    from fairlead.runtime.up import UpOptions
    from fairlead.runtime.up import up as serve

    options = UpOptions(
        paths=files,
        stdin=sys.stdin.buffer if Path("-") in files else None,
        state=state or DEFAULT_STATE,
        ephemeral=ephemeral,
        config=_narrowed(configuration(config), interface),
        host=engine,
        keep=keep,
        yes=yes,
    )
    try:
        code = asyncio.run(serve(options, report=_reporter(log=log)))
    except StateError as error:
        raise Failure(str(error)) from None
    raise typer.Exit(code)


def _narrowed(config: "Config", interfaces: list[str] | None) -> "Config":
    from msgspec.structs import replace

    return replace(config, interfaces=tuple(interfaces)) if interfaces else config


def _reporter(*, log: bool) -> "Reporter":
    if not log:
        from fairlead.cli.reporter import TerminalReporter

        return TerminalReporter()
    import sys

    import structlog

    from fairlead.runtime.report import LogReporter

    processors: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.JSONRenderer(),
    ]
    target = structlog.WriteLogger(sys.stderr)
    return LogReporter(structlog.wrap_logger(target, processors=processors))
