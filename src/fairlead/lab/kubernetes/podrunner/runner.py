"""The runner of one node: the pods bound to it, as the API server says, kept by one task each.

With the API server away it goes on with what it knows; when it is back, it lists and compares.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Final

from fairlead.lab import netns
from fairlead.lab.kubernetes.podrunner.api import UNREACHABLE, Api, ApiError
from fairlead.lab.kubernetes.podrunner.logserver import serve_logs
from fairlead.lab.kubernetes.podrunner.node import beat, register
from fairlead.lab.kubernetes.podrunner.pod import Pod
from fairlead.lab.kubernetes.podrunner.processes import Processes
from fairlead.lab.kubernetes.podrunner.sandbox import AddressPool

if TYPE_CHECKING:
    import socket

    from fairlead.lab.kubernetes.podrunner.api import Object
    from fairlead.lab.kubernetes.podrunner.config import Config
    from fairlead.lab.kubernetes.podrunner.container import Container

__all__ = ["run"]

_PODS: Final = "/api/v1/pods"
_WATCH_SECONDS: Final = 240
_RETRY: Final = 0.3
_STARTS: Final = 8  # so many pods are set up at a time; the others wait


async def run(config: Config, line: socket.socket) -> None:
    """Be the node's runner until killed. `line` leads to the fork server."""
    leftovers = netns.names(config.namespace_prefix())
    netns.end_processes(leftovers)
    netns.remove(leftovers)
    processes = Processes(line)
    async with Api(config) as api:
        await _registered(api, config)
        runner = _Runner(config, api, processes)
        async with asyncio.TaskGroup() as group:
            group.create_task(processes.run())
            group.create_task(runner.follow())
            group.create_task(serve_logs(config, runner.container))
            group.create_task(beat(config, lost=runner.break_off, back=runner.break_off))
            print("ready", flush=True)


async def _registered(api: Api, config: Config) -> None:
    while True:
        try:
            return await register(api, config)
        except (*UNREACHABLE, ApiError) as error:
            print(f"cannot register: {error}", file=sys.stderr, flush=True)
        await asyncio.sleep(_RETRY)


class _Runner:
    def __init__(self, config: Config, api: Api, processes: Processes) -> None:
        self._config = config
        self._api = api
        self._processes = processes
        self._pool = AddressPool(config.networks)
        self._starts = asyncio.Semaphore(_STARTS)
        self._pods: dict[str, Pod] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._watching: asyncio.Task[None] | None = None

    async def follow(self) -> None:
        """List and watch this node's pods for ever."""
        while True:
            self._watching = asyncio.create_task(self._list_and_watch())
            (outcome,) = await asyncio.gather(self._watching, return_exceptions=True)
            if isinstance(outcome, BaseException) and not isinstance(
                outcome, (*UNREACHABLE, ApiError, asyncio.CancelledError)
            ):
                raise outcome
            await asyncio.sleep(_RETRY)

    def container(self, namespace: str, pod: str, name: str) -> Container | None:
        """A container of a pod that is here."""
        for one in self._pods.values():
            if one.is_called(namespace, pod):
                return one.container(name)
        return None

    def break_off(self) -> None:
        """The connection of the watch may be dead without knowing it: make a new one."""
        if self._watching is not None:
            self._watching.cancel()

    async def _list_and_watch(self) -> None:
        selector = f"spec.nodeName={self._config.node}"
        found = await self._api.get(_PODS, fieldSelector=selector)
        present = {pod["metadata"]["uid"] for pod in found["items"]}
        for uid in self._pods.keys() - present:
            self._pods[uid].forget()
        for pod in found["items"]:
            self._take(pod)
        version = found["metadata"]["resourceVersion"]
        events = self._api.watch(
            _PODS, seconds=_WATCH_SECONDS, fieldSelector=selector, resourceVersion=version
        )
        async for event in events:
            match event["type"]:
                case "ADDED" | "MODIFIED":
                    self._take(event["object"])
                case "DELETED":
                    self._drop(event["object"])
                case _:
                    return  # expired: list anew

    def _take(self, pod: Object) -> None:
        uid = pod["metadata"]["uid"]
        if uid not in self._pods:
            self._pods[uid] = Pod(
                pod,
                api=self._api,
                config=self._config,
                processes=self._processes,
                pool=self._pool,
                starts=self._starts,
            )
            task = asyncio.create_task(self._pods[uid].run(), name=pod["metadata"]["name"])
            self._tasks[uid] = task
            task.add_done_callback(lambda done: self._ended(uid, done))
        self._pods[uid].update(pod)

    def _drop(self, pod: Object) -> None:
        if found := self._pods.get(pod["metadata"]["uid"]):
            found.forget()

    def _ended(self, uid: str, task: asyncio.Task[None]) -> None:
        del self._pods[uid], self._tasks[uid]
        if not task.cancelled() and (error := task.exception()):
            asyncio.get_running_loop().call_exception_handler(
                {"message": f"pod {task.get_name()} broke", "exception": error}
            )
