"""The process that starts the pods' processes: small, with one thread, so that it may fork.

It answers each task with the pid or an error, and says when a process ends and how. An echo server
is a fork of it and no new interpreter, so a hundred pods start in the time of one. What it started
dies with it, and it dies with the runner.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import select
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from fairlead.lab import netns
from fairlead.lab.echo_server import EchoSpec, listen, serve
from fairlead.lab.errors import LabError
from fairlead.lab.kubernetes.podrunner.rootfs import Mount, enter_root, join_root
from fairlead.lab.kubernetes.podrunner.task import Task

if TYPE_CHECKING:
    from types import FrameType

    from fairlead.lab.kubernetes.podrunner.task import EchoTask

__all__ = ["launch"]

_PR_SET_PDEATHSIG: Final = 1
_NOT_FOUND: Final = 127


def launch() -> socket.socket:
    """Fork the server off and return the runner's end of the line to it.

    To be called before the runner has threads or an event loop.
    """
    ours, theirs = socket.socketpair()
    parent = os.getpid()
    if os.fork() == 0:
        ours.close()
        _die_with(parent)
        os.setsid()
        try:
            _serve(theirs)
        finally:
            os._exit(0)
    theirs.close()
    return ours


def _serve(line: socket.socket) -> None:
    """Answer until the runner hangs up."""
    gc.collect()
    gc.freeze()  # so that the collector of a child leaves the pages shared
    wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake_write)
    signal.signal(signal.SIGCHLD, _nothing)
    running: dict[int, int] = {}
    pending = b""
    poll = select.poll()
    poll.register(line, select.POLLIN)
    poll.register(wake_read, select.POLLIN)
    while True:
        ready = {descriptor for descriptor, _ in poll.poll()}
        if wake_read in ready:
            os.read(wake_read, 4096)
            _report_ends(line, running)
        if line.fileno() in ready:
            data = line.recv(1 << 20)
            if not data:
                return
            *whole, pending = (pending + data).split(b"\n")
            for entry in whole:
                number, task = Task.decode(entry)
                _start(line, running, number, task)


def _start(line: socket.socket, running: dict[int, int], number: int, task: Task) -> None:
    readable, writable = os.pipe2(os.O_CLOEXEC)
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        _child(task, writable, parent)
    os.close(writable)
    with os.fdopen(readable) as pipe:
        error = pipe.read()  # ends with exec, or when the echo server listens
    running[pid] = number
    _say(line, {"number": number, "error": error} if error else {"number": number, "pid": pid})


def _report_ends(line: socket.socket, running: dict[int, int]) -> None:
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        number = running.pop(pid)
        code = os.waitstatus_to_exitcode(status)
        _say(line, {"number": number, "exit": code if code >= 0 else 128 - code})


def _say(line: socket.socket, answer: dict[str, object]) -> None:
    line.sendall(json.dumps(answer).encode() + b"\n")


def _child(task: Task, writable: int, parent: int) -> NoReturn:
    """Become the task; never returns. Errors before it runs go through the pipe."""
    try:
        _settle_in(task, parent)
        if task.echo is not None:
            _echo(task.echo, writable)
        os.execvpe(task.argv[0], list(task.argv), task.env)
    except (OSError, LabError) as error:
        os.write(writable, str(error).encode())
    os._exit(_NOT_FOUND)


def _settle_in(task: Task, parent: int) -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.setsid()
    _die_with(parent)
    _open_streams(task.log)
    if task.join is not None:
        netns.enter(os.open(f"/proc/{task.join}/ns/net", os.O_RDONLY | os.O_CLOEXEC))
        join_root(task.join)
    elif task.netns is not None:
        netns.enter(os.open(task.netns, os.O_RDONLY | os.O_CLOEXEC))
    if task.root is not None:
        enter_root(Path(task.root), [Mount(*entry) for entry in task.mounts])
    if task.cwd is not None:
        os.chdir(task.cwd)


def _open_streams(log: str | None) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644) if log else null
    for stream, target in ((0, null), (1, out), (2, out)):
        os.dup2(target, stream)


def _echo(task: EchoTask, writable: int) -> NoReturn:
    _close_all_but(writable)  # so that an end of the runner or the server is seen by the other

    def expire(number: int, frame: FrameType | None) -> NoReturn:
        os._exit(0)

    def drain(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGALRM, expire)
        signal.setitimer(signal.ITIMER_REAL, max(task.drain, 0.001))

    signal.signal(signal.SIGTERM, drain)
    spec = EchoSpec(
        name=task.name, tcp=task.tcp, udp=task.udp, sctp=task.sctp, http=task.http, bind=None
    )
    sockets = listen(spec)
    os.close(writable)
    print(f"{spec.name} serves", *(f"{kind}:{s.getsockname()}" for kind, s in sockets), flush=True)
    serve(spec, sockets)
    sys.exit(0)


def _close_all_but(kept: int) -> None:
    for entry in os.listdir("/proc/self/fd"):
        if int(entry) > 2 and int(entry) != kept:
            with suppress(OSError):  # the listing's own
                os.close(int(entry))


def _die_with(parent: int) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _nothing(number: int, frame: FrameType | None) -> None:
    """A handler, so that SIGCHLD wakes the poll."""
