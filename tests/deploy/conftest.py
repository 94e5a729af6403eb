"""One API server with the chart installed, for all tests that ask what is allowed and refused."""

import json
from collections.abc import Iterator
from functools import partial

import pytest

from fairlead.lab.kubernetes import ControlPlane

from ..kube import eventually
from .rendered import CHART, NAMESPACE, run_helm


@pytest.fixture(scope="session")
def installed() -> Iterator[ControlPlane]:
    """An API server of its own, because definitions and policies belong to no namespace."""
    with ControlPlane() as control:
        install(control)
        yield control


def install(control: ControlPlane, *arguments: str) -> str:
    """Install the chart with Helm and wait until its kinds and policies are in force; Helm's
    notes."""
    where = ("--namespace", NAMESPACE, "--create-namespace")
    done = run_helm(
        "install", "fairlead", str(CHART), *where, *arguments, kubeconfig=control.kubeconfig
    )
    assert done.returncode == 0, done.stderr
    wait_in_force(control)
    return done.stdout


def wait_in_force(control: ControlPlane) -> None:
    """Wait until the API server serves the kinds and asks the policies."""
    control.kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd", "--all")
    for entry, words in (("127.0.0.1", "VIP can have"), ("x", "is no CIDR")):
        refused = partial(_refused, control, entry, words)
        assert eventually(refused), f"{entry} is taken"


def _refused(control: ControlPlane, entry: str, words: str) -> bool:
    return words in _refusal(control, entry)


def _refusal(control: ControlPlane, entry: str) -> str:
    """What the API server has against a pool with this entry."""
    pool = {
        "apiVersion": "fairlead.dev/v1alpha1",
        "kind": "AddressPool",
        "metadata": {"name": "tried"},
        "spec": {"addresses": [entry]},
    }
    arguments = ("create", "--dry-run=server", "-f", "-")
    return control.kubectl(*arguments, input=json.dumps(pool), check=False).stderr
