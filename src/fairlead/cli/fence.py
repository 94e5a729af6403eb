"""``fairlead fence``: keeps VIPs alive while agents, controllers and the API come and go."""

from pathlib import Path
from typing import Annotated

import typer

from fairlead.cli.failure import Failure, need_root

DIRECTORY = Path("/run/fairlead")


def fence(
    directory: Annotated[
        Path, typer.Option(help="Sockets, bfdd's files and the table of last time.")
    ] = DIRECTORY,
    interface: Annotated[
        list[str] | None,
        typer.Option(
            "--interface",
            metavar="IF",
            help="Announce only here. May be given several times.",
            show_default="all that have a fitting subnet",
        ),
    ] = None,
    key_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What fences authenticate their messages with."),
    ] = None,
    bfdd: Annotated[
        Path | None,
        typer.Option(
            metavar="SOCKET",
            help="The control socket of FRR's bfdd, where something else runs it.",
            show_default="one of its own, which it starts",
        ),
    ] = None,
    interval: Annotated[
        int, typer.Option(help="BFD interval in milliseconds.", min=10, max=10000)
    ] = 100,
    multiplier: Annotated[
        int, typer.Option(help="BFD packets that may be missed.", min=2, max=50)
    ] = 3,
) -> None:
    """Hold the VIPs that `fairlead agent` prepared, and those of engines that fail.

    Needs root and FRR's bfdd. It knows neither API nor manifests, so that nothing of these delays a
    take-over; a busy, crashing or upgraded agent never darkens a VIP.

    Example: fairlead fence --directory /run/fairlead
    """
    need_root("'fairlead fence'", "fence")
    import asyncio

    from fairlead.runtime.fence.bfd import Unavailable
    from fairlead.runtime.fence.fence import FenceOptions
    from fairlead.runtime.fence.serve import serve

    try:
        key = key_file.read_bytes().strip() if key_file else b""
    except OSError as error:
        raise Failure(f"{key_file} cannot be read: {error.strerror}") from None
    options = FenceOptions(
        directory=directory, key=key, interval=interval, multiplier=multiplier, bfdd=bfdd
    )
    try:
        asyncio.run(serve(options, interfaces=tuple(interface or ())))
    except Unavailable as error:
        raise Failure(str(error)) from None
