"""One pod on this node, from the moment it is bound here until its object is gone."""

from __future__ import annotations

import asyncio
import hashlib
import sys
from typing import TYPE_CHECKING, Final

from fairlead.lab import netns
from fairlead.lab.errors import LabError
from fairlead.lab.kubernetes.podrunner.api import UNREACHABLE, ApiError
from fairlead.lab.kubernetes.podrunner.container import Container
from fairlead.lab.kubernetes.podrunner.environment import Missing
from fairlead.lab.kubernetes.podrunner.home import PodHome
from fairlead.lab.kubernetes.podrunner.node import now
from fairlead.lab.kubernetes.podrunner.sandbox import make_sandbox, remove_sandbox
from fairlead.lab.kubernetes.podrunner.status import pod_status, says_the_same

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from fairlead.lab.kubernetes.podrunner.api import Api, Object
    from fairlead.lab.kubernetes.podrunner.config import Config
    from fairlead.lab.kubernetes.podrunner.processes import Processes
    from fairlead.lab.kubernetes.podrunner.sandbox import AddressPool

__all__ = ["Pod"]

_RETRY: Final = 0.5
_GONE: Final = 404
_ENDED: Final = ("Succeeded", "Failed")


class Pod:
    """A pod and the tasks that keep it. `update` tells it what the API says of it now."""

    def __init__(
        self,
        pod: Object,
        *,
        api: Api,
        config: Config,
        processes: Processes,
        pool: AddressPool,
        starts: asyncio.Semaphore,
    ) -> None:
        self._api = api
        self._config = config
        self._pool = pool
        self._starts = starts
        self._number: int | None = None
        self._home = PodHome(pod, api=api, config=config)
        spec = pod["spec"]
        self._setup = [self._container(one, processes) for one in spec.get("initContainers") or ()]
        self._main = [self._container(one, processes) for one in spec["containers"]]
        self._started = now()
        self._written: Object | None = None
        self._terminating = asyncio.Event()
        self._gone = asyncio.Event()
        metadata = pod["metadata"]
        self._path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        self._namespace = f"{config.namespace_prefix()}{metadata['namespace']}.{metadata['name']}"

    def update(self, pod: Object) -> None:
        """Take the object as it is now."""
        self._home.take(pod)
        if pod["metadata"].get("deletionTimestamp"):
            self._terminating.set()
        if self._written is not None and not says_the_same(pod, self._status()):
            self._written = None  # the node controller took readiness away, or a gate has opened
            self._home.changed()

    def forget(self) -> None:
        """The object is gone: end everything at once."""
        self._gone.set()
        self._terminating.set()

    async def run(self) -> None:
        """Keep the pod until it is deleted; nothing of it is left then."""
        has_ended = (self._home.pod.get("status") or {}).get("phase") in _ENDED
        tasks = [] if has_ended else [self._live(), self._report()]  # it ran before a restart
        working = [asyncio.create_task(task) for task in tasks]
        try:
            await self._terminating.wait()
            await self._stop()
        finally:
            for task in working:
                task.cancel()
            outcomes = await asyncio.gather(*working, return_exceptions=True)
            await self._remove_network()
            self._home.close()
        await self._delete_object()
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome

    def is_called(self, namespace: str, name: str) -> bool:
        """Whether this is its name."""
        metadata = self._home.pod["metadata"]
        return (metadata["namespace"], metadata["name"]) == (namespace, name)

    def container(self, name: str) -> Container | None:
        """The container of this name, None when there is none."""
        for one in (*self._setup, *self._main):
            if one.state.name == name:
                return one
        return None

    def _container(self, spec: Object, processes: Processes) -> Container:
        return Container(spec, self._home, processes)

    async def _live(self) -> None:
        async with self._starts:
            await self._make_network()
        await self._make_volumes()
        self._home.spawn(self._home.volumes.renew_tokens())
        policy = self._home.pod["spec"].get("restartPolicy", "Always")
        for container in self._setup:
            again = "Never" if policy == "Never" else "OnFailure"
            if await container.keep(again) != 0:
                return
            container.state.ready = True
        async with asyncio.TaskGroup() as group:
            for container in self._main:
                group.create_task(container.keep(policy))

    async def _make_network(self) -> None:
        node_ips = self._config.node_ips
        if self._home.on_host_network:
            self._home.place(node_ips, node_ips, None)
            return
        port = "v" + hashlib.sha256(self._home.uid.encode()).hexdigest()[:12]
        while True:
            try:
                self._number, addresses = self._pool.take()
                making = asyncio.to_thread(make_sandbox, self._namespace, port, addresses)
                await _to_its_end(making)
                break
            except (LabError, OSError) as error:  # full, or one of the same name is just going
                self._give_address_back()
                self._say_creating(error)
            await asyncio.sleep(_RETRY)
        path = str(netns.NETNS_DIR / self._namespace)
        self._home.place([str(address) for address in addresses], node_ips, path)
        self._home.changed()

    async def _make_volumes(self) -> None:
        while True:
            try:
                await self._home.volumes.prepare()
                return
            except (Missing, ApiError, *UNREACHABLE) as error:
                self._say_creating(error)
            await asyncio.sleep(_RETRY)

    def _say_creating(self, error: Exception) -> None:
        waiting = {"waiting": {"reason": "ContainerCreating", "message": str(error)}}
        for container in self._main:
            container.state.state = waiting
        self._home.changed()

    async def _stop(self) -> None:
        """End all containers; a deletion without grace, or with less, cuts it short."""
        if self._gone.is_set():
            grace = 0.0
        else:
            given = self._home.pod["metadata"].get("deletionGracePeriodSeconds")
            grace = self._home.grace if given is None else float(given)
        containers = (*self._setup, *self._main)
        ending = asyncio.create_task(self._end(containers, grace))
        vanishing = asyncio.create_task(self._vanish(containers))
        await ending
        vanishing.cancel()

    @staticmethod
    async def _end(containers: Sequence[Container], grace: float) -> None:
        await asyncio.gather(*(one.stop(grace) for one in containers))

    async def _vanish(self, containers: Sequence[Container]) -> None:
        await self._gone.wait()
        for one in containers:
            one.kill()

    async def _remove_network(self) -> None:
        while self._number is not None:
            try:
                await asyncio.to_thread(remove_sandbox, self._namespace)
                self._give_address_back()
            except LabError as error:  # a process that does not end in time
                print(f"{self._namespace}: {error}", file=sys.stderr, flush=True)

    def _give_address_back(self) -> None:
        if self._number is not None:
            self._pool.give_back(self._number)
            self._number = None

    async def _delete_object(self) -> None:
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": self._home.uid}}
        while not self._gone.is_set():
            try:
                await self._api.delete(self._path, options)
                return
            except ApiError as error:
                if error.status < 500 and error.status != 429:
                    return  # it is gone, or another of the same name is there
            except UNREACHABLE:
                pass  # it stays Terminating until the API server is back
            await asyncio.sleep(_RETRY)

    async def _report(self) -> None:
        """Write the status whenever it is another than the one written last."""
        self._home.changed()
        while True:
            await self._home.next_change()
            status = self._status()
            while status != self._written:
                try:
                    patch = {"metadata": {"uid": self._home.uid}, "status": status}
                    await self._api.merge(f"{self._path}/status", patch)
                    self._written = status
                except ApiError as error:
                    if error.status == _GONE or error.status == 409:
                        return
                    await asyncio.sleep(_RETRY)
                except UNREACHABLE:
                    await asyncio.sleep(_RETRY)
                status = self._status()

    def _status(self) -> Object:
        return pod_status(
            self._home.pod,
            setup=[one.state for one in self._setup],
            main=[one.state for one in self._main],
            addresses=self._home.addresses,
            node_ips=self._config.node_ips,
            started=self._started,
            moment=now(),
        )


async def _to_its_end(work: Coroutine[object, object, object]) -> None:
    """Wait for something that cannot be stopped half-way, also when the waiting is cancelled."""
    task = asyncio.create_task(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
