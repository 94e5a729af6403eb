"""One network for the tests of a file, with fresh engines for each."""

from collections.abc import Iterator

import pytest

from .site import Site, opened


@pytest.fixture(scope="module")
def network() -> Iterator[Site]:
    with opened() as site:
        yield site


@pytest.fixture
def site(network: Site) -> Iterator[Site]:
    yield network
    network.close()
