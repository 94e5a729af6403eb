"""Network namespaces by name: entering them and ending what runs in them.

A thread, not the process, is what has a network namespace, and a socket keeps the one it was made
in for life. So entering is a `setns` of the calling thread (CPython has `os.setns` from 3.12 on;
the C library is called to serve 3.11), and what is started by that thread inherits it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

from fairlead.lab.errors import LabError, LabUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

__all__ = [
    "NETNS_DIR",
    "call_inside",
    "create",
    "end_processes",
    "enter",
    "entered",
    "ip_batch",
    "names",
    "remove",
]

NETNS_DIR: Final = Path("/run/netns")

_CLONE_NEWNET: Final = 0x40000000
_MNT_DETACH: Final = 2
_libc: Final = ctypes.CDLL(None, use_errno=True)

P = ParamSpec("P")
T = TypeVar("T")


def enter(namespace: int) -> None:
    """Move the calling thread into the namespace behind this file descriptor."""
    if _libc.setns(namespace, _CLONE_NEWNET) != 0:
        error = ctypes.get_errno()
        raise LabError(f"cannot enter the network namespace: {os.strerror(error)}")


@contextmanager
def entered(path: Path) -> Iterator[None]:
    """Run the body of the `with` in the namespace at this path, on the calling thread."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        target = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            enter(target)
        finally:
            os.close(target)
        try:
            yield
        finally:
            enter(home)
    finally:
        os.close(home)


def call_inside(path: Path, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call the function on a fresh thread inside the namespace; return or raise what it does."""
    outcome: Future[T] = Future()

    def work() -> None:
        try:
            with entered(path):
                outcome.set_result(function(*args, **kwargs))
        except BaseException as error:
            outcome.set_exception(error)

    Thread(target=work, name=f"in {path.name}", daemon=True).start()
    return outcome.result()


def ip_batch(commands: Iterable[str], *, namespace: str | None = None, force: bool = False) -> None:
    """Run many `ip` commands in one process. Raises LabError with what `ip` said about a failure.

    With `force` every command is tried and failures are ignored (for taking things down).
    """
    lines = "\n".join(commands)
    if not lines:
        return
    inside = ("-n", namespace) if namespace else ()
    argv = ["ip", *inside, *(("-force",) if force else ()), "-batch", "-"]
    try:
        done = subprocess.run(argv, input=lines, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise LabUnavailable("the lab needs the `ip` command: install iproute2") from None
    if done.returncode != 0 and not force:
        said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        where = f" in {namespace}" if namespace else ""
        raise LabError(f"ip failed{where}: {said}")


def create(namespaces: Sequence[str]) -> None:
    """Make the namespaces. Raises LabUnavailable when this machine does not let us."""
    if os.geteuid() != 0:
        raise LabUnavailable("the lab needs root to make network namespaces: run it with sudo")
    try:
        ip_batch(f"netns add {name}" for name in namespaces)
    except LabUnavailable:
        raise
    except LabError as error:
        raise LabUnavailable(
            f"network namespaces cannot be made here, CAP_SYS_ADMIN is needed ({error})"
        ) from error


def names(prefix: str) -> list[str]:
    """The named namespaces that start with this prefix."""
    if not NETNS_DIR.is_dir():
        return []
    return sorted(entry.name for entry in NETNS_DIR.iterdir() if entry.name.startswith(prefix))


def remove(namespaces: Iterable[str]) -> None:
    """Remove the namespaces; one that is not there, or only a stale file of it, is no error."""
    for name in namespaces:
        path = NETNS_DIR / name
        _libc.umount2(os.fsencode(path), _MNT_DETACH)
        path.unlink(missing_ok=True)


def end_processes(namespaces: Iterable[str], *, patience: float = 20.0) -> None:
    """Kill every process whose main thread is in one of the namespaces, and wait for its end.

    Membership of the namespace is what makes a process the lab's, so daemons that left their
    parents are found too. A pidfd taken before the check makes sure that no recycled pid is hit.
    """
    inodes = {_inode(NETNS_DIR / name) for name in namespaces} - {None}
    deadline = time.monotonic() + patience
    while pids := [pid for pid in _pids() if _inode(Path(f"/proc/{pid}/ns/net")) in inodes]:
        for pid in pids:
            _kill_inside(pid, inodes)
        if time.monotonic() > deadline:
            raise LabError(f"processes of the lab do not end: {pids}")
        time.sleep(0.002)


def _kill_inside(pid: int, inodes: set[tuple[int, int] | None]) -> None:
    with suppress(ProcessLookupError):
        handle = os.pidfd_open(pid)
        try:
            if _inode(Path(f"/proc/{pid}/ns/net")) in inodes:
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        finally:
            os.close(handle)


def _pids() -> Iterator[int]:
    own = os.getpid()
    return (int(e) for e in os.listdir("/proc") if e.isdigit() and int(e) != own)


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
