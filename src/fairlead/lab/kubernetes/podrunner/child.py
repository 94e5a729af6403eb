"""What happens between the fork and the program: the child's side of the fork server."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from fairlead.lab import netns
from fairlead.lab.echo_server import EchoSpec, listen, serve
from fairlead.lab.errors import LabError
from fairlead.lab.kubernetes.podrunner.rootfs import Mount, enter_root, join_root

if TYPE_CHECKING:
    from types import FrameType

    from fairlead.lab.kubernetes.podrunner.task import EchoTask, Task

__all__ = ["become", "die_with"]

_PR_SET_PDEATHSIG: Final = 1
_NOT_FOUND: Final = 127


def become(task: Task, *, parent: int, errors: int, output: int | None) -> NoReturn:
    """Become the task. What goes wrong before it runs is written to `errors`, which is closed when
    it runs; what it says goes to `output`, or nowhere."""
    try:
        _settle_in(task, parent, output)
        if task.echo is not None:
            _echo(task.echo, errors)
        os.execvpe(task.argv[0], list(task.argv), task.env)
    except (OSError, LabError) as error:
        os.write(errors, str(error).encode())
    os._exit(_NOT_FOUND)


def die_with(parent: int) -> None:
    """Have the kernel kill the calling process when its parent ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _settle_in(task: Task, parent: int, output: int | None) -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.setsid()
    die_with(parent)
    _open_streams(output)
    if task.join is not None:
        netns.enter(os.open(f"/proc/{task.join}/ns/net", os.O_RDONLY | os.O_CLOEXEC))
        join_root(task.join)
    elif task.netns is not None:
        netns.enter(os.open(task.netns, os.O_RDONLY | os.O_CLOEXEC))
    if task.root is not None:
        enter_root(Path(task.root), [Mount(*entry) for entry in task.mounts])
    if task.cwd is not None:
        os.chdir(task.cwd)


def _open_streams(output: int | None) -> None:
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    out = null if output is None else output
    for stream, target in ((0, null), (1, out), (2, out)):
        os.dup2(target, stream)


def _echo(task: EchoTask, errors: int) -> NoReturn:
    _close_all_but(errors)  # so that an end of the runner or the server is seen by the other

    def expire(number: int, frame: FrameType | None) -> NoReturn:
        os._exit(0)

    def drain(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGALRM, expire)
        signal.setitimer(signal.ITIMER_REAL, max(task.drain, 0.001))

    signal.signal(signal.SIGTERM, drain)
    spec = EchoSpec(name=task.name, tcp=task.tcp, udp=task.udp, sctp=task.sctp, http=task.http)
    sockets = listen(spec)
    os.close(errors)
    ports = " ".join(f"{kind}:{sock.getsockname()[1]}" for kind, sock in sockets)
    print(f"{spec.name} serves {ports or 'nothing'}", flush=True)
    serve(spec, sockets)
    sys.exit(0)


def _close_all_but(kept: int) -> None:
    for entry in os.listdir("/proc/self/fd"):
        if int(entry) > 2 and int(entry) != kept:
            with suppress(OSError):  # the listing's own
                os.close(int(entry))
