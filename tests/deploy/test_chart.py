"""What the chart makes of its values."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_group

from fairlead.cli.access import SYSTEM_NAMESPACE
from fairlead.cli.main import app
from fairlead.model.config import Config
from fairlead.runtime.config import load_config
from fairlead.runtime.controller.controller import ControllerOptions
from fairlead.runtime.live import CONFIG_MAP, KEY, LEASE

from .rendered import CHART, NAMESPACE, find, objects, run_helm, template

COMMANDS = get_group(app).commands
VARIANTS = {
    "default": [],
    "nft": ["--set=config.dataplane=nft"],
    "assign only": ["--set=config.dataplane=none", "--set=agent.enabled=false"],
    "nothing optional": [
        "--set=networkPolicy.enabled=false",
        "--set=admissionPolicy.enabled=false",
        "--set=controller.podDisruptionBudget.enabled=false",
        "--set-json=agent.sysctls=null",
        "--set-json=controller.nodeSelector=null",
        "--set-json=agent.tolerations=[]",
    ],
    "everything": [
        '--set-json=imagePullSecrets=[{"name":"pull"}]',
        '--set-json=controller.tolerations=[{"operator":"Exists"}]',
        '--set-json=controller.affinity={"nodeAffinity":{}}',
        '--set-json=networkPolicy.metricsFrom=[{"namespaceSelector":{}}]',
        '--set-json=controller.podAnnotations={"a":"b"}',
        '--set-json=agent.podAnnotations={"a":"b"}',
        '--set-json=controller.extraArgs=["--one"]',
        '--set-json=agent.extraArgs=["--two"]',
    ],
}


@pytest.mark.parametrize("arguments", VARIANTS.values(), ids=VARIANTS)
def test_helm_finds_nothing_wrong(arguments: list[str]) -> None:
    done = run_helm("lint", "--strict", str(CHART), "--namespace", NAMESPACE, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 chart(s) failed" in done.stdout
    assert objects(template(*arguments))


def test_the_configuration_is_one_that_fairlead_takes(tmp_path: Path) -> None:
    text = template("--set=config.releaseAfter=60", "--set=config.dataplane=nft")
    file = tmp_path / "fairlead.yaml"
    file.write_text(find(text, "ConfigMap", "fairlead")["data"]["fairlead.yaml"])
    config = load_config(file, {})
    assert (config.handle_unclassed, config.dataplane, config.release_after) == (False, "nft", 60)


def _pod(kind: str, name: str, *arguments: str) -> dict[str, Any]:
    pod: dict[str, Any] = find(template(*arguments), kind, name)["spec"]["template"]
    return pod


def test_another_configuration_replaces_the_pods() -> None:
    for kind, name in (("Deployment", "fairlead-controller"), ("DaemonSet", "fairlead-agent")):
        one, same, other = (
            _pod(kind, name, f"--set=config.strict={value}")["metadata"]["annotations"]
            for value in ("true", "true", "false")
        )
        assert one == same != other


def test_the_controller_has_no_privileges() -> None:
    (container,) = _pod("Deployment", "fairlead-controller")["spec"]["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_the_agent_has_the_network_and_nothing_else() -> None:
    spec = _pod("DaemonSet", "fairlead-agent")["spec"]
    (container,) = spec["containers"]
    security = container["securityContext"]
    assert security["capabilities"] == {"drop": ["ALL"], "add": ["NET_ADMIN", "NET_RAW"]}
    assert security["readOnlyRootFilesystem"]
    assert not security["allowPrivilegeEscalation"]
    assert "privileged" not in security
    assert spec["hostNetwork"]
    assert {"hostPID", "hostIPC"}.isdisjoint(spec)
    paths = [volume["hostPath"]["path"] for volume in spec["volumes"] if "hostPath" in volume]
    assert paths == ["/var/lib/fairlead"]


def test_the_agent_is_the_engine_of_its_node() -> None:
    (container,) = _pod("DaemonSet", "fairlead-agent")["spec"]["containers"]
    assert "--engine=$(NODE_NAME)" in container["args"]
    (node,) = [entry for entry in container["env"] if entry["name"] == "NODE_NAME"]
    assert node["valueFrom"] == {"fieldRef": {"fieldPath": "spec.nodeName"}}


@pytest.mark.parametrize(
    ("kind", "name", "port"),
    [("Deployment", "fairlead-controller", 9440), ("DaemonSet", "fairlead-agent", 9441)],
)
def test_the_arguments_are_those_that_the_command_has(kind: str, name: str, port: int) -> None:
    (container,) = _pod(kind, name)["spec"]["containers"]
    command, *arguments = container["args"]
    known = {option for one in COMMANDS[command].params for option in one.opts}
    assert {argument.partition("=")[0] for argument in arguments} <= known
    (listen,) = [one for one in COMMANDS[command].params if one.name == "listen"]
    said = f"{listen.default} {getattr(listen, 'show_default', '')}"
    assert f":{port}" in said
    assert [entry["containerPort"] for entry in container["ports"]] == [port]
    mounted = [one["mountPath"] for one in container["volumeMounts"] if one["name"] == "config"]
    assert f"--config={mounted[0]}/{KEY}" in arguments


def test_the_command_line_finds_what_is_installed() -> None:
    text = template(release="other")
    config = find(text, "ConfigMap", CONFIG_MAP)
    assert (config["metadata"]["namespace"], list(config["data"])) == (SYSTEM_NAMESPACE, [KEY])
    (names,) = [
        rule["resourceNames"]
        for rule in find(text, "Role", "other-controller")["rules"]
        if "resourceNames" in rule
    ]
    assert names == [LEASE] == [ControllerOptions(config=Config(), identity="x").lease_name]


def test_no_agent_leaves_nothing_of_the_agent() -> None:
    assert "agent" not in template("--set=agent.enabled=false")


def _paths(values: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """The path of every value."""
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from _paths(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def test_every_value_is_documented_and_there() -> None:
    rows = (CHART / "README.md").read_text().partition("## Values")[2].splitlines()
    told = {row.split("`")[1] for row in rows if row.startswith("| `")}
    paths = set(_paths(yaml.safe_load((CHART / "values.yaml").read_text())))

    def has_row(path: str) -> bool:
        parts = path.split(".")
        return any(".".join(parts[:count]) in told for count in range(2, len(parts) + 1))

    assert {path for path in paths if not (has_row(path) or path in told)} == set()
    assert {row for row in told if not any(f"{p}.".startswith(f"{row}.") for p in paths)} == set()
