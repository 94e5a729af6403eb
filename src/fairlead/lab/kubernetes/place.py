"""Where the programs of a control plane run: in a lab host's namespace, or on the machine itself.

`Place` is the part of `Host` that is needed; `Machine` is the same for the root namespace. Both end
their processes with the thread that started them, and that thread lives as long as the place.
"""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import IO, TYPE_CHECKING, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

__all__ = ["Machine", "Place"]

P = ParamSpec("P")
T = TypeVar("T")
Stream = int | IO[str] | IO[bytes] | None


class Place(Protocol):
    """Somewhere to run programs. `fairlead.lab.Host` is one."""

    def popen(
        self,
        argv: Sequence[str],
        *,
        stdout: Stream = None,
        stderr: Stream = None,
        env: Mapping[str, str] | None = None,
        cwd: str | Path | None = None,
    ) -> subprocess.Popen[str]:
        """Start a program that ends with its owner."""
        ...

    def run(
        self,
        argv: Sequence[str],
        *,
        input: str | None = None,
        timeout: float = 30.0,
        check: bool = False,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end."""
        ...

    def call(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function there."""
        ...


class Machine:
    """The namespace that the calling process is in."""

    def __init__(self) -> None:
        self._spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="machine spawner")

    def popen(
        self,
        argv: Sequence[str],
        *,
        stdout: Stream = None,
        stderr: Stream = None,
        env: Mapping[str, str] | None = None,
        cwd: str | Path | None = None,
    ) -> subprocess.Popen[str]:
        """Start a program that is killed when this process ends, however it ends."""

        def start() -> subprocess.Popen[str]:
            return subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *argv],
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                env=env,
                cwd=cwd,
                text=True,
            )

        return self._spawner.submit(start).result()

    def run(
        self,
        argv: Sequence[str],
        *,
        input: str | None = None,
        timeout: float = 30.0,
        check: bool = False,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end and return what it wrote."""
        stdin = subprocess.DEVNULL if input is None else None
        return subprocess.run(
            list(argv),
            input=input,
            stdin=stdin,
            timeout=timeout,
            check=check,
            env=env,
            capture_output=True,
            text=True,
        )

    def call(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call the function."""
        return function(*args, **kwargs)

    def close(self) -> None:
        """End the thread, and so whatever it started that still runs."""
        self._spawner.shutdown()
