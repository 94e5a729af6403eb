"""One lab for all tests of a file that only ask questions; what changes a lab builds its own."""

from collections.abc import Iterator

import pytest

from fairlead.lab import Hosts, Lab, cluster


@pytest.fixture(scope="module")
def lab() -> Iterator[Hosts]:
    topology = cluster(
        engines=2,
        edges=1,
        nodes=1,
        pods=2,
        sctp=(9000,),
        clients_via="engine-1",
        pods_via="engine-1",
    )
    with Lab(topology) as hosts:
        yield hosts
