"""Whether a command means a cluster, which one, and as whom it speaks to it."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fairlead.cli.failure import Failure

if TYPE_CHECKING:
    from fairlead.sources.kube import Access

SYSTEM_NAMESPACE = "fairlead-system"
"""Where Fairlead is installed, unless said otherwise."""
POD = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
"""In a pod: the name of its namespace."""


PLUGIN = "kubectl-fairlead"
"""What kubectl runs for `kubectl fairlead`."""


def is_plugin() -> bool:
    """Whether kubectl runs this."""
    return Path(sys.argv[0]).name == PLUGIN


def means_cluster(cluster: bool, kubeconfig: Path | None, context: str, *, other: str) -> bool:
    """Whether a live cluster is asked for. ``other``: the option that asks for something else.

    Raises :class:`Failure` when both are.
    """
    asked = cluster or kubeconfig is not None or bool(context)
    if asked and other:
        raise Failure(f"{other} and a cluster exclude each other: leave one of them out")
    return asked or (is_plugin() and not other)


def other_source(files: Sequence[Path], state: Path | None) -> str:
    """The option that names what to read instead of a cluster; empty when none does."""
    if files:
        return "-f"
    return "--state" if state is not None else ""


def access_of(kubeconfig: Path | None, context: str) -> "Access":
    """The API server that is meant. Raises :class:`Failure` for an unusable kubeconfig."""
    from fairlead.sources.kube import ConfigError, find_access

    try:
        return find_access(kubeconfig, context=context or None)
    except ConfigError as error:
        raise Failure(str(error)) from None


def pod_namespace() -> str:
    """The namespace of the pod that this runs in; empty outside of one."""
    named = os.environ.get("POD_NAMESPACE", "")
    return named or (POD.read_text().strip() if POD.is_file() else "")
