"""`get` and `explain` on a live cluster: a real API server, and a controller that publishes."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import Result

from fairlead.lab.kubernetes import ControlPlane

from ..cluster import (
    SYSTEM,
    address_of,
    installed,
    node,
    pool,
    reading,
    role,
    service,
    start_controller,
)
from ..kube import eventually

Run = Callable[..., Result]
Spawn = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[ControlPlane]:
    """Two Services that are served, one that is rejected, three engines."""
    with installed() as control:
        control.apply([pool(), *map(node, ("n1", "n2", "n3"))])
        odd = service("odd", loadBalancerIP="10.9.9.9")
        control.apply([service("web"), service("api"), odd])
        process = start_controller(control, "publisher")
        try:
            assert eventually(lambda: address_of(control, "api") and address_of(control, "web"))
            yield control
        finally:
            process.kill()
            process.communicate()


@pytest.fixture
def ask(run: Run, cluster: ControlPlane) -> Run:
    """`ask("get", "vips")`: the command, about that cluster."""
    return lambda *arguments: run(*arguments, "--kubeconfig", cluster.kubeconfig)


def test_services_are_listed_with_what_is_published(ask: Run, cluster: ControlPlane) -> None:
    result = ask("get", "services", "-o", "json")
    assert result.exit_code == 0, result.stderr
    found = {one["name"]: one for one in json.loads(result.stdout)}
    assert found["web"]["addresses"] == [address_of(cluster, "web")]
    assert found["odd"]["reason"] == "AddressNotInPool"
    assert "not published" not in result.stderr
    table = ask("get", "svc", "-n", "default").stdout
    assert table.split()[:2] == ["NAME", "TYPE"]


def test_vips_have_the_engines_that_hold_them(ask: Run) -> None:
    vips = json.loads(ask("get", "vips", "-o", "json").stdout)
    assert len(vips) == 2
    for vip in vips:
        active, standby = vip["engines"]["active"], vip["engines"]["standby"]
        assert sorted(active + standby) == ["n1", "n2", "n3"]
        assert len(active) == 1
    assert "AGE" in ask("get", "vips").stdout.splitlines()[0]


def test_an_engine_that_is_not_ready_holds_nothing(ask: Run, cluster: ControlPlane) -> None:
    """Who holds a VIP follows the nodes at once; no VirtualIP is written for it."""
    (vip,) = (v for v in json.loads(ask("get", "vips", "-o", "json").stdout) if "web" in v["group"])
    (holder,) = vip["engines"]["active"]
    down = {"conditions": [{"type": "Ready", "status": "False"}]}
    patch = ("patch", "node", holder, "--subresource=status", "--type=merge", "-p")
    cluster.kubectl(*patch, json.dumps({"status": down}))
    try:
        vips = json.loads(ask("get", "vips", "-o", "json").stdout)
        assert holder not in {name for v in vips for name in v["engines"]["active"]}
        engines = {e["name"]: e for e in json.loads(ask("get", "engines", "-o", "json").stdout)}
        assert not engines[holder]["ready"]
    finally:
        cluster.kubectl(*patch, json.dumps({"status": {"conditions": None}}))


def test_pools_and_rejections(ask: Run) -> None:
    (lan,) = json.loads(ask("get", "pools", "-o", "json").stdout)
    assert lan["families"] == [{"family": "IPv4", "size": 254, "used": 2, "free": 252}]
    (odd,) = json.loads(ask("get", "rejections", "-o", "json").stdout)
    assert odd["object"] == "Service/default/odd"


def test_explain(ask: Run, cluster: ControlPlane) -> None:
    web = ask("explain", "svc/web").stdout
    assert f"Addresses:  {address_of(cluster, 'web')}" in web
    assert "engine" in web
    assert "number 1 in this VIP's order of preference" in web
    assert "10.9.9.9 is in no pool" in ask("explain", "svc/default/odd").stdout
    assert "default/api" in ask("explain", f"vip/{address_of(cluster, 'api')}").stdout
    missing = ask("explain", "svc/default/none")
    assert missing.exit_code == 2
    assert "is not among the objects that were read" in missing.stderr


def test_the_configuration_is_the_clusters(ask: Run, cluster: ControlPlane) -> None:
    assert f"ConfigMap {SYSTEM}/fairlead cannot be read" in ask("get", "svc").stderr
    plain = service("plain")
    del plain["spec"]["loadBalancerClass"]
    data = {"fairlead.yaml": "handleUnclassed: true\nstaticOutsidePools: Allow\n"}
    named = {"name": "fairlead", "namespace": SYSTEM}
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": named, "data": data}
    cluster.apply(plain)
    try:
        ignored = json.loads(ask("explain", "svc/plain", "-o", "json").stdout)
        assert (ignored["state"], ignored["reason"]) == ("Ignored", "ClassMismatch")
        cluster.apply(config)
        result = ask("get", "svc", "-o", "json")
        found = {one["name"]: one for one in json.loads(result.stdout)}
        assert found["odd"]["state"] == found["plain"]["state"] == "Served"
        # the controller goes by another configuration, so it never publishes these
        told = "not published yet: Service/default/odd, Service/default/plain; publisher leads"
        assert told in result.stderr
        assert "cannot be read" not in result.stderr
    finally:
        cluster.kubectl("delete", "service", "plain")
        cluster.kubectl("delete", "configmap", "fairlead", "-n", SYSTEM, "--ignore-not-found")


def test_the_right_to_list_is_enough_and_a_missing_one_is_named(
    run: Run, cluster: ControlPlane
) -> None:
    rules = [
        reading("", "services", "nodes", "namespaces", "configmaps"),
        reading("ako.vmware.com", "*"),
        reading("fairlead.dev", "*"),
    ]
    cluster.apply(role("lister", "listers", rules))
    result = run("get", "svc", "--kubeconfig", cluster.kubeconfig_for("jane", ["listers"]))
    assert result.exit_code == 0
    assert address_of(cluster, "web") in result.stdout
    (note,) = (line for line in result.stderr.splitlines() if "left out" in line)
    assert 'User "jane" cannot list resource "endpointslices"' in note


def test_watch_prints_again_after_a_change(spawn: Spawn, cluster: ControlPlane) -> None:
    process = spawn("get", "svc", "-o", "json", "--watch", "--kubeconfig", cluster.kubeconfig)
    assert process.stdout is not None
    text = process.stdout
    first = json.loads(_block(text))
    assert {one["name"] for one in first} == {"web", "api", "odd"}
    cluster.apply(service("late"))
    try:
        names: set[str] = set()
        while "late" not in names:
            names = {one["name"] for one in json.loads(_block(text))}
    finally:
        cluster.kubectl("delete", "service", "late")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in err


def _block(lines: Iterator[str]) -> str:
    """One JSON list from a stream of them."""
    found: list[str] = []
    for line in lines:
        found.append(line)
        if line == "]\n":
            break
    return "".join(found)


@pytest.fixture
def routed(cluster: ControlPlane) -> Iterator[str]:
    """The address of a Service that is announced by BGP."""
    where = pool("routed", "198.51.100.0/24")
    where["spec"] |= {"announce": "bgp", "autoAssign": False}
    item = service("routed")
    item["metadata"]["annotations"] = {"fairlead.dev/pool": "routed"}
    cluster.apply([where, item])
    try:
        yield str(eventually(lambda: address_of(cluster, "routed")))
    finally:
        cluster.kubectl("delete", "service", "routed")
        cluster.kubectl("delete", "addresspool", "routed")


def test_scale_lasts_whatever_the_controller_writes(
    ask: Run, cluster: ControlPlane, routed: str
) -> None:
    def engines() -> str:
        path = "jsonpath={.spec.engines}"
        return cluster.kubectl("get", "fvip", routed, "-o", path).stdout or "1"

    def ports() -> str:
        path = "jsonpath={.spec.listeners[*].port}"
        return cluster.kubectl("get", "fvip", routed, "-o", path).stdout

    assert engines() == "1"
    result = ask("scale", f"vip/{routed}", "--engines", "3")
    assert result.exit_code == 0, result.stderr
    assert "scaled: 3 engines (on Service/default/routed)" in result.stdout
    assert eventually(lambda: engines() == "3")
    (vip,) = (
        v for v in json.loads(ask("get", "vips", "-o", "json").stdout) if "routed" in v["name"]
    )
    assert vip["engines"]["active"] == ["n1", "n2", "n3"]
    more = {"spec": {"ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81}]}}
    cluster.kubectl("patch", "service", "routed", "--type=merge", "-p", json.dumps(more))
    assert eventually(lambda: ports() == "80 81")
    assert engines() == "3"
    assert ask("scale", f"vip/{routed}", "--engines", "0").exit_code == 0
    assert eventually(lambda: engines() == "1")


def test_a_scale_without_effect_is_refused(ask: Run, cluster: ControlPlane, routed: str) -> None:
    lan = ask("scale", f"vip/{address_of(cluster, 'web')}", "--engines", "2")
    assert lan.exit_code == 2
    assert "an address has one holder" in lan.stderr
    none = ask("scale", "vip/203.0.113.9", "--engines", "2")
    assert none.exit_code == 2
    assert "there is no VirtualIP 203.0.113.9" in none.stderr
    group = {
        "apiVersion": "fairlead.dev/v1alpha1",
        "kind": "EngineGroup",
        "metadata": {"name": "default"},
        "spec": {"maxScale": 2},
    }
    cluster.apply(group)
    try:
        much = ask("scale", f"vip/{routed}", "--engines", "3")
        assert much.exit_code == 2
        assert "EngineGroup default allows 2" in much.stderr
    finally:
        cluster.kubectl("delete", "enginegroup", "default")


def test_engines_and_explain_say_who_holds_what(ask: Run, cluster: ControlPlane) -> None:
    assert "HOLDS" not in ask("get", "engines").stdout
    address = address_of(cluster, "web")
    report = {
        "apiVersion": "fairlead.dev/v1alpha1",
        "kind": "Engine",
        "metadata": {"name": "n2"},
        "spec": {"count": 1, "holds": [address], "problems": ["192.0.2.9: used by somebody"]},
    }
    cluster.apply(report)
    cluster.kubectl("cordon", "n3")
    try:
        engines = {e["name"]: e for e in json.loads(ask("get", "engines", "-o", "json").stdout)}
        assert (engines["n2"]["holds"], engines["n1"]["holds"]) == (1, None)
        assert engines["n2"]["problems"] == ["192.0.2.9: used by somebody"]
        assert [name for name, one in engines.items() if one["leaving"]] == ["n3"]
        table = [line.split() for line in ask("get", "engines").stdout.splitlines()]
        assert table[0] == ["NAME", "READY", "ROLE", "ACTIVE", "STANDBY", "HOLDS", "GROUPS"]
        assert table[2][:2] == ["n2", "True"]
        assert table[2][5] == "1"
        assert table[3][:2] == ["n3", "True,Leaving"]
        for subject in ("svc/web", f"vip/{address}"):
            told = ask("explain", subject).stdout
            assert "Held by:    n2" in told
            assert "its Node is cordoned" in told
        vips = json.loads(ask("get", "vips", "-o", "json").stdout)
        assert [v["engines"]["active"] for v in vips if address in v["addresses"]] == [["n2"]]
    finally:
        cluster.kubectl("uncordon", "n3")
        cluster.kubectl("delete", "fengine", "n2")


def test_kubectl_fairlead(cluster: ControlPlane) -> None:
    """The plugin means the cluster without saying so, in the context of KUBECONFIG."""
    path = f"{Path(sys.executable).parent}:{cluster.path}"
    environment = {**os.environ, "PATH": path, "KUBECONFIG": str(cluster.kubeconfig)}
    result = subprocess.run(
        ["kubectl", "fairlead", "explain", "svc/web"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "State:      Served" in result.stdout


@pytest.mark.parametrize("other", [["-f", "x.yaml"], ["--state", "x"]])
def test_a_cluster_and_files_exclude_each_other(run: Run, other: list[str]) -> None:
    for command in (["get", "svc"], ["explain", "svc/web"]):
        result = run(*command, "--cluster", *other)
        assert result.exit_code == 2
        assert "exclude each other" in result.stderr


def test_nobody_answers_is_one_line(run: Run, cluster: ControlPlane, tmp_path: Path) -> None:
    config = tmp_path / "kubeconfig"
    text = cluster.kubeconfig.read_text()
    config.write_text(text.replace(cluster.url, "https://127.0.0.1:9"))
    for more in ([], ["--watch"]):
        result = run("get", "svc", "--kubeconfig", config, *more)
        assert result.exit_code == 2
        assert "API server https://127.0.0.1:9" in result.stderr
    result = run("get", "svc", "--kubeconfig", tmp_path / "none")
    assert result.exit_code == 2
    assert "there is no kubeconfig" in result.stderr
