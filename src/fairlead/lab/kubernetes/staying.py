"""A Kubernetes lab for people: it stays after the command ends, until `fairlead lab down`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fairlead.lab import commands
from fairlead.lab.errors import LabError
from fairlead.lab.kubernetes import network
from fairlead.lab.kubernetes.build import binaries
from fairlead.lab.kubernetes.lab import Cluster
from fairlead.lab.layout import DEFAULT_LAN

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fairlead.lab.commands import LabInfo
    from fairlead.lab.lab import Hosts
    from fairlead.lab.layout import Subnet

__all__ = ["up"]


def up(
    name: str,
    *,
    nodes: int = 2,
    clients: int = 1,
    kube_proxy: bool = True,
    lan: Sequence[Subnet | str] = DEFAULT_LAN,
    progress: Callable[[str], None] | None = None,
) -> LabInfo:
    """Build the cluster and leave it up. `progress` is told when programs have to be built first.

    Raises LabError and LabUnavailable; then nothing is left. ValueError for a subnet that is none.
    """
    if nodes < 1:
        raise LabError("a Kubernetes lab needs a node")
    topology = network.topology(nodes=nodes, clients=clients, lan=lan)
    binaries(progress)

    def furnish(hosts: Hosts) -> None:
        Cluster(hosts, kube_proxy=kube_proxy).start()

    return commands.up(name, topology, furnish=furnish)
