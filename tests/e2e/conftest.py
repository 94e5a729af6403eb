"""One lab for all tests of a file, and in it a user and a `fairlead up` for each test."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairlead.lab import Hosts, Lab, Topology, cluster
from fairlead.lab.layout import DEFAULT_LAN

from .asking import User
from .serving import Up
from .showing import Process, Spawn


@pytest.fixture(scope="module")
def topology() -> Topology:
    """Two clients, an engine, two nodes and three pods; both families, and kube-vip's subnet. A
    file may have another."""
    return cluster(
        lan=[*DEFAULT_LAN, "192.168.0.0/24"],
        clients=2,
        engines=1,
        nodes=2,
        pods=3,
        sctp=(9000,),
    )


@pytest.fixture(scope="module")
def lab(topology: Topology) -> Iterator[Hosts]:
    """The network."""
    with Lab(topology) as hosts:
        yield hosts


@pytest.fixture
def user(lab: Hosts) -> User:
    """Somebody on the first client, who does not remember who had which address before."""
    lab["client"].ip("neigh", "flush", "dev", "lan")
    return User(lab["client"])


@pytest.fixture
def up(lab: Hosts, tmp_path: Path) -> Iterator[Up]:
    """`fairlead up` on the engine, not started yet; what it said is shown when a test fails."""
    process = Up(lab["engine-1"], tmp_path)
    yield process
    print(process.said())
    process.end()


@pytest.fixture
def spawn() -> Iterator[Spawn]:
    """`spawn("demo")`: the command as a process, ended with the test."""
    started: list[Process] = []

    def start(*arguments: str) -> Process:
        process = subprocess.Popen(
            [sys.executable, "-m", "fairlead", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()  # not kill: it has a network to take down
        process.communicate(timeout=30)
