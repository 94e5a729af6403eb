"""An API server for the tests of the controller: etcd and kube-apiserver, with our definitions."""

from collections.abc import Iterator

import pytest

from fairlead.lab.kubernetes import ControlPlane

from .cluster import install


@pytest.fixture(scope="session")
def plane() -> Iterator[ControlPlane]:
    """One for all tests that kill no part of it. They run one after another, and each leaves it
    empty."""
    with ControlPlane(controllers=()) as control:
        install(control)
        yield control


@pytest.fixture(scope="module")
def frail() -> Iterator[ControlPlane]:
    """One whose parts are killed; a test leaves it running, with our definitions."""
    with ControlPlane(controllers=()) as control:
        install(control)
        yield control
