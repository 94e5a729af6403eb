"""``fairlead get``: lists, as ``kubectl get`` prints them."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from fairlead.cli.failure import Failure
from fairlead.cli.options import (
    DEFAULT_STATE,
    NO_FILES,
    THIS_HOST,
    ConfigFile,
    Engine,
    Files,
    Namespace,
    Output,
    State,
)
from fairlead.cli.output import Format, emit, show
from fairlead.cli.what import SHORT, What

if TYPE_CHECKING:
    from collections.abc import Callable

    from fairlead.cli.inputs import Decision, Reading


def what_of(text: str) -> What:
    """The list that a word means."""
    if text not in SHORT and text not in list(What):
        raise typer.BadParameter(f"{text!r} cannot be listed; say one of {', '.join(What)}")
    return SHORT.get(text) or What(text)


def get(
    what: Annotated[
        What,
        typer.Argument(
            parser=what_of,
            metavar="|".join(What),
            help="What to list; svc, vip, pool, engine, rejection mean the same.",
            autocompletion=lambda: list(What),
        ),
    ],
    files: Files = NO_FILES,
    state: State = None,
    config: ConfigFile = None,
    engine: Engine = THIS_HOST,
    namespace: Namespace = "",
    output: Output = Format.TABLE,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Print again when the manifests change.")
    ] = False,
) -> None:
    """List services, vips, pools, engines or rejections.

    Without -f: what `fairlead up` serves, as its state directory tells. With -f: what these
    manifests would come to, as in `fairlead plan`.

    Example: fairlead get services -f manifests --state /var/lib/fairlead
    """
    if watch and not files:
        raise Failure("--watch follows manifests: give them with -f")

    from fairlead.cli import inputs
    from fairlead.cli.listing import listed

    since = inputs.held_since(state or DEFAULT_STATE) if state or not files else {}

    def tell(decision: inputs.Decision) -> None:
        listing = listed(what, decision, since, namespace)
        emit(listing.value, output, listing.table)
        sys.stdout.flush()

    if watch:
        import asyncio

        reading = inputs.Reading(files, state=state, config=config, engine=engine)
        asyncio.run(_follow(reading, tell))
    elif files:
        tell(inputs.decide(files, state=state, config=config, engine=engine))
    else:
        tell(inputs.running(state or DEFAULT_STATE))


async def _follow(reading: "Reading", tell: "Callable[[Decision], None]") -> None:
    """Tell everything again after each edit, until Ctrl-C."""
    tell(reading.first())
    reading.tell()
    async for decision in reading.later():
        show("\n")
        tell(decision)
        reading.tell()
