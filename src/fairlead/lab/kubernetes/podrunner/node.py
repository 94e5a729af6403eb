"""The node itself on the API: its Node object, and the Lease that says it lives.

Without a renewal for the controller manager's grace period the node becomes NotReady, and so do its
pods, as on a real cluster: when the runner is killed or the node's cable is cut.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from fairlead.lab.kubernetes.podrunner.api import UNREACHABLE, Api, ApiError

if TYPE_CHECKING:
    from collections.abc import Callable

    from fairlead.lab.kubernetes.podrunner.api import Object
    from fairlead.lab.kubernetes.podrunner.config import Config

__all__ = ["beat", "node_object", "now", "register"]

_LEASES: Final = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
_ROOM: Final = {"cpu": "64", "memory": "256Gi", "ephemeral-storage": "256Gi", "pods": "250"}
_LOG_PORT: Final = 10250
_PATIENCE: Final = 2.0
_GONE: Final = 404
_THERE: Final = 409


def now() -> str:
    """This moment as the API spells it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def register(api: Api, config: Config) -> None:
    """Have the Node object there and Ready.

    A new one is rid of the taint of nodes that are not ready, which comes with its creation; later
    that is the node controller's work.
    """
    node = node_object(config)
    path = f"/api/v1/nodes/{config.node}"
    try:
        await api.post("/api/v1/nodes", node)
        await api.merge(path, {"spec": {"taints": None}})
    except ApiError as error:
        if error.status != _THERE:
            raise
        await api.merge(path, {"metadata": {"labels": node["metadata"]["labels"]}})
    await api.merge(f"{path}/status", {"status": node["status"]})


async def beat(config: Config, *, back: Callable[[], None], lost: Callable[[], None]) -> None:
    """Renew the Lease for ever, on a connection of its own. `lost` is called when the API server
    does not answer, `back` when it does again; the node then says anew that it is Ready."""
    async with Api(config) as api:
        await _beat(api, config, back, lost)


async def _beat(
    api: Api, config: Config, back: Callable[[], None], lost: Callable[[], None]
) -> None:
    reachable = True
    while True:
        started = time.monotonic()
        try:
            async with asyncio.timeout(_PATIENCE):
                await _renew(api, config)
            if not reachable:
                await register(api, config)
                reachable = True
                back()
        except (*UNREACHABLE, ApiError):
            if reachable:
                reachable = False
                lost()
        await asyncio.sleep(max(0.1, config.heartbeat - (time.monotonic() - started)))


async def _renew(api: Api, config: Config) -> None:
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    spec = {"holderIdentity": config.node, "leaseDurationSeconds": 10, "renewTime": moment}
    try:
        await api.merge(f"{_LEASES}/{config.node}", {"spec": spec})
    except ApiError as error:
        if error.status != _GONE:
            raise
        metadata = {"name": config.node}
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata}
        await api.post(_LEASES, {**lease, "spec": spec})


def node_object(config: Config) -> Object:
    """The Node as it is when all is well."""
    name = config.node
    labels = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": {"podCIDR": config.pod_cidrs[0], "podCIDRs": list(config.pod_cidrs)},
        "status": {
            "addresses": [{"type": "InternalIP", "address": ip} for ip in config.node_ips],
            "capacity": _ROOM,
            "allocatable": _ROOM,
            "conditions": _conditions(now()),
            "daemonEndpoints": {"kubeletEndpoint": {"Port": _LOG_PORT}},
            "nodeInfo": _info(config),
        },
    }


def _conditions(moment: str) -> list[Object]:
    pressures = ("MemoryPressure", "DiskPressure", "PIDPressure")
    states = [(pressure, "False", "LabHasRoom") for pressure in pressures]
    return [
        {
            "type": kind,
            "status": status,
            "reason": reason,
            "message": "a node of the lab",
            "lastHeartbeatTime": moment,
            "lastTransitionTime": moment,
        }
        for kind, status, reason in [*states, ("Ready", "True", "LabNodeReady")]
    ]


def _info(config: Config) -> Object:
    return {
        "architecture": "amd64",
        "operatingSystem": "linux",
        "bootID": "",
        "machineID": "",
        "systemUUID": "",
        "kernelVersion": "",
        "osImage": "a network namespace",
        "containerRuntimeVersion": "fairlead-lab://1",
        "kubeletVersion": config.version,
        "kubeProxyVersion": "",
    }
