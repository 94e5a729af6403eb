"""`fairlead lab`: up, look inside, down."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import Popen

import pytest
from typer.testing import Result

from fairlead import lab
from fairlead.lab.probe import Answer, tcp_ask

POD = """
apiVersion: v1
kind: Pod
metadata: {name: web}
spec: {containers: [{name: web, image: echo}]}
"""
Run = Callable[..., Result]
Spawn = Callable[..., "Popen[str]"]


@pytest.fixture
def name() -> Iterator[str]:
    """The name of a lab that is gone after the test."""
    chosen = f"cli{os.getpid() % 10**6}"
    yield chosen
    if chosen in {info.name for info in lab.list_labs()}:
        lab.down(chosen)


@pytest.mark.root
def test_a_lab_comes_serves_and_goes(run: Run, spawn: Spawn, name: str) -> None:
    result = run("lab", "up", name, "--pods", "1", "--lan", "192.0.2.0/24")
    assert result.exit_code == 0, result.stderr
    assert "client, engine-1, pod-a" in result.stderr
    listed = json.loads(run("lab", "list", "-o", "json").stdout)
    (mine,) = [entry for entry in listed if entry["name"] == name]
    assert mine == {
        "name": name,
        "alive": True,
        "owner": None,
        "hosts": ["client", "engine-1", "pod-a"],
    }
    assert name in run("lab", "list").stdout
    process = spawn("lab", "exec", name, "client", "--", "ip", "-brief", "address")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "192.0.2.254/24" in out
    again = run("lab", "up", name)
    assert again.exit_code == 2
    assert len(again.stderr.splitlines()) == 1
    assert run("lab", "down", name).exit_code == 0
    assert not Path(f"/run/netns/{name}-client").exists()


@pytest.mark.root
def test_a_kubernetes_lab_stays_and_kubectl_works_in_it(
    run: Run, spawn: Spawn, name: str, tmp_path: Path
) -> None:
    process = spawn("lab", "up", name, "--kubernetes", "--nodes", "1", "--lan", "192.0.2.0/24")
    _, err = process.communicate(timeout=90)
    assert process.returncode == 0, err
    assert f"lab {name} is up: client, node-1, control" in err

    def inside(host: str, *command: str) -> str:
        process = spawn("lab", "exec", name, host, "--", *command)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        return out

    assert "node-1   Ready" in inside("control", "kubectl", "get", "nodes")
    pod = tmp_path / "pod.yaml"
    pod.write_text(POD)
    inside("control", "kubectl", "apply", "-f", str(pod))
    inside("client", "kubectl", "wait", "pod/web", "--for=condition=Ready", "--timeout=30s")
    address = inside("client", "kubectl", "get", "pod", "web", "-o", "jsonpath={.status.podIP}")
    with lab.attach(name) as hosts:
        answer = hosts["control"].call(tcp_ask, address, 8080)
    assert isinstance(answer, Answer)
    assert answer.name == "web"
    assert run("lab", "down", name).exit_code == 0
    assert list(Path("/run/netns").glob(f"fl-{name}-*")) == []


@pytest.mark.root
@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["down", "nosuchlab"], "no lab"),
        (["exec", "nosuchlab", "client", "true"], "no lab"),
        (["up", "x", "--lan", "nonsense"], "nonsense"),
        (["up", "x", "--kubernetes", "--pods", "3"], "--pods do not go with --kubernetes"),
        (["up", "x", "--kubernetes", "--nodes", "0"], "needs a node"),
    ],
)
def test_mistakes_are_one_line(run: Run, command: list[str], told: str) -> None:
    result = run("lab", *command)
    assert result.exit_code == 2
    assert told in result.stderr
    assert len(result.stderr.splitlines()) == 1
