"""The agent's end of the process that holds libnftables (:mod:`fairlead.drivers.nft.helper`).

The process is started when it is first needed and again after it died; whatever it was doing then
is reported as an error, and either happened whole or not at all.
"""

import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

from fairlead.drivers.base import DriverError
from fairlead.drivers.nft.helper import ANSWER, REQUEST
from fairlead.drivers.nft.namespace import netns_path

_HELPER = Path(__file__).with_name("helper.py")
_ERROR_LENGTH = 400


class NftClient:
    """Runs nft input in one network namespace. One caller at a time."""

    def __init__(self, *, netns: str | None = None, timeout: float = 60.0) -> None:
        """``timeout``: seconds after which a request that got no answer is given up."""
        self._command = [sys.executable, "-I", "-S", str(_HELPER)]
        self._command += [str(netns_path(netns))] if netns else []
        self._timeout = timeout
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, text: str, *, json: bool = False) -> bytes:
        """Run one input as one transaction; returns what nft printed. Raises
        :class:`DriverError`."""
        process = self._started()
        request = text.encode()
        try:
            _input(process).write(REQUEST.pack(len(request), json) + request)
            _input(process).flush()
            deadline = time.monotonic() + self._timeout
            result, *lengths = ANSWER.unpack(_read(process, ANSWER.size, deadline))
            output, errors = (_read(process, length, deadline) for length in lengths)
        except (OSError, EOFError) as error:
            self.close()
            raise DriverError(f"nft: its process ended or hung ({error}); retry") from error
        if result:
            raise DriverError("nft refused: " + errors.decode(errors="replace")[:_ERROR_LENGTH])
        return output

    def close(self) -> None:
        """End the process. Idempotent."""
        if self._process is None:
            return
        process, self._process = self._process, None
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                _close_quietly(pipe)

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,  # a Ctrl-C at the terminal is for the agent
            )
        return self._process


def _close_quietly(pipe: IO[bytes]) -> None:
    try:
        pipe.close()
    except BrokenPipeError:
        return  # unsent input of a process that is gone: already reported by whoever wrote it


def _input(process: subprocess.Popen[bytes]) -> IO[bytes]:
    if process.stdin is None:
        raise EOFError("no pipe")
    return process.stdin


def _read(process: subprocess.Popen[bytes], length: int, deadline: float) -> bytes:
    """Exactly so many bytes, past Python's buffer, in which ``select`` could not see them."""
    if process.stdout is None:
        raise EOFError("no pipe")
    descriptor = process.stdout.fileno()
    pieces: list[bytes] = []
    while length:
        wait = max(0.0, deadline - time.monotonic())
        if not select.select([descriptor], [], [], wait)[0]:
            raise EOFError("no answer in time")
        piece = os.read(descriptor, length)
        if not piece:
            raise EOFError("unexpected end of its output")
        pieces.append(piece)
        length -= len(piece)
    return b"".join(pieces)
