"""Promises of the repository itself: one version, and pins that say what, never from where."""

import importlib.metadata
import re
from pathlib import Path

import pytest

import fairlead

ROOT = Path(__file__).parent.parent
PIN = re.compile(r"[a-z0-9][a-z0-9._-]*==[A-Za-z0-9.+!]+( ; [^/@]+)?( --hash=sha256:[0-9a-f]{64})+")


def test_the_installed_version_is_the_one_in_the_source() -> None:
    assert importlib.metadata.version("fairlead") == fairlead.__version__


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_requirement_is_a_version_with_hashes_and_no_origin(name: str) -> None:
    text = re.sub(r"^ *#.*\n", "", (ROOT / name).read_text(), flags=re.MULTILINE)
    pins = re.sub(r" *\\\n *", " ", text).splitlines()
    assert len(pins) > 10
    assert [pin for pin in pins if not PIN.fullmatch(pin)] == []


def test_the_project_depends_on_what_is_pinned() -> None:
    asked = [line for line in (ROOT / "requirements.in").read_text().splitlines() if line[0] != "#"]
    declared = importlib.metadata.requires("fairlead") or []
    assert sorted(map(_distribution, declared)) == sorted(map(_distribution, asked))


def _distribution(requirement: str) -> str:
    return re.split(r"[>=; ]", requirement)[0].lower()
