"""The working directory of a control plane that was given none: in memory, and never left behind.

Its name holds the owner's pid and start time, so that the next start removes what an owner that was
killed could not. etcd alone sets 128 MB of log aside, so memory is used only where there is plenty.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Final

from fairlead.lab.state import Owner

__all__ = ["make_directory", "remove_leftovers"]

_MEMORY: Final = Path("/dev/shm")
_PLENTY: Final = 2 * 2**30
_NAME: Final = re.compile(r"fairlead-control-(\d+)-(\d+)-\w+")


def make_directory() -> Path:
    """Make a directory that belongs to this process."""
    owner = Owner.of(os.getpid())
    assert owner is not None
    prefix = f"fairlead-control-{owner.pid}-{owner.started}-"
    return Path(tempfile.mkdtemp(prefix=prefix, dir=_base()))


def remove_leftovers() -> None:
    """Remove the directories whose owner is no more."""
    for path in _base().iterdir():
        if found := _NAME.fullmatch(path.name):
            owner = Owner(int(found[1]), int(found[2]))
            if not owner.alive:
                shutil.rmtree(path, ignore_errors=True)


def _base() -> Path:
    usable = _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK)
    if usable and shutil.disk_usage(_MEMORY).free > _PLENTY:
        return _MEMORY
    return Path(tempfile.gettempdir())
