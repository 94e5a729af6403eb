"""The process that starts the pods' processes: small, with one thread, so that it may fork.

It answers each task with the pid or an error, says when a process ends and how, and writes what a
process says into its log, line by line with the time. An echo server is a fork of it and no new
interpreter, so a hundred pods start in the time of one. What it started dies with it, and it dies
with the runner.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
from typing import TYPE_CHECKING, NoReturn

from fairlead.lab.kubernetes.podrunner.child import become, die_with
from fairlead.lab.kubernetes.podrunner.logs import LogWriter
from fairlead.lab.kubernetes.podrunner.task import Task

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["launch"]


def launch() -> socket.socket:
    """Fork the server off and return the runner's end of the line to it.

    To be called before the runner has threads or an event loop.
    """
    ours, theirs = socket.socketpair()
    parent = os.getpid()
    if os.fork() == 0:
        ours.close()
        die_with(parent)
        os.setsid()
        _run(theirs)
    theirs.close()
    return ours


def _run(line: socket.socket) -> NoReturn:
    """Serve until the runner hangs up."""
    try:
        gc.collect()
        gc.freeze()  # so that the collector of a child leaves the pages shared
        _Server(line).serve()
    finally:
        os._exit(0)


class _Server:
    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._pending = b""
        self._running: dict[int, int] = {}
        self._outputs: dict[int, LogWriter] = {}
        self._wake, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake_write)
        signal.signal(signal.SIGCHLD, _nothing)
        self._poll = select.poll()
        self._poll.register(line, select.POLLIN)
        self._poll.register(self._wake, select.POLLIN)

    def serve(self) -> None:
        """Answer until the line ends."""
        while True:
            ready = {descriptor for descriptor, _ in self._poll.poll()}
            for descriptor in ready & self._outputs.keys():
                self._take_output(descriptor)
            if self._wake in ready:
                os.read(self._wake, 4096)
                self._report_ends()
            if self._line.fileno() in ready and not self._take_tasks():
                return

    def _take_tasks(self) -> bool:
        data = self._line.recv(1 << 20)
        *whole, self._pending = (self._pending + data).split(b"\n")
        for entry in whole:
            self._start(*Task.decode(entry))
        return bool(data)

    def _start(self, number: int, task: Task) -> None:
        errors_read, errors = os.pipe2(os.O_CLOEXEC)
        output_read, output = os.pipe2(os.O_CLOEXEC) if task.log else (None, None)
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            become(task, parent=parent, errors=errors, output=output)
        os.close(errors)
        if task.log and output is not None and output_read is not None:
            os.close(output)
            self._outputs[output_read] = LogWriter(task.log)
            self._poll.register(output_read, select.POLLIN)
        with os.fdopen(errors_read) as pipe:
            error = pipe.read()  # ends with exec, or when the echo server listens
        self._running[pid] = number
        self._say({"number": number, "error": error} if error else {"number": number, "pid": pid})

    def _take_output(self, descriptor: int) -> None:
        data = os.read(descriptor, 1 << 16)
        self._outputs[descriptor].write(data)
        if not data:
            self._poll.unregister(descriptor)
            os.close(descriptor)
            self._outputs.pop(descriptor).close()

    def _report_ends(self) -> None:
        while self._running:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            code = os.waitstatus_to_exitcode(status)
            end = code if code >= 0 else 128 - code
            self._say({"number": self._running.pop(pid), "exit": end})

    def _say(self, answer: dict[str, object]) -> None:
        self._line.sendall(json.dumps(answer).encode() + b"\n")


def _nothing(number: int, frame: FrameType | None) -> None:
    """A handler, so that SIGCHLD wakes the poll."""
