"""The ``fairlead`` command. Everything heavy is imported by the command that needs it."""

import typer

from fairlead.cli import lab
from fairlead.cli.access import is_plugin
from fairlead.cli.agent import agent
from fairlead.cli.controller import controller
from fairlead.cli.crds import crds
from fairlead.cli.demo.command import demo
from fairlead.cli.explain import explain
from fairlead.cli.failure import Commands
from fairlead.cli.fence import fence
from fairlead.cli.get import get
from fairlead.cli.plan import plan
from fairlead.cli.scale import scale
from fairlead.cli.up import up
from fairlead.cli.version import version

app = typer.Typer(
    name="fairlead",
    cls=Commands,
    help="Virtual IPs for Kubernetes Services and bare-metal hosts: many share one, and every "
    "decision says why.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(plan)
app.command()(up)
app.command()(fence)
app.command()(controller)
app.command()(agent)
app.command()(explain)
app.command()(get)
app.command()(scale)
app.command()(demo)
app.add_typer(lab.app, name="lab")
app.command()(crds)
app.command()(version)


def main() -> None:
    """The entry point of the ``fairlead`` command, which is `kubectl fairlead` too: kubectl runs
    what is called `kubectl-fairlead`."""
    app(prog_name="kubectl fairlead" if is_plugin() else "fairlead")


if __name__ == "__main__":
    main()
