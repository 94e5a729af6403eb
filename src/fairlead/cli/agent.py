"""``fairlead agent``: on each node, serves what the published ledger says."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairlead.cli.controller import LogForm, LogOption
from fairlead.cli.failure import Failure, need_root
from fairlead.cli.options import DEFAULT_STATE, THIS_HOST, ConfigFile, Context, Engine, Kubeconfig

if TYPE_CHECKING:
    from fairlead.runtime.probes import Listen
    from fairlead.runtime.report import Reporter

Files = Annotated[
    list[Path] | None,
    typer.Option(
        "-f",
        "--file",
        metavar="PATH",
        help="Read VirtualIPs from here instead of a cluster: a file, a folder, or - for standard "
        "input. May be given several times.",
        show_default=False,
    ),
]
State = Annotated[
    Path,
    typer.Option("--state", metavar="DIR", help="Where it keeps what it served by."),
]
Keep = Annotated[
    bool, typer.Option("--keep", help="When stopped, leave addresses and listeners in place.")
]
ListenAt = Annotated[
    str,
    typer.Option(
        "--listen",
        metavar="ADDRESS:PORT",
        help="Where /healthz, /readyz and /metrics are; without an address on all of this host.",
        show_default=":9441; nowhere with -f",
    ),
]
FenceAt = Annotated[
    Path | None,
    typer.Option(
        "--fence",
        metavar="DIR",
        help="Let the 'fairlead fence' of this directory hold the addresses, so that they survive "
        "this process.",
        show_default="this process holds them",
    ),
]
PORT = ":9441"


def agent(
    config: ConfigFile = None,
    engine: Engine = THIS_HOST,
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    files: Files = None,
    state: State = DEFAULT_STATE,
    keep: Keep = False,
    fence: FenceAt = None,
    listen: ListenAt = "",
    log: LogOption = None,
) -> None:
    """Serve the VirtualIPs of a cluster on this node: hold its share of the addresses, and take
    over those of engines that fail.

    Needs root. --engine is the name of this Node. It allocates nothing; with the API server and the
    controller away it goes on, also through its own restart. SIGTERM or Ctrl-C stops it and
    withdraws what it holds.

    Example: fairlead agent --engine node-1 --kubeconfig ~/.kube/config
    """
    need_root("'fairlead agent'", "agent ...")
    import asyncio
    import sys

    from fairlead.cli.access import SYSTEM_NAMESPACE, access_of, pod_namespace
    from fairlead.cli.inputs import configuration
    from fairlead.runtime.agent.serve import ServeOptions
    from fairlead.runtime.agent.serve import agent as serve
    from fairlead.runtime.lock import StateError
    from fairlead.runtime.probes import ListenError

    options = ServeOptions(
        config=configuration(config),
        engine=engine,
        state=state,
        access=None if files else access_of(kubeconfig, context),
        paths=files or (),
        stdin=sys.stdin.buffer if Path("-") in (files or ()) else None,
        keep=keep,
        fence=fence,
        namespace=pod_namespace() or SYSTEM_NAMESPACE,
        listen=_listen(listen or ("" if files else PORT)),
    )
    try:
        code = asyncio.run(serve(options, report=_reporter(log)))
    except (StateError, ListenError) as error:
        raise Failure(str(error)) from None
    raise typer.Exit(code)


def _listen(text: str) -> "Listen | None":
    from fairlead.runtime.probes import listen_of

    if not text:
        return None
    try:
        return listen_of(text)
    except ValueError as error:
        raise Failure(f"--listen: {error}") from None


def _reporter(form: LogForm | None) -> "Reporter":
    import sys

    from fairlead.runtime.logs import capture, make_log
    from fairlead.runtime.report import LogReporter

    if form is None:
        form = LogForm.TEXT if sys.stderr.isatty() else LogForm.JSON
    log = make_log(sys.stderr, form.value)
    capture(log)
    return LogReporter(log)
