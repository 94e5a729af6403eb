"""What the two accounts are kept from although RBAC cannot say it, and that they can still work.

The cluster is an older one: its AviInfraSettings are v1alpha1 and have no status of their own.
"""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import yaml

from fairlead.lab.kubernetes import ControlPlane
from fairlead.publish.crds import ako_definitions, definitions

from ..cluster import COMMAND
from ..kube import eventually
from .rendered import KEPT_APART, NAMESPACE, objects, template

Object = dict[str, Any]
STATUS_ONLY = "the status of a setting, and nothing else"


def _older() -> Object:
    """AKO's definition as it was before there was a v1beta1."""
    definition = json.loads(json.dumps(ako_definitions()[0]))
    (version,) = [one for one in definition["spec"]["versions"] if one["name"] == "v1alpha1"]
    del version["subresources"]
    definition["spec"]["versions"] = [{**version, "storage": True}]
    return dict(definition)


def _setting(name: str, **more: Any) -> Object:
    return {
        "apiVersion": "ako.vmware.com/v1alpha1",
        "kind": "AviInfraSetting",
        "metadata": {"name": name},
        "spec": {"l7Settings": {"shardSize": "SMALL"}},
        **more,
    }


@pytest.fixture(scope="module")
def older() -> Iterator[ControlPlane]:
    """An API server without controllers, on which Fairlead is installed and nothing runs."""
    with ControlPlane(controllers=()) as control:
        control.kubectl("create", "namespace", NAMESPACE)
        control.apply([*definitions(), _older()])
        control.kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd", "--all")
        control.apply(objects(template(KEPT_APART)))
        control.apply([_setting("one"), _setting("two"), _setting("three")])
        config = control.service_account_kubeconfig(NAMESPACE, "fairlead-controller")
        values = count()
        assert eventually(lambda: STATUS_ONLY in _labelled(control, config, next(values)))
        yield control


def _labelled(control: ControlPlane, config: Path, value: int) -> str:
    """What the API server has against a label, which passes until the policy is in force."""
    labels = {"name": "three", "labels": {"value": str(value)}}
    return _written(control, config, _setting("three", metadata=labels))


@contextmanager
def _controller(control: ControlPlane, log: Path) -> Iterator[None]:
    """`fairlead controller` with its own account."""
    config = control.service_account_kubeconfig(NAMESPACE, "fairlead-controller")
    argv = [*COMMAND, "controller", "--kubeconfig", str(config), "--identity", "here"]
    with log.open("wb") as out:
        process = subprocess.Popen([*argv, "--listen", "127.0.0.1:0"], stderr=out)
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


def _status(control: ControlPlane, name: str) -> str:
    path = "jsonpath={.status.status}"
    return control.kubectl("get", "aviinfrasetting", name, "-o", path).stdout


def _written(control: ControlPlane, config: Path, written: Object) -> str:
    """What the API server has against an object that is made or changed with these credentials."""
    apply = ("apply", "--server-side", "--force-conflicts", "-f", "-")
    done = control.kubectl(*apply, input=json.dumps(written), kubeconfig=config, check=False)
    return done.stderr


@pytest.mark.parametrize(
    "change",
    [
        {"spec": {"l7Settings": {"shardSize": "LARGE"}}},
        {"metadata": {"name": "two", "labels": {"a": "b"}}},
        {"metadata": {"name": "two", "annotations": {"a": "b"}}},
        {"metadata": {"name": "two", "finalizers": ["a.b/c"]}},
    ],
    ids=["spec", "label", "annotation", "finalizer"],
)
def test_the_controller_changes_nothing_but_the_status(older: ControlPlane, change: Object) -> None:
    config = older.service_account_kubeconfig(NAMESPACE, "fairlead-controller")
    changed = {**_setting("two"), "status": {"status": "Rejected"}, **change}
    assert STATUS_ONLY in _written(older, config, changed)


def test_a_setting_without_a_status_of_its_own_gets_one(
    older: ControlPlane, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with _controller(older, log):
        accepted = partial(_status, older, "one")
        assert eventually(accepted, timeout=40) == "Accepted", log.read_text()
    assert "orbidden" not in log.read_text()


def test_others_may_change_settings(older: ControlPlane) -> None:
    changed = _setting("two", spec={"l7Settings": {"shardSize": "LARGE"}})
    assert _written(older, older.kubeconfig, changed) == ""


def _lease(name: str) -> Object:
    api = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
    return {**api, "metadata": {"name": name, "namespace": NAMESPACE}, "spec": {}}


def test_an_agent_writes_leases_of_cells_and_no_other(older: ControlPlane) -> None:
    """Although it may create and update any in its namespace, as far as RBAC goes."""
    config = older.service_account_kubeconfig(NAMESPACE, "fairlead-agent")

    def said(verb: str, name: str) -> str:
        text = json.dumps(_lease(name))
        return older.kubectl(verb, "-f", "-", input=text, kubeconfig=config, check=False).stderr

    words = "Leases of cells, and no other"
    assert eventually(lambda: words in said("create", "mine"))
    older.apply(_lease("fairlead-controller"))
    assert words in said("replace", "fairlead-controller")
    assert said("create", "fairlead-cell-0a1b") == ""
    assert said("replace", "fairlead-cell-0a1b") == ""


@pytest.fixture(scope="module")
def on_node(older: ControlPlane) -> Path:
    """What the agent's pod on the node `one` authenticates with."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "agent", "namespace": NAMESPACE},
        "spec": {
            "nodeName": "one",
            "serviceAccountName": "fairlead-agent",
            "containers": [{"name": "agent", "image": "fairlead"}],
        },
    }
    older.apply([{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "one"}}, pod])
    bound = ("--bound-object-kind=Pod", "--bound-object-name=agent")
    token = older.kubectl("-n", NAMESPACE, "create", "token", "fairlead-agent", *bound).stdout
    plain = older.service_account_kubeconfig(NAMESPACE, "fairlead-agent")
    known = yaml.safe_load(plain.read_text())
    known["users"][0]["user"] = {"token": token.strip()}
    config = plain.with_name("agent-on-one.kubeconfig")
    config.touch(mode=0o600)
    config.write_text(yaml.safe_dump(known))
    return config


def _engine(name: str) -> Object:
    api = {"apiVersion": "fairlead.dev/v1alpha1", "kind": "Engine"}
    return {**api, "metadata": {"name": name}, "spec": {"count": 0}}


def test_an_agent_writes_the_engine_of_its_own_node(older: ControlPlane, on_node: Path) -> None:
    words = "what its own node holds"
    assert eventually(lambda: words in _written(older, on_node, _engine("two")))
    own = partial(_written, older, on_node, _engine("one"))
    assert own() == ""
    assert own() == ""
