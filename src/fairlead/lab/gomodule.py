"""Programs that the lab builds once from pinned Go modules and keeps in a cache.

A module's `go.mod` names the versions and its `go.sum` their hashes, so what is built is what was
reviewed. The cache lies outside the work tree, under a name made of the module and the flags: a new
version builds beside the old one, and any number of processes share one build.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections import deque
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fairlead.lab.errors import LabError, LabUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["GoModule"]

_FILES: Final = ("go.mod", "go.sum")
_OLDEST: Final = (1, 24)
_ENVIRONMENT: Final = {
    "CGO_ENABLED": "0",
    "GOFLAGS": "-mod=readonly -buildvcs=false",
    "GOTOOLCHAIN": "local",
    "GOWORK": "off",
}
_EVERY: Final = 100  # packages between two words of progress


@dataclass(frozen=True, slots=True, kw_only=True)
class GoModule:
    """A directory with `go.mod` and `go.sum`, and what to build of it.

    `programs`: name -> package. `title` names the whole to people, `cache` the place below the
    cache directory.
    """

    directory: Path
    cache: str
    title: str
    programs: Mapping[str, str]
    flags: tuple[str, ...]

    def binaries(self, progress: Callable[[str], None] | None = None) -> Path:
        """The directory that holds the programs; builds them if this was never done.

        `progress` is told in short lines how far a build is. Raises LabUnavailable when Go is
        missing or too old and LabError, with the compiler's words, when the build fails.
        """
        home = self._home()
        if not (home / "bin").is_dir():
            with _locked(home):
                if not (home / "bin").is_dir():  # another process may have built it meanwhile
                    self._build(home, progress or (lambda line: None))
        return home / "bin"

    def cached(self) -> Path | None:
        """The directory that holds the programs, or None when they have not been built."""
        found = self._home() / "bin"
        return found if found.is_dir() else None

    def version(self, module: str) -> str:
        """The version of a module that `go.mod` names, as `v1.34.4`."""
        text = (self.directory / "go.mod").read_text()
        found = re.search(rf"^\s*{re.escape(module)} (v\S+)", text, re.M)
        assert found is not None
        return found[1]

    def _home(self) -> Path:
        digest = hashlib.sha256()
        for name in _FILES:
            digest.update((self.directory / name).read_bytes())
        digest.update(repr((self.flags, sorted(_ENVIRONMENT.items()))).encode())
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        return cache / "fairlead" / self.cache / digest.hexdigest()[:16]

    def _build(self, home: Path, progress: Callable[[str], None]) -> None:
        go = _find_go(self.title)
        progress(f"building {self.title} into {home}, once; takes some minutes")
        with tempfile.TemporaryDirectory(dir=home, prefix="build-") as scratch:
            module = Path(scratch, "module")
            module.mkdir()
            for name in _FILES:  # the work tree may be read-only
                shutil.copyfile(self.directory / name, module / name)
            made = Path(scratch, "bin")
            made.mkdir()
            for target, packages in self._targets().items():
                self._compile(
                    [go, "build", "-v", *self.flags, "-o", f"{made}/{target}"],
                    packages,
                    module,
                    progress,
                )
            made.rename(home / "bin")
        progress("built " + ", ".join(self.programs))

    def _targets(self) -> dict[str, list[str]]:
        """Output -> packages: those that are called as their packages are built in one go, which
        is faster."""
        targets: dict[str, list[str]] = {}
        for name, package in self.programs.items():
            own = package.rpartition("/")[2] == name
            targets.setdefault("" if own else name, []).append(package)
        return targets

    def _compile(
        self, argv: list[str], packages: list[str], module: Path, progress: Callable[[str], None]
    ) -> None:
        """Run one `go build`, which names each package on its standard error as it compiles it."""
        said: deque[str] = deque(maxlen=12)
        with subprocess.Popen(
            [*argv, *packages],
            cwd=module,
            env={**os.environ, **_ENVIRONMENT},
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stderr is not None
            for count, line in enumerate(process.stderr, start=1):
                said.append(line.rstrip())
                if count % _EVERY == 0:
                    progress(f"{count} packages downloaded or compiled")
        if process.returncode != 0:
            raise LabError(f"{self.title} could not be built: " + "\n  ".join(said))


@contextmanager
def _locked(home: Path) -> Iterator[None]:
    home.mkdir(parents=True, exist_ok=True)
    handle = os.open(home / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _find_go(title: str) -> str:
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    needed = f"{title} is built from source and needs Go 1.24 or newer"
    cure = "install it so that `go` is in PATH or in /usr/local/go/bin (https://go.dev/doc/install)"
    if go is None:
        raise LabUnavailable(f"{needed}, which is not installed: {cure}")
    done = subprocess.run(
        [go, "env", "GOVERSION"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "GOTOOLCHAIN": "local"},
    )
    found = re.match(r"go(\d+)\.(\d+)", done.stdout)
    if found is None or (int(found[1]), int(found[2])) < _OLDEST:
        has = done.stdout.strip() or done.stderr.strip()
        raise LabUnavailable(f"{needed}, but {go} is {has}: {cure}")
    return go
