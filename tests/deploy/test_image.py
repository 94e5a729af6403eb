"""The steps of the container file that Python can take without a container, one by one.

There is no container daemon here, so the image itself is never built: the wheel and the virtual
environment are, from the files that the build gets, by the commands that it runs.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fairlead

from .rendered import DEPLOY, ROOT

TEXT = (DEPLOY / "Containerfile").read_text()


def _steps() -> list[str]:
    """What the build stage runs, without the packages of Debian."""
    build = TEXT.split("\nFROM ")[1].replace("\\\n", "")
    runs = [line.removeprefix("RUN ") for line in build.splitlines() if line.startswith("RUN ")]
    return [step.strip() for run in runs if "apt-get" not in run for step in run.split("&&")]


def _copied() -> list[str]:
    copies = re.findall(r"^COPY (?!--from)(.*) \S+$", TEXT, re.MULTILINE)
    return [name for line in copies for name in line.split()]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_image_has_a_working_fairlead(tmp_path: Path) -> None:
    context = tmp_path / "build"
    context.mkdir()
    for name in _copied():
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, context / name, ignore=ignored)
        else:
            shutil.copy(source, context / name)
    place = tmp_path / "fairlead"
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3").symlink_to(Path(sys.executable).resolve())
    steps = _steps()
    assert len(steps) == 6
    for step in steps:
        here = step.replace("/opt/fairlead", str(place))
        done = subprocess.run(
            ["/bin/sh", "-ec", here],
            cwd=context,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{step}: {done.stdout}{done.stderr}"
    for command in ("fairlead", "kubectl-fairlead"):
        said = subprocess.run(
            [str(place / "bin" / command), "version"],
            capture_output=True,
            text=True,
            check=True,
            cwd="/",
        )
        assert said.stdout == f"fairlead {fairlead.__version__}\n"
    said = subprocess.run(
        [str(place / "bin" / "fairlead"), "crds", "--ako"],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
    )
    assert said.stdout.count("kind: CustomResourceDefinition\n") == 5
    assert not list(place.glob("lib/*/site-packages/hatchling"))


def test_the_controller_of_the_image_is_not_root() -> None:
    serve = TEXT.split("\nFROM ")[-1]
    assert re.search(r"^USER 65532:65532$", serve, re.MULTILINE)
    assert re.search(r'^ENTRYPOINT \["fairlead"\]$', serve, re.MULTILINE)
    assert "PATH=/opt/fairlead/bin:$PATH" in serve
