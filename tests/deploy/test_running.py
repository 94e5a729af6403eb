"""The install page on a real cluster: its commands, its example, and that it is removed again.

Controller and agents run as the manifests say: as pods, as their users, with their service accounts
and no other rights.
"""

import http.client
import json
import os
import re
import shlex
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from functools import partial
from typing import Self

import pytest

from fairlead.lab import Host
from fairlead.lab.kubernetes import KubernetesLab

from ..kube import eventually
from .rendered import NAMESPACE, ROOT

pytestmark = pytest.mark.root
PAGE = (ROOT / "docs" / "install.md").read_text()
SLACK = 1.5
"""Seconds that a busy machine may add."""
START = PAGE.partition("## Quick start")[2].partition("\n## ")[0]


def _commands(language: str) -> str:
    """The first block of the quick start in a language."""
    found = re.search(rf"^```{language}\n(.*?)^```$", START, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def _address(lab: KubernetesLab, service: str = "web") -> str:
    """What a Service shows."""
    path = "jsonpath={.status.loadBalancer.ingress[*].ip}"
    return lab.kubectl("get", "service", service, "-o", path).stdout


def _answers(lab: KubernetesLab, address: str) -> bool:
    """Whether a client on the network gets the page of the example's Deployment."""
    return lab["client"].call(_fetch, f"http://{address}/") == http.client.OK


def _fetch(url: str) -> int:
    """The HTTP status; 0 where nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return int(answer.status)
    except OSError:
        return 0


class Asking:
    """A client that opens connection after connection, each with a question. `answers` is how many
    were answered, `longest` the time between two of them, in seconds."""

    def __init__(self, host: Host, address: str) -> None:
        self.answers, self.longest = 0, 0.0
        self._host, self._address = host, address
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="asking", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        last = time.monotonic()
        with self._host.entered():
            while not self._stop.wait(0.01):
                if asked(self._address):
                    now = time.monotonic()
                    self.longest = max(self.longest, now - last) if self.answers else 0.0
                    self.answers, last = self.answers + 1, now


def asked(address: str) -> bool:
    """Whether somebody answers a new TCP connection to port 80."""
    try:
        with socket.create_connection((address, 80), timeout=0.25) as connection:
            connection.sendall(b"HEAD / HTTP/1.0\r\n\r\n")
            return connection.recv(5) == b"HTTP/"
    except OSError:
        return False


def logs(lab: KubernetesLab) -> str:
    """What all pods of Fairlead said."""
    pods = lab.kubectl("get", "pods", "-n", NAMESPACE, "-o", "name").stdout.split()
    whole = ("logs", "-n", NAMESPACE, "--all-containers", "--prefix")
    return "\n".join(lab.kubectl(*whole, pod, check=False).stdout for pod in pods)


def _start(lab: KubernetesLab) -> None:
    """Run the commands of the quick start."""
    env = {**os.environ, **lab.control.environment, "PATH": lab.control.path}
    done = lab["control"].run(["sh", "-eu"], input=_commands("sh"), env=env, timeout=200)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}{logs(lab)}"


@pytest.fixture(scope="module")
def lab() -> Iterator[KubernetesLab]:
    """A cluster of two nodes, with a client on their network, after the quick start."""
    with KubernetesLab(nodes=2) as made, pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        _start(made)
        made.apply(_commands("yaml"))
        yield made


def _holders(lab: KubernetesLab, address: str) -> list[str]:
    """The nodes that have an address."""
    shown = {name: lab[name].run(["ip", "-o", "address"]).stdout for name in lab.nodes}
    return [name for name, text in shown.items() if f" {address}/" in text]


def test_the_page_works_as_it_is_written(lab: KubernetesLab) -> None:
    address = eventually(partial(_address, lab))
    assert address == "192.0.2.10"
    assert eventually(partial(_answers, lab, address)), logs(lab)
    assert len(_holders(lab, address)) == 1
    assert "orbidden" not in logs(lab)
    together = lab.kubectl("get", "fairlead", "-o", "name").stdout.split()
    assert together == [
        "addresspool.fairlead.dev/lan",
        "engine.fairlead.dev/node-1",
        "engine.fairlead.dev/node-2",
        "virtualip.fairlead.dev/192.0.2.10",
    ]


def _pin(lab: KubernetesLab, node: str) -> None:
    """Have the pods of the example on one node; returns when they are there and nowhere else."""
    chosen = {"kubernetes.io/hostname": node}
    patch = {"spec": {"template": {"spec": {"nodeSelector": chosen}}}}
    lab.kubectl("patch", "deployment", "web", "-p", json.dumps(patch))
    lab.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    listed = ("get", "pods", "-l", "app=web", "-o", "jsonpath={.items[*].spec.nodeName}")
    assert eventually(lambda: lab.kubectl(*listed).stdout.split() == [node, node])


def test_a_node_that_fails_is_survived(lab: KubernetesLab) -> None:
    """With two nodes: the fence of the other one notices, its agent's Lease says that it may go on.
    Without them this takes as long as Kubernetes needs to give a node up."""
    address = "192.0.2.10"
    (holder,) = _holders(lab, address)
    (other,) = set(lab.nodes) - {holder}
    _pin(lab, other)
    assert eventually(partial(_answers, lab, address))
    with Asking(lab["client"], address) as client:
        assert eventually(lambda: client.answers > 20)
        lab.nodes[holder].fail()
        failed = client.answers
        assert eventually(lambda: client.answers > failed + 20), logs(lab)
        assert other in _holders(lab, address)
    print(f"a node failed: {client.longest:.2f} s without an answer")
    assert client.longest < 2.0 + SLACK
    leases = lab.kubectl("get", "leases", "-n", NAMESPACE, "-o", "name").stdout
    assert "lease.coordination.k8s.io/fairlead-cell-" in leases
    lab.nodes[holder].recover()
    lab.nodes[holder].wait_ready()
    _wait_for_agents(lab)
    assert eventually(lambda: len(_holders(lab, address)) == 1), logs(lab)
    assert "orbidden" not in logs(lab)


def _wait_for_agents(lab: KubernetesLab) -> None:
    status = ("rollout", "status", "daemonset/fairlead-agent", "--timeout=90s")
    lab.kubectl("-n", NAMESPACE, *status, timeout=100)


def test_agents_are_replaced_without_a_pause(lab: KubernetesLab) -> None:
    """Node by node, as an upgrade does it: each hands over before it ends."""
    address = "192.0.2.10"
    with Asking(lab["client"], address) as client:
        assert eventually(lambda: client.answers > 20)
        lab.kubectl("-n", NAMESPACE, "rollout", "restart", "daemonset/fairlead-agent")
        _wait_for_agents(lab)
    print(f"agents were replaced: {client.longest:.2f} s without an answer")
    assert client.longest < SLACK


def test_what_is_removed_and_installed_again_has_its_address(lab: KubernetesLab) -> None:
    """The address is not the first free one, so it is not so by chance."""
    pool, _, service = _commands("yaml").split("---\n")
    lab.apply(service.replace("name: web", "name: second", 1))
    second = partial(_address, lab, "second")
    assert eventually(second) == "192.0.2.11"
    assert eventually(partial(_answers, lab, "192.0.2.11"))
    lab.kubectl("delete", "service", "web")

    lab.kubectl("delete", "-n", NAMESPACE, "deployment,daemonset", "--all")
    assert eventually(lambda: _holders(lab, "192.0.2.11") == [])
    assert "192.0.2.11" in lab.kubectl("get", "fvip").stdout
    remove = re.search(r"`(kubectl delete crd [^`]*)`", PAGE)
    assert remove is not None
    lab.kubectl(*shlex.split(remove[1])[1:], timeout=100)
    lab.kubectl("delete", "-f", "deploy/install.yaml", "--ignore-not-found", timeout=100)
    assert "fairlead" not in lab.kubectl("get", "crd,clusterroles,namespaces").stdout
    assert second() == "192.0.2.11"

    lab.kubectl("apply", "--server-side", "-f", "deploy/crds")
    lab.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd", "--all")
    lab.apply(pool)
    _start(lab)
    assert eventually(partial(_answers, lab, "192.0.2.11")), logs(lab)
    assert second() == "192.0.2.11"
