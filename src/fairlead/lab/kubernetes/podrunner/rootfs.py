"""A root directory of its own for a process: the machine's, with the volumes of its pod laid over.

A mount point that the machine does not have, or that lies below a directory closed to others, is
made in a tmpfs that mirrors its parents by bind mounts. So nothing of a pod is ever written into
the machine's own directories, and programs in a home directory can be run by any user. All of it
lives in the mount namespace of the process and goes with it. Called in the child, before exec.
"""

from __future__ import annotations

import ctypes
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["Mount", "enter_root", "join_root"]

_CLONE_NEWNS: Final = 0x00020000
_MS_RDONLY: Final = 1
_MS_REMOUNT: Final = 32
_MS_BIND: Final = 4096
_MS_REC: Final = 16384
_MS_PRIVATE: Final = 1 << 18
_libc: Final = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Mount:
    """A file or directory of the machine and where the process sees it."""

    source: str
    target: str
    read_only: bool = False


def enter_root(root: Path, mounts: list[Mount]) -> None:
    """Move the calling process into a mount namespace with these mounts; `root` is an empty
    directory. Raises OSError."""
    _check(_libc.unshare(_CLONE_NEWNS), "unshare")
    _mount("none", Path("/"), flags=_MS_REC | _MS_PRIVATE)
    _mount("tmpfs", root, kind="tmpfs")
    _mirror(Path("/"), root)
    root.chmod(0o755)
    for mount in sorted(mounts, key=lambda mount: mount.target.count("/")):
        _lay(mount, root)
    os.chroot(root)
    os.chdir("/")


def join_root(pid: int) -> None:
    """Move the calling process into the mount namespace and the root of another."""
    handle = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    root = os.open(f"/proc/{pid}/root", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    _check(_libc.setns(handle, _CLONE_NEWNS), "setns")
    os.fchdir(root)
    os.chroot(".")
    os.chdir("/")


def _lay(mount: Mount, root: Path) -> None:
    target = _inside(root, mount.target)
    is_file = not os.path.isdir(mount.source)
    _make_way(root, target, is_file=is_file)
    _mount(mount.source, target, flags=_MS_BIND | _MS_REC)
    if mount.read_only:
        _mount("none", target, flags=_MS_BIND | _MS_REMOUNT | _MS_RDONLY)


def _inside(root: Path, target: str) -> Path:
    """Where this path is below the new root, symbolic links followed as the process would."""
    return root / Path(os.path.realpath(target)).relative_to("/")


def _make_way(root: Path, target: Path, *, is_file: bool) -> None:
    """Have a directory (or file) at the target that everybody reaches; parents in the way are
    mirrored."""
    parents = [one for one in reversed(target.parents) if one != root and one.is_relative_to(root)]
    there = target.exists() and target.is_dir() != is_file
    for parent in parents:
        if not parent.exists():
            parent.mkdir()
        elif not _is_ours(parent, root) and not (there and _is_open(parent)):
            _cover(parent)
    if is_file:
        target.touch()
    else:
        target.mkdir(exist_ok=True)


def _cover(directory: Path) -> None:
    """Put a mirror over a directory; what was laid in it before is in the mirror too."""
    below = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    _mount("tmpfs", directory, kind="tmpfs")
    _mirror(Path(f"/proc/self/fd/{below}"), directory)
    os.close(below)
    directory.chmod(0o755)


def _is_open(directory: Path) -> bool:
    return bool(directory.stat().st_mode & stat.S_IXOTH)


def _is_ours(directory: Path, root: Path) -> bool:
    """Whether it is a mirror already and no window to the machine's own."""
    original = Path("/") / directory.relative_to(root)
    return not (original.exists() and os.path.samestat(original.stat(), directory.stat()))


def _mirror(original: Path, copy: Path) -> None:
    for entry in os.scandir(original):
        there = copy / entry.name
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), there)
            continue
        if entry.is_dir():
            there.mkdir()
        else:
            there.touch()
        _mount(entry.path, there, flags=_MS_BIND | _MS_REC)


def _mount(source: str, target: Path, *, kind: str | None = None, flags: int = 0) -> None:
    name = kind.encode() if kind else None
    done = _libc.mount(source.encode(), os.fsencode(target), name, ctypes.c_ulong(flags), None)
    _check(done, f"mount {target}")


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
