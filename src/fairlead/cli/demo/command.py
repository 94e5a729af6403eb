"""The command itself; what it needs is imported when it runs."""

from pathlib import Path
from typing import Annotated

import typer

from fairlead.cli.failure import REJECTED, Failure, need_root

EXAMPLES = Path(__file__).parents[4] / "examples"
"""In a source tree."""


def demo(
    examples: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            help="The folder `examples` of the source tree.",
            show_default="the one of the tree that this is installed from",
        ),
    ] = EXAMPLES,
    step: Annotated[bool, typer.Option("--step", help="Wait for Enter before each step.")] = False,
    kubernetes: Annotated[
        bool,
        typer.Option(
            "--kubernetes",
            help="On a Kubernetes cluster of namespaces, through kubectl. The first time its "
            "programs are built, which needs Go.",
        ),
    ] = False,
    failover: Annotated[
        bool,
        typer.Option(
            "--failover",
            help="Engines that fail: a crash, a killed agent, a drain; a VIP scaled out by BGP.",
        ),
    ] = False,
    lan: Annotated[
        bool,
        typer.Option(
            "--lan",
            help="On a Kubernetes cluster too: an address from the LAN's DHCP server, a port "
            "on its gateway.",
        ),
    ] = False,
) -> None:
    """Show Fairlead at work on a network of namespaces; nothing of this machine's is touched.

    Needs root. Exit code: 0 everything was as expected, 1 something was not.

    Example: sudo fairlead demo

    Example: sudo fairlead demo --kubernetes

    Example: sudo fairlead demo --failover

    Example: sudo fairlead demo --lan
    """
    need_root("the demo", "demo")
    if not (examples / "ako-shared-vip").is_dir():
        raise Failure(f"{examples} does not hold the examples: give their folder with --examples")

    from fairlead.cli.demo import show
    from fairlead.cli.demo.deviation import Deviation
    from fairlead.cli.demo.failover import show as failing
    from fairlead.cli.demo.kubernetes import show as on_cluster
    from fairlead.cli.demo.lan import show as on_lan
    from fairlead.drivers.base import DriverError
    from fairlead.lab import LabError
    from fairlead.runtime.store import StateError

    try:
        pause = _wait_for_enter if step else None
        if failover:
            failing.perform(pause=pause)
        elif lan:
            on_lan.perform(examples.resolve().parent, pause=pause)
        elif kubernetes:
            on_cluster.perform(examples.resolve().parent, pause=pause)
        else:
            show.perform(examples, pause=pause)
    except Deviation as deviation:
        raise Failure(f"the demo went wrong {deviation}", code=REJECTED) from None
    except (DriverError, LabError, StateError) as error:
        raise Failure(f"the demo cannot go on: {error}", code=REJECTED) from None


def _wait_for_enter() -> None:
    typer.prompt("Enter goes on", default="", show_default=False, err=True)
