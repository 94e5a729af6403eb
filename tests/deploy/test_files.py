"""The files of `deploy/` are what the code and the chart make."""

import re
from pathlib import Path

import pytest
import yaml

import fairlead

from .rendered import CHART, DEPLOY, ROOT, files

CONTAINERFILE = DEPLOY / "Containerfile"
NOT_SERVED_WITH = {"dnsmasq-base", "keepalived", "miniupnpd-nftables", "openssl", "python3-venv"}
"""What only a build or the lab needs."""


def test_the_files_are_those_that_the_code_makes(update_golden: bool) -> None:
    stale = []
    for name, text in files():
        path = DEPLOY / name
        if update_golden:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            stale.append(name)
    assert stale == [], "stale: run 'make golden'"


@pytest.mark.parametrize("folder", [DEPLOY / "crds", CHART / "crds"], ids=["deploy", "chart"])
def test_no_definition_lies_there_that_the_code_does_not_make(folder: Path) -> None:
    made = {DEPLOY / name for name, _ in files()}
    assert {path for path in folder.rglob("*") if path.is_file()} <= made


def test_the_chart_is_of_this_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == fairlead.__version__


def _installed(text: str) -> set[str]:
    """The Debian packages that a Containerfile installs."""
    found = re.findall(r"apt-get install ((?:--\S+ )*)([a-z0-9. -]+)", text)
    return {name for _, names in found for name in names.split()}


def test_the_image_has_the_packages_that_fairlead_needs() -> None:
    known = {
        line
        for line in (ROOT / "packages.txt").read_text().split("\n")
        if line[:1] not in {"", "#"}
    }
    build, serve = CONTAINERFILE.read_text().split("\nFROM ")[-2:]
    assert _installed(build) == {"ca-certificates", "python3", "python3-venv"}
    assert _installed(serve) == known - NOT_SERVED_WITH | {"ca-certificates"}


def test_the_image_is_named_as_the_chart_asks_for_it() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    name = f"{values['image']['repository']}:{fairlead.__version__}"
    assert f"-t {name} ." in CONTAINERFILE.read_text().splitlines()[0]


def test_the_build_gets_every_file_it_copies() -> None:
    ignored = (DEPLOY / "Containerfile.dockerignore").read_text().splitlines()
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", CONTAINERFILE.read_text(), re.MULTILINE)
    names = {name for line in copied for name in line.split()}
    assert names == {line[1:] for line in ignored if line.startswith("!")}
    assert all((ROOT / name).exists() for name in names)
