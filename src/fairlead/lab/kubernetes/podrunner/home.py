"""What the containers of one pod have in common: its object, network, volumes and directory."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from fairlead.lab.kubernetes.podrunner.volumes import Volumes

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence
    from pathlib import Path

    from fairlead.lab.kubernetes.podrunner.api import Api, Object
    from fairlead.lab.kubernetes.podrunner.config import Config

__all__ = ["PodHome"]


class PodHome:
    """The pod as its containers see it. `changed` has its status written soon."""

    def __init__(self, pod: Object, *, api: Api, config: Config) -> None:
        self.pod = pod
        metadata = pod["metadata"]
        self.name: str = metadata["name"]
        self.uid: str = metadata["uid"]
        self.path: Path = config.home / "pods" / self.uid
        self.path.mkdir(parents=True, exist_ok=True)
        self.volumes = Volumes(api, pod, home=self.path, shared=config.home / "hostpath")
        self.programs = tuple((path, path, True) for path in config.programs)
        self.netns: str | None = None
        self.addresses: tuple[str, ...] = ()
        self.base_env = {
            "PATH": config.path,
            "HOSTNAME": config.node if self.on_host_network else self.name,
            "KUBERNETES_SERVICE_HOST": config.service_host,
            "KUBERNETES_SERVICE_PORT": str(config.service_port),
        }
        self._where: Object = {}
        self._dirty = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def on_host_network(self) -> bool:
        """Whether the pod lives in the node's own namespace."""
        return bool(self.pod["spec"].get("hostNetwork"))

    @property
    def grace(self) -> float:
        """How long its containers may take to end, in seconds."""
        return float(self.pod["spec"].get("terminationGracePeriodSeconds", 30))

    @property
    def probe_address(self) -> str:
        """Where probes ask unless they name a host."""
        return self.addresses[0] if self.addresses else "127.0.0.1"

    def place(self, addresses: Sequence[str], node_ips: Sequence[str], netns: str | None) -> None:
        """Say where the pod lives, so that its containers can refer to it."""
        self.netns = netns
        self.addresses = tuple(addresses)
        self._where = {
            "hostIP": node_ips[0],
            "hostIPs": [{"ip": ip} for ip in node_ips],
            "podIP": addresses[0],
            "podIPs": [{"ip": ip} for ip in addresses],
        }
        self.take(self.pod)

    def take(self, pod: Object) -> None:
        """Take the object as the API server has it now; where the pod lives is known here."""
        pod["status"] = {**(pod.get("status") or {}), **self._where}
        self.pod = pod

    def changed(self) -> None:
        """Something about the pod is not as it was."""
        self._dirty.set()

    async def next_change(self) -> None:
        """Wait until something has changed since the last call."""
        await self._dirty.wait()
        self._dirty.clear()

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Have something done beside; it ends with the pod."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """End what goes on beside, and remove the directory."""
        for task in self._tasks:
            task.cancel()
        self.volumes.remove()
