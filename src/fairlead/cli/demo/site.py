"""The network of the demo: one LAN with the subnets of all three documents.

Addresses of nodes and pods are those in the examples. Pods are echo processes that say who they
are; an engine and an edge are hosts on which ``fairlead up`` runs.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from fairlead.cli.demo.engine import Engine
from fairlead.cli.demo.manifests import Manifests
from fairlead.lab import Host, Hosts, Lab, Subnet, Topology, cluster

NODE_PORTS = (30080, 30443)


class Site:
    """The network while it stands."""

    def __init__(self, lab: Hosts, examples: Path) -> None:
        self.name = lab.name
        self.client: Host = lab["client"]
        self.hosts: dict[str, Host] = dict(lab)
        self.manifests = Manifests(lab.directory / "manifests", examples)
        self.engine = Engine(lab["engine-1"], self.manifests.folder, lab.directory)
        self.edge = Engine(lab["edge"], self.manifests.folder, lab.directory)
        self._pods = (lab["pod-a"], lab["pod-b"])

    def deploy(self, app: str, *, tcp: int, udp: int | None = None) -> tuple[str, str]:
        """Start the two pods of an app; returns their names."""
        first, second = names = (f"{app}-a", f"{app}-b")
        for pod, name in zip(self._pods, (first, second), strict=True):
            pod.echo(name=name, tcp=[tcp], udp=[] if udp is None else [udp])
        return names


@contextmanager
def standing(examples: Path) -> Iterator[Site]:
    """Build the network; it goes with the block, whatever ends that."""
    with ExitStack() as stack:
        site = Site(stack.enter_context(Lab(topology())), examples)
        stack.callback(site.engine.kernel.close)
        stack.callback(site.edge.kernel.close)
        yield site


def topology() -> Topology:
    """Who is there."""
    return cluster(
        lan=[
            Subnet.of("100.64.196.0/24", "client", "engine"),
            Subnet.of("192.168.0.0/24", "client", "engine"),
            Subnet.of("80.81.82.80/28", "client", "edge", "engine"),
            Subnet.of("192.168.8.0/24", "edge", "engine", "node"),
        ],
        pod_networks=["10.244.0.0/16"],
        edges=1,
        nodes=2,
        node_ports=NODE_PORTS,
        tcp=(),
        udp=(),
    )
