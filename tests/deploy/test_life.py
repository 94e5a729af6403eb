"""Install, upgrade and removal on a real API server, by Helm and by kubectl."""

import json
from collections.abc import Iterator

import pytest

from fairlead.lab.kubernetes import ControlPlane

from ..kube import eventually, make_namespace
from .conftest import install, wait_in_force
from .rendered import CHART, DEPLOY, NAMESPACE, find, objects, run_helm, template
from .test_chart import VARIANTS

PLAIN = DEPLOY / "install.yaml"
LEDGER = {
    "apiVersion": "fairlead.dev/v1alpha1",
    "kind": "VirtualIP",
    "metadata": {"name": "192.0.2.1"},
    "spec": {
        "address": "192.0.2.1",
        "group": {"dialect": "fairlead", "scope": "Service", "name": "web"},
    },
}
NODE = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"name": "one", "labels": {"kubernetes.io/os": "linux"}},
}
SERVER_SIDE = ("apply", "--server-side", "--validate=strict")
CLUSTER_WIDE = "clusterroles,clusterrolebindings,validatingadmissionpolicies"
BINDINGS = "validatingadmissionpolicybindings"


@pytest.fixture
def control() -> Iterator[ControlPlane]:
    """An API server with one node, for one test. Cleaning one would take longer: it needs minutes
    now and then to remove a definition that was made a moment ago."""
    with ControlPlane() as plane:
        plane.apply(NODE)
        yield plane


def _owners(control: ControlPlane) -> list[str]:
    """Of which kinds the owners of the pods are that the controllers made."""
    jsonpath = "jsonpath={range .items[*]}{.metadata.ownerReferences[0].kind} {end}"
    return sorted(control.kubectl("get", "pods", "-n", NAMESPACE, "-o", jsonpath).stdout.split())


def _has_pods(control: ControlPlane) -> bool:
    return _owners(control) == ["DaemonSet", "ReplicaSet", "ReplicaSet"]


def _of_fairlead(control: ControlPlane) -> str:
    """What an installation leaves nothing of."""
    label = ("-l", "app.kubernetes.io/name=fairlead", "-o", "name")
    where = control.kubectl(
        "get", "all,cm,sa,secrets,roles,rolebindings,pdb,netpol", "-A", *label
    ).stdout
    return where + control.kubectl("get", f"{CLUSTER_WIDE},{BINDINGS}", *label).stdout


def _helm(control: ControlPlane, verb: str, *arguments: str) -> str:
    where = ("--namespace", NAMESPACE)
    done = run_helm(verb, "fairlead", *arguments, *where, kubeconfig=control.kubeconfig)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _key(control: ControlPlane) -> str:
    """What fences authenticate each other by."""
    path = "jsonpath={.data.key}"
    return control.kubectl("get", "secret", "fairlead-fence", "-n", NAMESPACE, "-o", path).stdout


def test_helm_removes_all_but_the_ledger_and_finds_it_again(control: ControlPlane) -> None:
    notes = install(control)
    assert "spec.loadBalancerClass: fairlead.dev/vip" in notes
    assert eventually(lambda: _has_pods(control)), _owners(control)
    control.apply(LEDGER)
    key = _key(control)

    more = ("--set=config.dataplane=nft", "--set=config.handleUnclassed=true")
    assert "without a class are served" in _helm(control, "upgrade", str(CHART), *more)
    role = control.kubectl("get", "clusterrole", "fairlead-agent", "-o", "json").stdout
    assert '"services"' in role
    assert _key(control) == key != ""

    _helm(control, "uninstall", "--wait")
    assert _of_fairlead(control) == ""
    assert "192.0.2.1" in control.kubectl("get", "fvip").stdout
    install(control)
    assert "192.0.2.1" in control.kubectl("get", "fvip").stdout


def _versions(control: ControlPlane) -> dict[str, str]:
    """The generation of what has one, else the resourceVersion."""
    said = control.kubectl("get", "-f", str(PLAIN), "-o", "json").stdout
    metas = [(one["kind"], one["metadata"]) for one in json.loads(said)["items"]]
    return {
        f"{kind}/{meta['name']}": str(meta.get("generation") or meta["resourceVersion"])
        for kind, meta in metas
    }


@pytest.mark.timeout(400)
def test_kubectl_installs_and_removes_the_plain_manifests(control: ControlPlane) -> None:
    done = control.kubectl(*SERVER_SIDE, "-f", str(PLAIN))
    assert done.stdout.count("serverside-applied") == len(objects(PLAIN.read_text()))
    assert done.stderr == ""
    wait_in_force(control)
    assert eventually(lambda: _has_pods(control)), _owners(control)

    versions = _versions(control)
    control.kubectl(*SERVER_SIDE, "-f", str(PLAIN))
    assert _versions(control) == versions

    # Kubernetes empties a namespace after pauses that double when kinds vanish with it.
    control.kubectl("delete", "-f", str(PLAIN), timeout=300)
    assert _of_fairlead(control) == ""
    assert control.kubectl("get", "crd", "-o", "name").stdout == ""


def test_every_variant_passes_the_validation_of_the_server(control: ControlPlane) -> None:
    control.kubectl("create", "namespace", NAMESPACE)
    for folder in (DEPLOY / "crds", DEPLOY / "crds" / "ako"):
        control.kubectl(*SERVER_SIDE, "-f", str(folder))
    for arguments in VARIANTS.values():
        text = template(*arguments)
        done = control.kubectl(*SERVER_SIDE, "--dry-run=server", "-f", "-", input=text)
        assert done.stdout.count("(server dry run)") == len(objects(text))
        assert done.stderr == ""


def test_pods_of_the_controller_may_run_where_pods_are_restricted(installed: ControlPlane) -> None:
    """The strictest of the Pod Security Standards takes the controller, and not the agent."""
    namespace = make_namespace(installed, "restricted")
    label = "pod-security.kubernetes.io/enforce=restricted"
    installed.kubectl("label", "namespace", namespace, label)
    for kind, name, allowed in (
        ("Deployment", "fairlead-controller", True),
        ("DaemonSet", "fairlead-agent", False),
    ):
        spec = find(template(), kind, name)["spec"]["template"]["spec"]
        spec = {**spec, "serviceAccountName": "default"}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
        create = ("create", "--dry-run=server", "-n", namespace, "-f", "-")
        done = installed.kubectl(*create, input=json.dumps(pod), check=False)
        assert (done.returncode == 0) == allowed, done.stderr
        assert ("violates PodSecurity" in done.stderr) != allowed
    installed.kubectl("delete", "namespace", namespace, "--wait=false")
