"""The control plane: real, closed to strangers, breakable part by part, and gone with its owner."""

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairlead.lab import LabError
from fairlead.lab.kubernetes import ControlPlane
from tests.kube import eventually, make_namespace

OWNER = """
import sys, time
from fairlead.lab.kubernetes import ControlPlane
with ControlPlane(controllers=()) as control:
    print(control.directory, control.pid("etcd"), control.pid("kube-apiserver"), flush=True)
    time.sleep(60)
"""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture(scope="module")
def breakable() -> Iterator[ControlPlane]:
    """One whose parts may be killed; without controllers, because they need a while to recover."""
    with ControlPlane(controllers=()) as control:
        yield control


def test_it_is_what_it_says(control_plane: ControlPlane) -> None:
    versions = json.loads(control_plane.kubectl("version", "-o", "json").stdout)
    assert versions["clientVersion"]["gitVersion"] == versions["serverVersion"]["gitVersion"]
    assert b"apiserver_request_total" in control_plane.get("/metrics")
    with pytest.raises(LabError, match="/nonsense: 404"):
        control_plane.get("/nonsense")


def test_services_get_addresses_of_both_families(
    control_plane: ControlPlane, kube_namespace: str
) -> None:
    spec = {"ipFamilyPolicy": "RequireDualStack", "ports": [{"port": 80}]}
    metadata = {"name": "both", "namespace": kube_namespace}
    control_plane.apply({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})
    said = control_plane.kubectl(
        "-n", kube_namespace, "get", "service", "both", "-o", "json"
    ).stdout
    v4, v6 = json.loads(said)["spec"]["clusterIPs"]
    assert "." in v4
    assert v6.startswith("fd00:96::")


def test_users_may_do_what_rbac_says(control_plane: ControlPlane, kube_namespace: str) -> None:
    role = ["-n", kube_namespace, "create", "rolebinding", "viewers", "--clusterrole=view"]
    control_plane.kubectl(*role, "--group=dev/viewers")
    viewer = control_plane.kubeconfig_for("jane", ["dev/viewers"])
    stranger = control_plane.kubeconfig_for("joe")

    def list_services(kubeconfig: Path) -> subprocess.CompletedProcess[str]:
        arguments = ["-n", kube_namespace, "get", "services"]
        return control_plane.kubectl(*arguments, kubeconfig=kubeconfig, check=False)

    assert eventually(lambda: list_services(viewer).returncode == 0)
    assert 'User "joe" cannot list resource "services"' in list_services(stranger).stderr


def test_service_accounts_have_real_tokens(
    control_plane: ControlPlane, kube_namespace: str
) -> None:
    control_plane.kubectl("-n", kube_namespace, "create", "serviceaccount", "robot")
    robot = control_plane.service_account_kubeconfig(kube_namespace, "robot")
    said = control_plane.kubectl("auth", "whoami", "-o", "json", kubeconfig=robot).stdout
    user = json.loads(said)["status"]["userInfo"]
    assert user["username"] == f"system:serviceaccount:{kube_namespace}:robot"
    with pytest.raises(LabError, match=f"no token for {kube_namespace}/nobody: .*not found"):
        control_plane.service_account_kubeconfig(kube_namespace, "nobody")


def test_no_secret_can_be_read_by_others(control_plane: ControlPlane) -> None:
    token = (control_plane.directory / "tokens.csv").read_text().partition(",")[0]
    for component in ("etcd", "kube-apiserver", "kube-controller-manager"):
        command = Path(f"/proc/{control_plane.pid(component)}/cmdline").read_text()
        assert token not in command
    assert stat.S_IMODE(control_plane.directory.stat().st_mode) == 0o700
    kubeconfig = control_plane.kubeconfig
    assert token in kubeconfig.read_text()
    keys = [kubeconfig, control_plane.directory / "tokens.csv"]
    keys += control_plane.directory.glob("pki/*.key")
    assert {stat.S_IMODE(path.stat().st_mode) for path in keys} == {0o600}


def test_controllers_make_endpoint_slices(control_plane: ControlPlane, kube_namespace: str) -> None:
    control_plane.kubectl("-n", kube_namespace, "create", "service", "clusterip", "web", "--tcp=80")
    slices = ["-n", kube_namespace, "get", "endpointslices", "-o", "name"]
    assert eventually(lambda: "endpointslice" in control_plane.kubectl(*slices).stdout)


@pytest.mark.parametrize(
    ("component", "number"),
    [
        ("kube-apiserver", signal.SIGKILL),
        ("kube-apiserver", signal.SIGTERM),
        ("etcd", signal.SIGKILL),
    ],
)
def test_a_part_that_is_killed_comes_back_as_it_was(
    breakable: ControlPlane, component: str, number: signal.Signals
) -> None:
    kept = make_namespace(breakable)
    before = breakable.pid(component)
    breakable.kill(component, number)
    with pytest.raises(LabError, match=f"{component} does not run"):
        breakable.pid(component)
    breakable.start(component)
    breakable.wait_ready()
    assert breakable.pid(component) != before
    assert eventually(
        lambda: kept in breakable.kubectl("get", "namespaces", check=False).stdout, timeout=30
    )


def test_a_part_that_is_paused_is_silent_and_goes_on(breakable: ControlPlane) -> None:
    breakable.pause("kube-apiserver")
    try:
        silent = breakable.kubectl("get", "namespaces", "--request-timeout=300ms", check=False)
        assert silent.returncode != 0
    finally:
        breakable.resume("kube-apiserver")
    breakable.wait_ready()
    assert "default" in breakable.kubectl("get", "namespaces").stdout


def test_a_program_that_does_not_start_says_why() -> None:
    flags = {"kube-apiserver": ["--no-such-flag"]}
    control = ControlPlane(controllers=(), flags=flags)
    with pytest.raises(LabError, match=r"kube-apiserver does not run.*no-such-flag"):
        control.__enter__()
    assert not control.directory.exists()
    with pytest.raises(LabError, match="no program 'nonsense' here, only"):
        control.pid("nonsense")


def test_nothing_is_left_after_a_kill_of_the_owner() -> None:
    argv = [sys.executable, "-c", OWNER]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        directory, *pids = owner.stdout.readline().split()
        assert all(alive(int(pid)) for pid in pids)
        owner.kill()
    assert eventually(lambda: not any(alive(int(pid)) for pid in pids))
    assert Path(directory).exists()
    with ControlPlane(controllers=()) as next_one:
        assert not Path(directory).exists()
        assert next_one.directory.name.split("-")[2] == str(os.getpid())
    assert not next_one.directory.exists()


def test_a_directory_that_was_given_is_kept_and_used_again(tmp_path: Path) -> None:
    for start in ("first", "second"):
        with ControlPlane(tmp_path, controllers=()) as control:
            control.kubectl("create", "namespace", start)
    with ControlPlane(tmp_path, controllers=()) as control:
        assert "first" in control.kubectl("get", "namespaces", "-o", "name").stdout
