"""Replicas as processes, to be killed and stopped as the kernel does it, and who wrote what."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from fairlead.lab.kubernetes import ControlPlane

POLICY = """
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - {level: Metadata, verbs: [create, update, patch, delete]}
  - {level: None}
"""


class Write(NamedTuple):
    """One write as the API server saw it. ``at``: when it came, in seconds since the epoch."""

    user: str
    verb: str
    resource: str
    name: str
    code: int
    at: float


def audit_flags(directory: Path) -> dict[str, list[str]]:
    """The flags of an API server that logs every write there."""
    policy = directory / "policy.yaml"
    policy.write_text(POLICY)
    log = directory / "audit.log"
    return {"kube-apiserver": [f"--audit-policy-file={policy}", f"--audit-log-path={log}"]}


def writes_in(directory: Path) -> Iterator[Write]:
    """All writes but those of Leases."""
    for line in (directory / "audit.log").read_text().splitlines():
        entry: dict[str, Any] = json.loads(line)
        about = entry.get("objectRef") or {}
        resource = "/".join(filter(None, (about.get("resource"), about.get("subresource"))))
        if resource == "leases":
            continue
        yield Write(
            entry["user"]["username"],
            entry["verb"],
            resource,
            about.get("name", ""),
            entry.get("responseStatus", {}).get("code", 0),
            datetime.fromisoformat(entry["requestReceivedTimestamp"]).timestamp(),
        )


class Process:
    """``fairlead controller`` as a user of its own, who may do everything."""

    def __init__(self, name: str, child: asyncio.subprocess.Process, log: Path) -> None:
        self.name, self.log = name, log
        self._child = child

    @property
    def leads(self) -> bool:
        """Whether it says so."""
        told = [line["event"] for line in self.lines() if line["event"] in ("leads", "stands by")]
        return bool(told) and told[-1] == "leads"

    def lines(self) -> list[dict[str, Any]]:
        """What it logged."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line[:1] == "{"]

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self._child.pid, number)

    async def end(self, number: signal.Signals = signal.SIGKILL) -> int:
        """End it and wait; its exit code."""
        if self._child.returncode is None:
            self.send(number)
            if number is not signal.SIGKILL:
                self.send(signal.SIGCONT)
        return await self._child.wait()


@asynccontextmanager
async def process(
    plane: ControlPlane, namespace: str, name: str, directory: Path, *, lease: float = 3.0
) -> AsyncIterator[Process]:
    """A replica that is ended with this."""
    kubeconfig = await asyncio.to_thread(plane.kubeconfig_for, name, ["system:masters"])
    log = directory / f"{name}.log"
    command = ["-m", "fairlead", "controller", "--kubeconfig", str(kubeconfig), "--log", "json"]
    command += ["--namespace", namespace, "--identity", name, "--lease", str(lease)]
    with log.open("w") as out:
        child = await asyncio.create_subprocess_exec(
            sys.executable, *command, "--listen", "127.0.0.1:0", stdout=out, stderr=out
        )
    one = Process(name, child, log)
    try:
        yield one
    finally:
        await one.end()
