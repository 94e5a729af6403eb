"""What the chart makes of its values."""

import base64
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_group

from fairlead.cli.access import SYSTEM_NAMESPACE
from fairlead.cli.main import app
from fairlead.drivers.bgp import owner
from fairlead.model.config import Config
from fairlead.runtime.config import load_config
from fairlead.runtime.controller.controller import ControllerOptions
from fairlead.runtime.fence import alive, bfd, voice
from fairlead.runtime.live import CONFIG_MAP, KEY, LEASE

from .rendered import CHART, KEPT_APART, NAMESPACE, find, objects, run_helm, template

COMMANDS = get_group(app).commands
VARIANTS = {
    "default": [],
    "nft": ["--set=config.dataplane=nft"],
    "no fence": ["--set=fence.enabled=false"],
    "key kept apart": [KEPT_APART],
    "bgp": ["--set=bgp.enabled=true"],
    "bgp alone": ["--set=bgp.enabled=true", "--set=fence.enabled=false"],
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
        '--set-json=fence.extraArgs=["--three"]',
        '--set-json=config.interfaces=["eth0"]',
        "--set=fence.key=known",
        "--set=bgp.enabled=true",
        '--set-json=bgp.secrets=["one","two"]',
    ],
}


@pytest.mark.parametrize("arguments", VARIANTS.values(), ids=VARIANTS)
def test_helm_finds_nothing_wrong(arguments: list[str]) -> None:
    done = run_helm("lint", "--strict", str(CHART), "--namespace", NAMESPACE, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 chart(s) failed" in done.stdout
    assert objects(template(*arguments))


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("controler.replicas=3", "'controler' not allowed"),
        ("controller.replica=3", "'replica' not allowed"),
        ("controller.replicas=many", "got string, want integer"),
        ("config.dataplan=nft", "'dataplan' not allowed"),
        ("config.dataplane=ntf", "'/config/dataplane'"),
        ("config.tombstones=-1", "'/config/tombstones'"),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused(argument: str, words: str) -> None:
    done = run_helm("template", "fairlead", str(CHART), f"--set={argument}")
    assert done.returncode == 1
    assert words in done.stderr


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


def _container(name: str, *arguments: str) -> dict[str, Any]:
    """A container of the agent's pod."""
    containers = _pod("DaemonSet", "fairlead-agent", *arguments)["spec"]["containers"]
    return next(one for one in containers if one["name"] == name)


def test_the_controller_has_no_privileges() -> None:
    (container,) = _pod("Deployment", "fairlead-controller")["spec"]["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


BGP = "--set=bgp.enabled=true"
FRR = "NET_BIND_SERVICE NET_RAW SETGID SETUID SYS_ADMIN"


@pytest.mark.parametrize(
    ("name", "arguments", "capabilities"),
    [
        ("agent", [], "NET_ADMIN NET_RAW"),
        ("fence", [], "NET_ADMIN NET_RAW"),
        ("bfd", [], FRR),
        ("agent", [BGP], "DAC_OVERRIDE NET_ADMIN NET_RAW"),
        ("fence", [BGP], "NET_ADMIN NET_RAW"),
        ("bgp", [BGP], f"CHOWN DAC_OVERRIDE KILL NET_ADMIN {FRR}"),
    ],
)
def test_on_nodes_each_has_what_it_needs_and_nothing_else(
    name: str, arguments: list[str], capabilities: str
) -> None:
    security = _container(name, *arguments)["securityContext"]
    assert security["capabilities"] == {"drop": ["ALL"], "add": capabilities.split()}
    assert security["readOnlyRootFilesystem"]
    assert not security["allowPrivilegeEscalation"]
    assert "privileged" not in security


def test_agents_have_the_network_of_their_node_and_two_directories() -> None:
    spec = _pod("DaemonSet", "fairlead-agent")["spec"]
    assert spec["hostNetwork"]
    assert {"hostPID", "hostIPC"}.isdisjoint(spec)
    paths = [volume["hostPath"]["path"] for volume in spec["volumes"] if "hostPath" in volume]
    assert paths == ["/var/lib/fairlead", "/run/fairlead"]


@pytest.mark.parametrize(("volume", "name"), [("token", "agent"), ("fence-key", "fence")])
def test_a_secret_is_mounted_where_it_is_used(volume: str, name: str) -> None:
    spec = _pod("DaemonSet", "fairlead-agent")["spec"]
    assert not spec["automountServiceAccountToken"]
    mounts = {one["name"]: one["volumeMounts"] for one in spec["containers"]}
    assert [who for who, all_ in mounts.items() if volume in {m["name"] for m in all_}] == [name]


def test_the_agent_is_the_engine_of_its_node() -> None:
    container = _container("agent")
    assert "--engine=$(NODE_NAME)" in container["args"]
    (node,) = [entry for entry in container["env"] if entry["name"] == "NODE_NAME"]
    assert node["valueFrom"] == {"fieldRef": {"fieldPath": "spec.nodeName"}}


def _known(command: str, arguments: list[str]) -> bool:
    """Whether a command has all these options."""
    options = {option for one in COMMANDS[command].params for option in one.opts}
    return {argument.partition("=")[0] for argument in arguments} <= options


@pytest.mark.parametrize(
    ("kind", "name", "port"),
    [("Deployment", "fairlead-controller", 9440), ("DaemonSet", "fairlead-agent", 9441)],
)
def test_the_arguments_are_those_that_the_command_has(kind: str, name: str, port: int) -> None:
    container = _pod(kind, name)["spec"]["containers"][0]
    command, *arguments = container["args"]
    assert _known(command, arguments)
    (listen,) = [one for one in COMMANDS[command].params if one.name == "listen"]
    said = f"{listen.default} {getattr(listen, 'show_default', '')}"
    assert f":{port}" in said
    assert [entry["containerPort"] for entry in container["ports"]] == [port]
    mounted = [one["mountPath"] for one in container["volumeMounts"] if one["name"] == "config"]
    assert f"--config={mounted[0]}/{KEY}" in arguments


def test_the_fence_is_told_what_it_knows() -> None:
    container = _container("fence", '--set-json=config.interfaces=["eth0", "eth1"]')
    command, *arguments = container["args"]
    assert command == "fence"
    assert _known(command, arguments)
    assert [one for one in arguments if "interface" in one] == [
        "--interface=eth0",
        "--interface=eth1",
    ]
    (port,) = container["ports"]
    assert (port["hostPort"], port["protocol"]) == (voice.PORT, "UDP")
    probe = container["livenessProbe"]["exec"]["command"]
    assert probe[1:3] == ["-m", alive.__name__]


def test_agent_fence_and_bfdd_meet() -> None:
    agent, fence, daemon = (_container(name) for name in ("agent", "fence", "bfd"))
    directory = "/run/fairlead"
    assert f"--fence={directory}" in agent["args"]
    assert f"--directory={directory}" in fence["args"]
    assert fence["livenessProbe"]["exec"]["command"][-1] == directory
    (socket,) = [one for one in daemon["command"] if one.startswith("--bfdctl=")]
    assert f"--bfdd={socket.partition('=')[2]}" in fence["args"]
    for container in (agent, fence):
        assert directory in {one["mountPath"] for one in container["volumeMounts"]}


def test_bfdd_has_the_options_that_it_gets() -> None:
    program, *arguments = _container("bfd")["command"]
    assert program == bfd.BFDD
    said = subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout
    known = set(re.findall(r"--[a-z_]+", said))
    assert {argument.partition("=")[0] for argument in arguments} <= known


@pytest.mark.parametrize("argument", ["--set=fence.enabled=false", "--set=config.dataplane=none"])
def test_without_a_fence_nothing_of_it_is_there(argument: str) -> None:
    text = template(argument)
    spec = find(text, "DaemonSet", "fairlead-agent")["spec"]["template"]["spec"]
    assert [one["name"] for one in spec["containers"]] == ["agent"]
    assert "lifecycle" not in spec["containers"][0]
    assert not any(one.startswith("--fence") for one in spec["containers"][0]["args"])
    assert {"run", "bfd", "fence-key"}.isdisjoint(one["name"] for one in spec["volumes"])
    names = {(one["kind"], one["metadata"]["name"]) for one in objects(text)}
    assert {("Secret", "fairlead-fence"), ("Role", "fairlead-agent")}.isdisjoint(names)


def test_agent_and_frr_meet() -> None:
    argument = '--set-json=bgp.secrets=["uplink"]'
    agent, daemons = (_container(name, BGP, argument) for name in ("agent", "bgp"))
    assert "/drivers/bgp/owner.py" in daemons["command"][2]
    mounts = {one["name"]: one["mountPath"] for one in agent["volumeMounts"]}
    assert mounts["run"] == str(owner.ROOT)
    assert mounts["router-0"] == f"{Config().secrets}/uplink"
    zebra = Path(daemons["command"][-1].partition("=")[2])
    (socket,) = [one for one in _container("bfd")["command"] if one.startswith("--socket=")]
    assert socket == f"--socket={zebra}"
    assert mounts["bfd"] == str(zebra.parent)


def test_who_owns_frr_has_the_options_that_it_gets() -> None:
    _, *start = _container("bgp", BGP)["command"]
    argv = [sys.executable, *start[:2], "--help"]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    options = {one.partition("=")[0] for one in start[2:]}
    assert options == {"--stay", "--zserv"} & set(re.findall(r"--[a-z]+", said))


def _key(*arguments: str) -> bytes:
    """The key in the Secret that the chart makes."""
    return base64.b64decode(find(template(*arguments), "Secret", "fairlead-fence")["data"]["key"])


def test_a_key_is_made_unless_there_is_one() -> None:
    one, other = _key(), _key()
    assert len(one) == 64
    assert one != other
    assert _key("--set=fence.key=known") == b"known"
    assert not [one for one in objects(template(KEPT_APART)) if one["kind"] == "Secret"]


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
