"""One cluster for all tests of a file; agents and a namespace for each test."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from fairlead.lab.kubernetes import KubernetesLab
from tests.kube import drop_namespace, make_namespace

from ..asking import User
from .agents import Agent, Site, install

_NUMBERS = count(50)


@pytest.fixture(scope="module")
def cluster() -> Iterator[KubernetesLab]:
    """Two nodes with kube-proxy, and a client."""
    with KubernetesLab(nodes=2) as lab:
        yield lab


@pytest.fixture(scope="module")
def kubeconfig(cluster: KubernetesLab) -> Path:
    """What an agent knows of the cluster."""
    return install(cluster)


@pytest.fixture
def agents(cluster: KubernetesLab, kubeconfig: Path, tmp_path: Path) -> Iterator[dict[str, Agent]]:
    """The agents of the nodes, not started yet; what they said is shown when a test fails."""
    made = {name: Agent(cluster[name], tmp_path, kubeconfig) for name in cluster.nodes}
    yield made
    for name, one in made.items():
        print(f"--- {name}\n{one.text()}")
        one.end()


@pytest.fixture
def site(cluster: KubernetesLab) -> Iterator[Site]:
    """A namespace with nothing in it yet."""
    name = make_namespace(cluster.control)
    made = Site(cluster, name)
    yield made
    made.end()
    drop_namespace(cluster.control, name)


@pytest.fixture
def user(cluster: KubernetesLab) -> User:
    """Somebody on the client, who does not remember who had which address before."""
    cluster["client"].ip("neigh", "flush", "dev", "lan")
    return User(cluster["client"])


@pytest.fixture
def vips() -> tuple[str, str]:
    """Two addresses that no test before had: kube-proxy may still know its Service."""
    number = next(_NUMBERS)
    return f"192.0.2.{number}", f"fd00:2::{number:x}"
