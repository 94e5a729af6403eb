"""A Kubernetes cluster in a lab: a control host, nodes with pods, clients on their LAN.

    with KubernetesLab(nodes=2) as lab:
        lab.kubectl("create", "deployment", "web", "--image=nginx", "--replicas=3")

Everything is real but the containers: pods are processes in namespaces, and the controllers, the
scheduler and kube-proxy are Kubernetes' own. It ends as any lab does.
"""

from __future__ import annotations

from contextlib import ExitStack
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from fairlead.lab import state
from fairlead.lab.kubernetes import network
from fairlead.lab.kubernetes.build import binaries
from fairlead.lab.kubernetes.nodes import Node
from fairlead.lab.kubernetes.plane import ControlPlane
from fairlead.lab.kubernetes.programs import DEFAULT_CONTROLLERS, SERVICE_CIDRS
from fairlead.lab.lab import Hosts, Lab
from fairlead.lab.layout import DEFAULT_LAN

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping, Sequence
    from types import TracebackType
    from typing import Any, Self

    from fairlead.lab.host import Host
    from fairlead.lab.layout import Subnet
    from fairlead.lab.topology import HostSpec

__all__ = ["Cluster", "KubernetesLab"]

_NONE: Final[Mapping[str, Sequence[str]]] = MappingProxyType({})


class Cluster:
    """Kubernetes on the hosts of a lab that is up: the control plane and the nodes."""

    def __init__(
        self,
        hosts: Hosts,
        *,
        kube_proxy: bool = True,
        controllers: Sequence[str] = DEFAULT_CONTROLLERS,
        flags: Mapping[str, Sequence[str]] = _NONE,
    ) -> None:
        self._hosts = hosts
        self._kube_proxy = kube_proxy
        nodes = hosts.with_role("node")
        self._ipv6 = any(entry.version == 6 for entry in nodes[0].spec.lan)
        self.control: Final = ControlPlane(
            hosts.directory / "kubernetes",
            host=hosts[network.CONTROL],
            controllers=controllers,
            scheduler=True,
            service_cidrs=SERVICE_CIDRS if self._ipv6 else SERVICE_CIDRS[:1],
            flags=flags,
        )
        self.nodes: dict[str, Node] = {}

    def start(self) -> None:
        """Start it all; returns when pods and Services work. Raises LabError."""
        nodes = self._hosts.with_role("node")
        network.connect(self._hosts, nodes, ipv6=self._ipv6)
        self.control.__enter__()
        for number, host in enumerate(nodes, start=1):
            node = Node(
                host,
                number=number,
                lab=self._hosts.name,
                control=self.control,
                kube_proxy=self._kube_proxy,
                ipv6=self._ipv6,
            )
            node.start()
            self.nodes[node.name] = node
        for node in self.nodes.values():
            node.wait_ready()
        environment = {**self.control.environment, "PATH": str(self.control.programs)}
        state.write_environment(self._hosts.name, environment)


class KubernetesLab:
    """The context manager; entering it returns when the nodes are ready for pods.

    Nodes are `node-1`…, clients `client`, `client-2`…; `others` are further hosts (an edge, a
    router). Without `ipv6` there is none, on the LAN, for pods or for Services. Without
    `kube_proxy` nobody serves ClusterIPs, and pods are told the API server's own address. Raises
    LabUnavailable and LabError.
    """

    def __init__(
        self,
        *,
        nodes: int = 2,
        clients: int = 1,
        kube_proxy: bool = True,
        name: str | None = None,
        ipv6: bool = True,
        lan: Sequence[Subnet | str] = DEFAULT_LAN,
        others: Sequence[HostSpec] = (),
        controllers: Sequence[str] = DEFAULT_CONTROLLERS,
        flags: Mapping[str, Sequence[str]] = _NONE,
    ) -> None:
        plan = network.topology(nodes=nodes, clients=clients, ipv6=ipv6, lan=lan, others=others)
        self._lab = Lab(plan, name=name)
        self._kube_proxy = kube_proxy
        self._controllers = controllers
        self._flags = flags
        self._stack = ExitStack()
        self.name: Final = self._lab.name

    def __enter__(self) -> Self:
        binaries()
        with ExitStack() as stack:
            self.hosts: Hosts = stack.enter_context(self._lab)
            self.cluster: Cluster = Cluster(
                self.hosts,
                kube_proxy=self._kube_proxy,
                controllers=self._controllers,
                flags=self._flags,
            )
            self.cluster.start()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def __getitem__(self, name: str) -> Host:
        return self.hosts[name]

    @property
    def control(self) -> ControlPlane:
        """The control plane, on the host `control`."""
        return self.cluster.control

    @property
    def nodes(self) -> Mapping[str, Node]:
        """The nodes by name."""
        return self.cluster.nodes

    def kubectl(
        self, *args: str, input: str | None = None, check: bool = True, timeout: float = 60.0
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl as the admin, on the control host; see :meth:`ControlPlane.kubectl`."""
        return self.control.kubectl(*args, input=input, check=check, timeout=timeout)

    def apply(self, objects: str | Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> None:
        """Apply YAML text or objects, server-side."""
        self.control.apply(objects)
