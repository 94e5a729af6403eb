"""A cluster of a test's own with Fairlead's definitions in it, and what is put there."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from fairlead.lab.kubernetes import ControlPlane
from fairlead.publish.crds import ako_definitions, definitions

COMMAND = [sys.executable, "-m", "fairlead"]
CLASS = "fairlead.dev/vip"
SYSTEM = "fairlead-system"


@contextmanager
def installed(*, crds: bool = True) -> Iterator[ControlPlane]:
    """etcd and an API server without controllers, ready for `fairlead controller`."""
    with ControlPlane(controllers=()) as control:
        control.kubectl("create", "namespace", SYSTEM)
        if crds:
            install(control)
        yield control


def install(control: ControlPlane) -> None:
    """Put Fairlead's definitions there, and AKO's."""
    control.apply([*definitions(), *ako_definitions()])


def pool(name: str = "lan", *addresses: str) -> dict[str, Any]:
    return {
        "apiVersion": "fairlead.dev/v1alpha1",
        "kind": "AddressPool",
        "metadata": {"name": name},
        "spec": {"addresses": list(addresses or ("192.0.2.0/24",))},
    }


def node(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}


def service(name: str, namespace: str = "default", **spec: Any) -> dict[str, Any]:
    """A Service that Fairlead is asked to serve."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "type": "LoadBalancer",
            "loadBalancerClass": CLASS,
            "allocateLoadBalancerNodePorts": False,
            "ports": [{"port": 80}],
            **spec,
        },
    }


def address_of(control: ControlPlane, name: str, namespace: str = "default") -> str:
    """What a Service shows as its address; empty while there is none."""
    path = "jsonpath={.status.loadBalancer.ingress[0].ip}"
    return control.kubectl("get", "service", name, "-n", namespace, "-o", path).stdout


def role(name: str, group: str, rules: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A ClusterRole and its binding to a group of users."""
    api = "rbac.authorization.k8s.io"
    return [
        {
            "apiVersion": f"{api}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": name},
            "rules": list(rules),
        },
        {
            "apiVersion": f"{api}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": api, "kind": "ClusterRole", "name": name},
            "subjects": [{"apiGroup": api, "kind": "Group", "name": group}],
        },
    ]


def reading(group: str, *resources: str, verbs: Sequence[str] = ("list",)) -> dict[str, Any]:
    """A rule of a role."""
    return {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)}


def start_controller(
    control: ControlPlane, identity: str, *options: str, lease: float = 10.0
) -> "subprocess.Popen[str]":
    """`fairlead controller` as a process; its log is a pipe."""
    return subprocess.Popen(
        [
            *COMMAND,
            "controller",
            *("--kubeconfig", str(control.kubeconfig), "--identity", identity),
            *("--listen", "127.0.0.1:0", "--lease", str(lease), *options),
        ],
        stderr=subprocess.PIPE,
        text=True,
    )
