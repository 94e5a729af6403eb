"""Programs from Go modules: built once, under a name of what they are made of."""

import os
import subprocess
from pathlib import Path

import pytest

from fairlead.lab.errors import LabError, LabUnavailable
from fairlead.lab.gomodule import GoModule

PROGRAM = "test2json"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GoModule:
    """A module that needs nothing but Go itself, with a cache of its own beside Go's."""
    of_go = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "go-build")
    monkeypatch.setenv("GOCACHE", os.environ.get("GOCACHE") or str(of_go))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    place = tmp_path / "module"
    place.mkdir()
    (place / "go.mod").write_text("module example.org/tools\n\ngo 1.24\n")
    (place / "go.sum").write_text("")
    return _module(place, {PROGRAM: f"cmd/{PROGRAM}"})


def _module(place: Path, programs: dict[str, str], *flags: str) -> GoModule:
    return GoModule(
        directory=place, cache="tools", title="the tool", programs=programs, flags=flags
    )


def test_a_program_is_built_once(module: GoModule) -> None:
    said: list[str] = []
    assert module.cached() is None
    where = module.binaries(said.append)
    assert said[-1] == f"built {PROGRAM}"
    done = subprocess.run([where / PROGRAM], input=b"ok\n", capture_output=True, timeout=10)
    assert b'"Action":"output"' in done.stdout
    made = (where / PROGRAM).stat().st_mtime_ns
    assert module.binaries(said.append) == module.cached() == where
    assert (where / PROGRAM).stat().st_mtime_ns == made
    assert said[-1] == f"built {PROGRAM}"
    assert {path.name for path in where.parent.iterdir()} == {"bin", ".lock"}


def test_another_version_or_other_flags_are_another_place(module: GoModule) -> None:
    module.binaries()
    assert _module(module.directory, {PROGRAM: f"cmd/{PROGRAM}"}, "-race").cached() is None
    (module.directory / "go.sum").write_text("\n")
    assert module.cached() is None


def test_a_build_that_fails_says_what_the_compiler_said(module: GoModule) -> None:
    broken = _module(module.directory, {"gone": "cmd/there-is-no-such-command"})
    with pytest.raises(LabError, match=r"(?s)the tool could not be built.*there-is-no-such"):
        broken.binaries()
    assert broken.cached() is None


@pytest.mark.parametrize(
    ("version", "words"), [(None, "is not installed"), ("go1.23.4", "go is go1.23.4")]
)
def test_without_a_go_that_fits_one_line_says_so(
    module: GoModule,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    version: str | None,
    words: str,
) -> None:
    tools = tmp_path / "path"
    tools.mkdir()
    if version is not None:
        go = tools / "go"
        go.write_text(f"#!/bin/sh\necho {version}\n")
        go.chmod(0o755)
    monkeypatch.setenv("PATH", str(tools))
    if version is None:
        monkeypatch.setattr("fairlead.lab.gomodule.shutil.which", lambda *_, **__: None)
    with pytest.raises(LabUnavailable, match=words) as raised:
        module.binaries()
    assert "\n" not in str(raised.value)


def test_the_version_is_the_one_of_the_module(module: GoModule) -> None:
    text = "module example.org/tools\n\nrequire example.org/one/two v1.2.3 // indirect\n"
    (module.directory / "go.mod").write_text(text.replace("require ", "require (\n\t") + ")\n")
    assert module.version("example.org/one/two") == "v1.2.3"
    assert os.sep not in module.version("example.org/one/two")
