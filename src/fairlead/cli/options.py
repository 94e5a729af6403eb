"""The options that commands share, each said once, so that they mean the same everywhere."""

import os
from pathlib import Path
from typing import Annotated

import typer

from fairlead.cli.output import Format

DEFAULT_STATE = Path("/var/lib/fairlead")
NO_FILES: list[Path] = []
THIS_HOST = os.uname().nodename


def contexts() -> list[str]:
    """The contexts of the kubeconfig that is used by default, for the shell to complete."""
    import yaml

    listed = os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    found: list[str] = []
    for path in filter(None, listed.split(os.pathsep)):
        try:
            entries = yaml.safe_load(Path(path).read_text())["contexts"]
            found += [entry["name"] for entry in entries]
        except (OSError, UnicodeDecodeError, yaml.YAMLError, LookupError, TypeError):
            continue  # nothing to complete from
    return found


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
Kubeconfig = Annotated[
    Path | None,
    typer.Option(
        "--kubeconfig",
        metavar="FILE",
        help="The kubeconfig of the cluster that is meant.",
        show_default="$KUBECONFIG, the pod's own, ~/.kube/config",
    ),
]
Context = Annotated[
    str,
    typer.Option(
        "--context",
        metavar="NAME",
        help="The context in the kubeconfig.",
        show_default="the current one",
        autocompletion=contexts,
    ),
]
Cluster = Annotated[
    bool,
    typer.Option(
        "--cluster",
        help="Ask the Kubernetes cluster; implied by --kubeconfig, --context, and `kubectl "
        "fairlead`.",
    ),
]
System = Annotated[
    str,
    typer.Option(
        "--system-namespace",
        metavar="NAME",
        help="Where Fairlead is installed in the cluster: its ConfigMap and its Lease.",
    ),
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
