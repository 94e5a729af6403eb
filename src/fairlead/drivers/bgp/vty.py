"""A daemon's vty socket: what ``vtysh`` speaks, without the process.

A command ends with a NUL. Its answer is text, three NULs and a status byte (``lib/vty.c``).
Commands are sent ahead of their answers, so that ten thousand take a third of a second, and nothing
of them, passwords included, is ever in a process list.
"""

import select
import socket
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from fairlead.drivers.base import DriverError

SUCCESS, WARNING = 0, 1
"""CMD_SUCCESS; CMD_WARNING, which says no to what is already so."""

AHEAD = 256
"""Commands sent before their answers are read."""

PATIENCE = 10.0
"""Seconds to wait for a daemon that is busy."""

_END = b"\0\0\0"


class Answer(NamedTuple):
    """What a daemon said. ``status`` 0 is success (``lib/command.h``)."""

    status: int
    text: str


class Vty:
    """One connection. One caller at a time; errors are :class:`DriverError`, and the connection is
    of no use after one."""

    def __init__(self, path: Path, *, patience: float = PATIENCE) -> None:
        self._name = path.stem
        self._heard = bytearray()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._socket.settimeout(patience)
        try:
            self._socket.connect(str(path))
        except OSError as error:
            self._socket.close()
            raise self._lost(error) from error
        self.run(["enable"])

    @property
    def lost(self) -> bool:
        """Whether the daemon went away. Cheap."""
        waiting, _, _ = select.select([self._socket], [], [], 0)
        return bool(waiting)  # between two commands a daemon says nothing

    def close(self) -> None:
        """Give the connection back. Idempotent."""
        self._socket.close()

    def ask(self, command: str) -> str:
        """The text that one command answers with, whatever its status."""
        return self.run([command])[0].text

    def configure(self, commands: Sequence[str]) -> list[tuple[str, Answer]]:
        """Run commands from the top of the configuration; those that were refused."""
        if not commands:
            return []
        answers = self.run(["configure terminal", *commands, "end"])[1:-1]
        pairs = zip(commands, answers, strict=True)
        return [(said, answer) for said, answer in pairs if answer.status not in (SUCCESS, WARNING)]

    def run(self, commands: Sequence[str]) -> list[Answer]:
        """Run commands one after the other."""
        lines = [_line(command) for command in commands]
        answers: list[Answer] = []
        sent = 0
        try:
            while len(answers) < len(lines):
                ahead = min(len(lines), len(answers) + AHEAD)
                if ahead - sent >= AHEAD // 2 or sent == len(answers):
                    self._socket.sendall(b"".join(lines[sent:ahead]))
                    sent = ahead
                answers += self._answers()
        except OSError as error:
            self.close()
            raise self._lost(error) from error
        return answers

    def _answers(self) -> Iterable[Answer]:
        """At least the part of an answer; the answers that are whole now."""
        received = self._socket.recv(1 << 18)
        if not received:
            raise ConnectionResetError("it ended")
        self._heard += received
        found = []
        start = 0
        while 0 <= (end := self._heard.find(_END, start)) < len(self._heard) - len(_END):
            text = self._heard[start:end].decode(errors="replace")
            start = end + len(_END) + 1
            found.append(Answer(self._heard[start - 1], text))
        del self._heard[:start]
        return found

    def _lost(self, error: OSError) -> DriverError:
        return DriverError(f"bgp: FRR's {self._name} does not answer ({error})")


def _line(command: str) -> bytes:
    """A command as bytes. ValueError when it is more than one: its parts come from objects."""
    if not command.isprintable():
        raise ValueError("a command of FRR holds a control character")
    return command.encode() + b"\0"
