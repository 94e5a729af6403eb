"""One network for all tests of the driver, and a fresh driver on it for each."""

from collections.abc import Iterator

import pytest

from fairlead.drivers.nft.driver import NftDriver
from tests.drivers.nft.net import Net, Servers, User, warm_up


@pytest.fixture(scope="session")
def net() -> Iterator[Net]:
    """The namespaces."""
    made = Net()
    try:
        made.up()
        yield made
    finally:
        made.down()


@pytest.fixture(scope="session")
def servers(net: Net) -> Iterator[Servers]:
    """The pods, answering."""
    running = Servers(net)
    warm_up(net)
    yield running
    running.close()


@pytest.fixture
def user(net: Net, servers: Servers) -> User:
    """The client."""
    return User(net)


@pytest.fixture
def driver(net: Net) -> Iterator[NftDriver]:
    """A driver of ``engine``."""
    yield from _driver(net, "engine")


@pytest.fixture
def other(net: Net) -> Iterator[NftDriver]:
    """A driver of ``other``."""
    yield from _driver(net, "other")


def _driver(net: Net, host: str) -> Iterator[NftDriver]:
    made = NftDriver(netns=net.ns(host))
    yield made
    made.withdraw()
    made.close()
    net.nft(host, "flush ruleset\n")
    net.inside(host, "conntrack", "-F")
