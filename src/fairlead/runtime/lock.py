"""One writer per state directory.

The lock is the kernel's (``flock``), so it goes with its process however that ends; the pid inside
the file is only for the message. The file stays after release: removing it would let two processes
lock two files of one name.
"""

import fcntl
import os
import time
from pathlib import Path

FILE = "lock"
ATTEMPTS = 5
PAUSE_SECONDS = 0.02


class StateError(Exception):
    """A state directory cannot be used; the message says why and what to do."""


class StateInUse(StateError):
    """Another process writes to the state directory. ``pid`` is None in the instant before it says
    so."""

    def __init__(self, directory: Path, pid: int | None) -> None:
        self.pid = pid
        who = f"process {pid}" if pid else "another process"
        super().__init__(f"{directory} is in use by {who}: stop it first, or give another --state")


class WriterLock:
    """The exclusive right to write to a state directory, until :meth:`release`."""

    def __init__(self, directory: Path) -> None:
        """Raises :class:`StateInUse`, or OSError when the lock file cannot be made."""
        self._file = os.open(directory / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        if not _try(self._file, fcntl.LOCK_EX, attempts=ATTEMPTS):
            pid = _pid_in(self._file)
            os.close(self._file)
            raise StateInUse(directory, pid)
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let another process write. Idempotent."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def writer_of(directory: Path) -> int | None:
    """The pid of the live writer of a state directory, or None when nobody writes there."""
    try:
        file = os.open(directory / FILE, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        return None if _try(file, fcntl.LOCK_SH) else _pid_in(file)
    finally:
        os.close(file)


def _try(file: int, kind: int, *, attempts: int = 1) -> bool:
    """Lock if it can be had. Several attempts, because :func:`writer_of` has it for an instant."""
    for attempt in range(attempts):
        if attempt:
            time.sleep(PAUSE_SECONDS)
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        return True
    return False


def _pid_in(file: int) -> int | None:
    text = os.pread(file, 32, 0).strip()
    return int(text) if text.isdigit() else None
