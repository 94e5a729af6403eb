"""A real Kubernetes in the lab, without containers.

`ControlPlane` is etcd, kube-apiserver and the controllers on this machine's loopback address;
`KubernetesLab` is a cluster of namespaces with nodes, pods, kube-proxy and clients.
"""

from fairlead.lab.kubernetes.build import binaries
from fairlead.lab.kubernetes.lab import KubernetesLab
from fairlead.lab.kubernetes.network import CONTROL
from fairlead.lab.kubernetes.nodes import Node
from fairlead.lab.kubernetes.plane import ControlPlane
from fairlead.lab.kubernetes.programs import DEFAULT_CONTROLLERS
from fairlead.lab.kubernetes.staying import up

__all__ = [
    "CONTROL",
    "DEFAULT_CONTROLLERS",
    "ControlPlane",
    "KubernetesLab",
    "Node",
    "binaries",
    "up",
]
