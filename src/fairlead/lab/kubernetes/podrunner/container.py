"""One container of a pod: started, probed, restarted with backoff, ended with grace."""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from fairlead.lab.kubernetes.podrunner.api import UNREACHABLE, ApiError
from fairlead.lab.kubernetes.podrunner.environment import Missing, container_env, expand
from fairlead.lab.kubernetes.podrunner.images import NoSuchImage, program
from fairlead.lab.kubernetes.podrunner.node import now
from fairlead.lab.kubernetes.podrunner.privileges import confined, runs_as
from fairlead.lab.kubernetes.podrunner.probes import Target, follow
from fairlead.lab.kubernetes.podrunner.processes import StartFailed
from fairlead.lab.kubernetes.podrunner.status import ContainerState
from fairlead.lab.kubernetes.podrunner.task import EchoTask, Task

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from fairlead.lab.kubernetes.podrunner.home import PodHome
    from fairlead.lab.kubernetes.podrunner.processes import Process, Processes

__all__ = ["Container"]

_LONGEST_WAIT: Final = 10.0
_QUIET: Final = 60.0  # a container that ran this long starts its backoff anew
_RETRY: Final = 0.5


class Container:
    """A container from the pod's spec, in the pod's home. `state` is what to report of it."""

    def __init__(self, spec: Mapping[str, Any], home: PodHome, processes: Processes) -> None:
        self.spec = spec
        self.state = ContainerState(name=spec["name"], image=spec["image"])
        self._home = home
        self._processes = processes
        self._process: Process | None = None
        self._probes: list[asyncio.Task[None]] = []
        self._stopping = False
        self._env: dict[str, str] = {}

    @property
    def log(self) -> Path:
        """The file that holds what it says since its last start."""
        return self._log_of(self.state.restarts)

    @property
    def previous_log(self) -> Path:
        """The file that holds what it said before that."""
        return self._log_of(self.state.restarts - 1)

    async def keep(self, policy: str) -> int:
        """Run it, again and again as the restart policy says; return its last exit code."""
        wait = 1.0
        while True:
            began = time.monotonic()
            code = await self._run_once()
            again = policy == "Always" or (policy == "OnFailure" and code != 0)
            if self._stopping or not again:
                return code
            if time.monotonic() - began > _QUIET:
                wait = 1.0
            self._wait_for_restart(wait)
            await asyncio.sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT)
            self.state.restarts += 1

    async def stop(self, grace: float) -> None:
        """End it: the preStop hook, SIGTERM, and SIGKILL when `grace` seconds are over."""
        self._stopping = True
        process = self._process
        if process is None or process.ended.done():
            return
        deadline = time.monotonic() + grace
        with suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self._before_stop()
        await process.end(max(0.0, deadline - time.monotonic()))

    def kill(self) -> None:
        """End it at once."""
        self._stopping = True
        if self._process is not None:
            self._process.signal(signal.SIGKILL)

    async def execute(self, command: tuple[str, ...]) -> int:
        """Run a command in the container and return its exit code, 127 when it cannot start."""
        if self._process is None or self._process.ended.done():
            return 127
        task = Task(argv=command, join=self._process.pid, env=self._env)
        try:
            process = await self._processes.start(task)
        except StartFailed:
            return 127
        try:
            return await asyncio.shield(process.ended)
        except asyncio.CancelledError:
            process.signal(signal.SIGKILL)
            raise

    async def _run_once(self) -> int:
        process = await self._start()
        self._process = process
        begun = now()
        self.state.identity = f"{self._home.uid}-{self.state.name}-{self.state.restarts}"
        self.state.state = {"running": {"startedAt": begun}}
        self._begin_probes()
        self._home.changed()
        try:
            code = await asyncio.shield(process.ended)
        except asyncio.CancelledError:
            process.signal(signal.SIGKILL)
            raise
        finally:
            await self._end_probes()
        self.state.ready = self.state.started = False
        ended = {
            "exitCode": code,
            "reason": "Completed" if code == 0 else "Error",
            "startedAt": begun,
            "finishedAt": now(),
            "containerID": f"fairlead-lab://{self.state.identity}",
        }
        self.state.state = {"terminated": ended}
        self._home.changed()
        return code

    async def _start(self) -> Process:
        """Start the process, as soon as all it needs is there."""
        while True:
            try:
                return await self._processes.start(await self._task())
            except NoSuchImage as error:
                self._say_waiting("ErrImagePull", str(error))
            except Missing as error:
                self._say_waiting("CreateContainerConfigError", str(error))
            except StartFailed as error:
                self._say_waiting("RunContainerError", str(error))
            except (*UNREACHABLE, ApiError) as error:
                self._say_waiting("ContainerCreating", str(error))
            await asyncio.sleep(_RETRY)

    async def _task(self) -> Task:
        home, spec = self._home, self.spec
        base = {**home.base_env, "HOME": "/" if runs_as(home.pod["spec"], spec) else "/root"}
        self._env = await container_env(spec, home.pod, base=base, read=home.volumes.read)
        words = [*(spec.get("command") or ()), *(spec.get("args") or ())]
        args = [expand(word, self._env) for word in words]
        what = program(spec, name=home.name, env=self._env, args=args)
        if isinstance(what, EchoTask):
            return Task(echo=what, netns=home.netns, log=str(self.log))
        root = home.path / f"{self.state.name}-root"
        root.mkdir(exist_ok=True)
        return Task(
            argv=confined(what, pod=home.pod["spec"], container=spec),
            netns=home.netns,
            root=str(root),
            mounts=(*home.volumes.mounts(spec), *home.programs),
            env=self._env,
            cwd=spec.get("workingDir"),
            log=str(self.log),
        )

    def _log_of(self, restart: int) -> Path:
        return self._home.path / f"{self.state.name}-{restart}.log"

    def _say_waiting(self, reason: str, message: str) -> None:
        waiting = {"waiting": {"reason": reason, "message": message}}
        if self.state.state != waiting:
            self.state.state = waiting
            self._home.changed()

    def _wait_for_restart(self, wait: float) -> None:
        self.state.last = self.state.state
        message = f"back-off {wait:.0f}s restarting container {self.state.name}"
        self._say_waiting("CrashLoopBackOff", message)

    def _begin_probes(self) -> None:
        self.state.ready = "readinessProbe" not in self.spec and "startupProbe" not in self.spec
        self.state.started = "startupProbe" not in self.spec
        self._probes = [asyncio.create_task(self._probe())]

    async def _end_probes(self) -> None:
        for task in self._probes:
            task.cancel()
        await asyncio.gather(*self._probes, return_exceptions=True)
        self._probes = []

    async def _probe(self) -> None:
        """Follow the startup probe to its first yes, then readiness and liveness."""
        target = Target(self.spec, address=self._home.probe_address, run=self.execute)
        if startup := self.spec.get("startupProbe"):
            started = asyncio.Event()
            asking = asyncio.create_task(
                follow(target, startup, lambda good, why: self._on_startup(good, started))
            )
            try:
                await started.wait()
            finally:
                asking.cancel()
        async with asyncio.TaskGroup() as group:
            if readiness := self.spec.get("readinessProbe"):
                group.create_task(follow(target, readiness, self._on_readiness))
            elif not self.state.ready:
                self._on_readiness(True, "")
            if liveness := self.spec.get("livenessProbe"):
                group.create_task(follow(target, liveness, self._on_liveness))

    def _on_startup(self, good: bool, started: asyncio.Event) -> None:
        if good:
            self.state.started = True
            started.set()
        else:
            self._on_liveness(False, "")

    def _on_readiness(self, good: bool, why: str) -> None:
        self.state.ready = good
        self._home.changed()

    def _on_liveness(self, good: bool, why: str) -> None:
        if not good and not self._stopping and self._process is not None:
            self._home.spawn(self._process.end(self._home.grace))

    async def _before_stop(self) -> None:
        match (self.spec.get("lifecycle") or {}).get("preStop"):
            case {"sleep": {"seconds": seconds}}:
                await asyncio.sleep(seconds)
            case {"exec": {"command": command}}:
                await self.execute(tuple(command))
            case {"httpGet": action}:
                target = Target(self.spec, address=self._home.probe_address, run=self.execute)
                await target.ask({"httpGet": action, "timeoutSeconds": 30})
