"""``fairlead controller``: allocates and reports on a cluster."""

import os
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from fairlead.cli.failure import Failure
from fairlead.cli.options import ConfigFile, Context, Kubeconfig

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

Identity = Annotated[
    str,
    typer.Option(
        "--identity",
        metavar="NAME",
        help="What this replica is called in the Lease; another one must not be called the same.",
        show_default="$POD_NAME, else the host's name and the process id",
    ),
]
LeaseNamespace = Annotated[
    str,
    typer.Option(
        "--namespace",
        metavar="NAME",
        help="Where the Lease is, which says who leads.",
        show_default="the pod's own, outside a cluster fairlead-system",
    ),
]
LeaseSeconds = Annotated[
    float,
    typer.Option(
        "--lease",
        metavar="SECONDS",
        min=2,
        max=600,
        help="After so long without a sign of life of the leader another replica takes over.",
    ),
]
ListenAt = Annotated[
    str,
    typer.Option(
        "--listen",
        metavar="ADDRESS:PORT",
        help="Where /healthz, /readyz and /metrics are; without an address on all of this host.",
    ),
]
Workers = Annotated[
    int, typer.Option("--workers", min=1, max=256, help="How many writes are under way at once.")
]


class LogForm(StrEnum):
    """``--log``."""

    TEXT = "text"
    JSON = "json"


LogOption = Annotated[
    LogForm | None,
    typer.Option(
        "--log",
        help="What is written to standard error.",
        show_default="text on a terminal, else json",
    ),
]


def controller(
    config: ConfigFile = None,
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    namespace: LeaseNamespace = "",
    identity: Identity = "",
    lease: LeaseSeconds = 10.0,
    listen: ListenAt = ":9440",
    workers: Workers = 32,
    log: LogOption = None,
) -> None:
    """Allocate addresses for the Services of a cluster, publish them as VirtualIPs, and report on
    every object. Of several replicas one leads.

    Reads the cluster that --kubeconfig and --context name, else $KUBECONFIG, else the one this pod
    runs in, else ~/.kube/config. Needs the CustomResourceDefinitions (`fairlead crds`) and waits
    for them. SIGTERM or Ctrl-C stops it and hands over.

    Example: fairlead controller --kubeconfig ~/.kube/config --namespace default --listen :0
    """
    import asyncio

    from fairlead.cli.access import SYSTEM_NAMESPACE, access_of, pod_namespace
    from fairlead.cli.inputs import configuration
    from fairlead.runtime.controller.controller import ControllerOptions
    from fairlead.runtime.controller.serve import CONFIG_DEFAULTS, ServeOptions, serve
    from fairlead.runtime.probes import ListenError, listen_of

    try:
        where = listen_of(listen)
    except ValueError as error:
        raise Failure(f"--listen: {error}") from None
    own = ControllerOptions(
        config=configuration(config, defaults=CONFIG_DEFAULTS),
        identity=identity or os.environ.get("POD_NAME") or f"{os.uname().nodename}_{os.getpid()}",
        namespace=namespace or pod_namespace() or SYSTEM_NAMESPACE,
        lease=lease,
        workers=workers,
    )
    options = ServeOptions(access=access_of(kubeconfig, context), controller=own, listen=where)
    try:
        code = asyncio.run(serve(options, _log(log)))
    except ListenError as error:
        raise Failure(str(error)) from None
    raise typer.Exit(code)


def _log(form: LogForm | None) -> "FilteringBoundLogger":
    import sys

    from fairlead.runtime.logs import capture, make_log

    if form is None:
        form = LogForm.TEXT if sys.stderr.isatty() else LogForm.JSON
    made = make_log(sys.stderr, form.value)
    capture(made)
    return made
