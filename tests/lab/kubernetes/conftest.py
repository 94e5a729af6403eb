"""One cluster for all tests of a file; who breaks its nodes mends them."""

from collections.abc import Iterator

import pytest

from fairlead.lab.kubernetes import KubernetesLab
from tests.kube import drop_namespace, make_namespace


@pytest.fixture(scope="module")
def cluster() -> Iterator[KubernetesLab]:
    """Two nodes with kube-proxy, and a client."""
    with KubernetesLab(nodes=2) as lab:
        yield lab


@pytest.fixture
def place(cluster: KubernetesLab) -> Iterator[str]:
    """A namespace of that cluster for one test; pods can be made in it."""
    name = make_namespace(cluster.control)
    yield name
    drop_namespace(cluster.control, name)
