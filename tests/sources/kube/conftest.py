"""A control plane of these tests' own: its parts are killed, its definitions come and go."""

import itertools
from collections.abc import Iterator

import pytest

from fairlead.lab.kubernetes import ControlPlane

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def plane() -> Iterator[ControlPlane]:
    """etcd and an API server, without controllers. A test leaves it running."""
    with ControlPlane(controllers=()) as control:
        yield control


@pytest.fixture
def space(plane: ControlPlane) -> str:
    """A namespace of that API server for one test; it goes with the API server."""
    name = f"kube-{next(_numbers)}"
    plane.kubectl("create", "namespace", name)
    return name
