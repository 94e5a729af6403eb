"""``fairlead get``: lists, as ``kubectl get`` prints them."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from fairlead.cli.access import SYSTEM_NAMESPACE, means_cluster, other_source
from fairlead.cli.failure import Failure
from fairlead.cli.options import (
    DEFAULT_STATE,
    NO_FILES,
    THIS_HOST,
    Cluster,
    ConfigFile,
    Context,
    Engine,
    Files,
    Kubeconfig,
    Namespace,
    Output,
    State,
    System,
)
from fairlead.cli.output import Format, emit, show
from fairlead.cli.what import SHORT, What

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from fairlead.cli.cluster import Where
    from fairlead.cli.inputs import Decision, Reading


def what_of(text: str) -> What:
    """The list that a word means."""
    if text not in SHORT and text not in list(What):
        raise typer.BadParameter(f"{text!r} cannot be listed; say one of {', '.join(What)}")
    return SHORT.get(text) or What(text)


Listed = Annotated[
    What,
    typer.Argument(
        parser=what_of,
        metavar="|".join(What),
        help="What to list; svc, vip, pool, engine, rejection mean the same.",
        autocompletion=lambda: list(What),
    ),
]
Watch = Annotated[
    bool,
    typer.Option("--watch", "-w", help="Print again when the manifests, or the cluster, change."),
]


def get(
    what: Listed,
    files: Files = NO_FILES,
    state: State = None,
    config: ConfigFile = None,
    engine: Engine = THIS_HOST,
    namespace: Namespace = "",
    output: Output = Format.TABLE,
    watch: Watch = False,
    cluster: Cluster = False,
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    system: System = SYSTEM_NAMESPACE,
) -> None:
    """List services, vips, pools, engines or rejections.

    Without -f: what `fairlead up` serves, as its state directory tells. With -f: what these
    manifests would come to, as in `fairlead plan`. With --cluster, or as `kubectl fairlead`: what
    the controller decides on that cluster; the right to list is enough.

    Example: fairlead get services -f manifests --state /var/lib/fairlead
    """
    if means_cluster(cluster, kubeconfig, context, other=other_source(files, state)):
        from fairlead.cli.cluster import Where

        where = Where(kubeconfig, context, system, config)
        _get_live(where, what, namespace, output, watch=watch)
        return
    if watch and not files:
        raise Failure("--watch follows manifests, or a cluster: give -f or --cluster")

    from fairlead.cli import inputs

    since = inputs.held_since(state or DEFAULT_STATE) if state or not files else {}

    def tell(decision: inputs.Decision) -> None:
        _print(what, decision, since, namespace, output)

    if watch:
        _watch(inputs.Reading(files, state=state, config=config, engine=engine), tell)
    elif files:
        tell(inputs.decide(files, state=state, config=config, engine=engine))
    else:
        tell(inputs.running(state or DEFAULT_STATE))


def _watch(reading: "Reading", tell: "Callable[[Decision], None]") -> None:
    import asyncio

    asyncio.run(_follow(reading, tell))


def _get_live(where: "Where", what: What, namespace: str, output: Format, *, watch: bool) -> None:
    """The same lists, of a cluster."""
    from fairlead.cli import cluster

    shown = False

    def tell(view: cluster.View) -> None:
        nonlocal shown
        if shown:
            show("\n")
        shown = True
        _print(what, view.decision, view.since, namespace, output)

    if watch:
        cluster.follow(where, tell)
    else:
        tell(cluster.look(where))


def _print(
    what: What,
    decision: "Decision",
    since: "Mapping[str, datetime]",
    namespace: str,
    output: Format,
) -> None:
    from fairlead.cli.listing import listed

    listing = listed(what, decision, since, namespace)
    emit(listing.value, output, listing.table)
    sys.stdout.flush()


async def _follow(reading: "Reading", tell: "Callable[[Decision], None]") -> None:
    """Tell everything again after each edit, until Ctrl-C."""
    tell(reading.first())
    reading.tell()
    async for decision in reading.later():
        show("\n")
        tell(decision)
        reading.tell()
