"""The options that commands share, each said once, so that they mean the same everywhere."""

import os
from pathlib import Path
from typing import Annotated

import typer

from fairlead.cli.output import Format

DEFAULT_STATE = Path("/var/lib/fairlead")
NO_FILES: list[Path] = []
THIS_HOST = os.uname().nodename
Files = Annotated[
    list[Path],
    typer.Option(
        "-f",
        "--file",
        metavar="PATH",
        help="Manifests: a file, a folder, or - for standard input. May be given several times.",
        show_default=False,
    ),
]
State = Annotated[
    Path | None,
    typer.Option(
        "--state", metavar="DIR", help="The state directory of `fairlead up`.", show_default=False
    ),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="fairlead.yaml.", show_default=False),
]
Engine = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar="NAME",
        help="The engine that this host is.",
        show_default="the host's name",
    ),
]
Output = Annotated[Format, typer.Option("-o", "--output", help="What to print.")]
Yes = Annotated[
    bool,
    typer.Option(
        "--yes",
        help="Withdraw even when many addresses would go because their objects vanished.",
    ),
]
Namespace = Annotated[
    str,
    typer.Option("-n", "--namespace", metavar="NAME", help="Only this one.", show_default=False),
]
