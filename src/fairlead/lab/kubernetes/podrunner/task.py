"""What the fork server is asked to start, as plain data that travels as one line of JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["EchoTask", "Task"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EchoTask:
    """An echo server; on SIGTERM it goes on for `drain` seconds, so that no request is lost while
    the rest of the cluster learns that it ends."""

    name: str
    tcp: tuple[int, ...] = ()
    udp: tuple[int, ...] = ()
    sctp: tuple[int, ...] = ()
    http: tuple[int, ...] = ()
    drain: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A process to start: a program or an echo server, in a network namespace, or this one's.

    `mounts` (source, target, read-only) are laid over the machine's root, in `root`. With `join`,
    the pid of another, it sees that one's files instead, and its network.
    """

    argv: tuple[str, ...] = ()
    echo: EchoTask | None = None
    netns: str | None = None
    join: int | None = None
    root: str | None = None
    mounts: tuple[tuple[str, str, bool], ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    cwd: str | None = None
    log: str | None = None

    def encode(self, number: int) -> bytes:
        """The line that asks for this task under this number."""
        return json.dumps({"number": number, "task": asdict(self)}).encode() + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> tuple[int, Task]:
        """Read what `encode` wrote."""
        raw: dict[str, Any] = json.loads(line)
        task = raw["task"]
        task["argv"] = tuple(task["argv"])
        task["mounts"] = tuple(tuple(entry) for entry in task["mounts"])
        task["echo"] = EchoTask(**task["echo"]) if task["echo"] else None
        return raw["number"], cls(**task)
