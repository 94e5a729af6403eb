"""A driver of another network namespace, as the lab has them: sockets and ``/proc/sys/net`` belong
to the namespace of the thread that opens them, so enter it, open, and leave."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fairlead.drivers.base import DriverError

_CLONE_NEWNET = 0x4000_0000
_libc = ctypes.CDLL(None, use_errno=True)


def netns_path(name: str) -> Path:
    """Where ``ip netns`` keeps a named namespace."""
    return Path("/run/netns") / name


@contextmanager
def entered(name: str | None) -> Iterator[None]:
    """Be in a named network namespace, this thread alone; None stays. Raises
    :class:`DriverError`."""
    if name is None:
        yield
        return
    with open("/proc/thread-self/ns/net") as home:
        _enter(str(netns_path(name)))
        try:
            yield
        finally:
            _join(home.fileno(), "the namespace it came from")


def _enter(path: str) -> None:
    try:
        with open(path) as target:
            _join(target.fileno(), path)
    except OSError as error:
        raise DriverError(f"cannot enter network namespace {path}: {error.strerror}") from error


def _join(descriptor: int, what: str) -> None:
    if _libc.setns(descriptor, _CLONE_NEWNET):
        reason = os.strerror(ctypes.get_errno())
        raise DriverError(f"cannot enter network namespace {what}: {reason}")
