"""What every test shares: the switch that rewrites golden files, the marker `root`, an API server.

A test marked `root` makes network namespaces and nftables tables. Without root it is skipped with
the reason in pytest's summary, and `make test` then fails with a line saying so: nothing is left
out silently.
"""

import os
from collections.abc import Iterator

import pytest

from fairlead.lab.kubernetes import ControlPlane

from .kube import drop_namespace, make_namespace

NEEDS_ROOT = pytest.mark.skip(reason="needs root: run 'sudo make test'")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--update-golden`, which makes golden tests write what they would compare."""
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write the golden files anew instead of comparing with them",
    )


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Whether golden files are to be written anew."""
    return bool(request.config.getoption("--update-golden"))


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    """A real API server with its controllers and no nodes, on the loopback address of this machine.

    It is one for all tests: keep to a namespace of your own, and leave nothing behind that belongs
    to none. Who kills a part of it starts a ControlPlane instead.
    """
    with ControlPlane() as control:
        yield control


@pytest.fixture
def kube_namespace(control_plane: ControlPlane) -> Iterator[str]:
    """A namespace of that API server for one test."""
    name = make_namespace(control_plane)
    yield name
    drop_namespace(control_plane, name)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests marked `root`, with the reason, when this is not root."""
    if os.geteuid() == 0:
        return
    for item in items:
        if item.get_closest_marker("root"):
            item.add_marker(NEEDS_ROOT)
