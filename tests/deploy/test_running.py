"""The install page on a real cluster: its commands, its example, and that it is removed again.

Controller and agents run as the manifests say: as pods, as their users, with their service accounts
and no other rights.
"""

import http.client
import os
import re
import shlex
import urllib.request
from collections.abc import Iterator
from functools import partial

import pytest

from fairlead.lab.kubernetes import KubernetesLab

from ..kube import eventually
from .rendered import NAMESPACE, ROOT

pytestmark = pytest.mark.root
PAGE = (ROOT / "docs" / "install.md").read_text()
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


def _logs(lab: KubernetesLab) -> str:
    """What all pods of Fairlead said."""
    pods = lab.kubectl("get", "pods", "-n", NAMESPACE, "-o", "name").stdout.split()
    whole = ("logs", "-n", NAMESPACE, "--all-containers", "--prefix")
    return "\n".join(lab.kubectl(*whole, pod, check=False).stdout for pod in pods)


def _start(lab: KubernetesLab) -> None:
    """Run the commands of the quick start."""
    env = {**os.environ, **lab.control.environment, "PATH": lab.control.path}
    done = lab["control"].run(["sh", "-eu"], input=_commands("sh"), env=env, timeout=200)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}{_logs(lab)}"


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
    assert eventually(partial(_answers, lab, address)), _logs(lab)
    assert len(_holders(lab, address)) == 1
    assert "orbidden" not in _logs(lab)
    together = lab.kubectl("get", "fairlead", "-o", "name").stdout.split()
    assert together == [
        "addresspool.fairlead.dev/lan",
        "engine.fairlead.dev/node-1",
        "engine.fairlead.dev/node-2",
        "virtualip.fairlead.dev/192.0.2.10",
    ]


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
    assert eventually(partial(_answers, lab, "192.0.2.11")), _logs(lab)
    assert second() == "192.0.2.11"
