"""Fixtures for reading manifests."""

from pathlib import Path

import pytest

from .make import Folder


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """An empty folder of manifests."""
    path = tmp_path / "manifests"
    path.mkdir()
    return Folder(path)
