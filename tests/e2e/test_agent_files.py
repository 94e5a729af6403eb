"""Agents without Kubernetes: VirtualIPs in files, on two hosts with a real kernel each."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairlead.lab import Host, Hosts, Topology, cluster

from .asking import RESET, Steady, User
from .manifests import Folder, Manifest, node, pod, port, service
from .serving import Up, becomes, until

pytestmark = pytest.mark.root
A, B = "192.0.2.40", "192.0.2.41"
A6 = "fd00:2::40"
NAMES = {A6: "fd00-2-0-0-0-0-0-40"}


class FileAgent(Up):
    """The agent of one engine, on a folder that all share."""

    def __init__(self, host: Host, directory: Path, folder: Folder, config: Path) -> None:
        super().__init__(host, directory, folder)
        self._with = ["--config", str(config)]

    def start(self, *arguments: str) -> None:
        """Start it and wait until it says so."""
        begun = self.said().count("started")
        self.process = self.spawn(*arguments)
        until("the start", self.said, lambda said: said.count("started") > begun)

    def command_line(self, *arguments: str) -> list[str]:
        return ["agent", "-f", str(self.folder.path), "--log", "json", *self._with, *arguments]


@pytest.fixture(scope="module")
def topology() -> Topology:
    return cluster(clients=1, engines=2, nodes=1, pods=2)


@pytest.fixture
def agents(lab: Hosts, tmp_path: Path) -> Iterator[dict[str, FileAgent]]:
    folder, config = Folder(tmp_path / "manifests"), tmp_path / "fairlead.yaml"
    config.write_text("probeSeconds: 0.05\nnodePatienceSeconds: 0\n")
    names = ("engine-1", "engine-2")
    made = {name: FileAgent(lab[name], tmp_path, folder, config) for name in names}
    yield made
    for name, one in made.items():
        print(f"--- {name}\n{one.said()}")
        one.end()


def published(address: str, home: str, group: str = "web") -> Manifest:
    return {
        "apiVersion": "fairlead.dev/v1alpha1",
        "kind": "VirtualIP",
        "metadata": {"name": NAMES.get(address, address)},
        "spec": {
            "address": address,
            "group": {"dialect": "fairlead", "scope": "s", "namespace": "default", "name": group},
            "listeners": [
                {"protocol": "TCP", "port": 80, "service": "default/web"},
                {"protocol": "UDP", "port": 80, "service": "default/web"},
            ],
            "home": [home],
        },
    }


def engines(lab: Hosts, *, down: str = "") -> list[Manifest]:
    found = [node(name, lab[name].v4) for name in ("engine-1", "engine-2")]
    for one in found:
        ready = one["metadata"]["name"] != down
        one["status"]["conditions"] = [{"type": "Ready", "status": str(ready)}]
    return found


def behind(lab: Hosts) -> list[Manifest]:
    web = service("web", port(80, name="t"), port(80, "UDP", name="u"), app="a")
    return [web, pod(lab["pod-a"], "a"), pod(lab["pod-b"], "a")]


def test_two_engines_share_what_is_written_and_replace_each_other(
    agents: dict[str, FileAgent], lab: Hosts, user: User
) -> None:
    one, two = agents.values()
    one.folder.put("base", *behind(lab))
    one.folder.put("nodes", *engines(lab))
    one.folder.put("a", published(A, "engine-1"), published(A6, "engine-1"))
    one.folder.put("b", published(B, "engine-2", "other"))
    for agent in agents.values():
        agent.start()
    becomes(sorted([A, A6]), one.held)
    becomes([B], two.held)
    for vip in (A, A6, B):
        until("an answer", lambda: user.tcp(vip), lambda who: who.startswith("pod-"))  # noqa: B023
        assert user.crowd(vip) == {"pod-a", "pod-b"}
        assert user.udp(vip) in ("pod-a", "pod-b")
        assert user.tcp(vip, 81) == RESET
    with Steady(user, (B, 80)):
        one.folder.put("nodes", *engines(lab, down="engine-1"))
        becomes(sorted([A, A6, B]), two.held)
        becomes([], one.held)
        becomes(True, lambda: user.tcp(A).startswith("pod-"))
        one.folder.put("nodes", *engines(lab))
        becomes(sorted([A, A6]), one.held)
        becomes([B], two.held)


def test_it_dies_and_comes_back_and_leaves_as_told(
    agents: dict[str, FileAgent], lab: Hosts, user: User
) -> None:
    one = agents["engine-1"]  # without Nodes it is alone
    one.folder.put("base", *behind(lab))
    one.folder.put("a", published(A, "engine-1"), published(A6, "elsewhere"))
    one.start()
    for vip in (A, A6):
        until("an answer", lambda: user.tcp(vip), lambda who: who.startswith("pod-"))  # noqa: B023
    with Steady(user, (A, 80), (A6, 80)):
        one.kill()
        time.sleep(0.2)
        one.start("--keep")
        time.sleep(0.5)
        assert one.stop() == 0
        assert one.held() == sorted([A, A6])
        one.start()
        second = one.spawn()
        assert second.wait(timeout=20) == 2
    assert one.process is not None
    assert f"in use by process {one.process.pid}" in one.said()
    assert one.stop() == 0
    assert one.held() == one.tables() == []


def test_an_emptied_folder_withdraws_nothing_at_once(
    agents: dict[str, FileAgent], lab: Hosts, user: User
) -> None:
    one = agents["engine-1"]
    many = [f"192.0.2.{number}" for number in range(60, 80)]
    one.folder.put("base", *behind(lab))
    one.folder.put("many", *(published(vip, "engine-1", vip) for vip in many))
    one.folder.put("a", published(A, "engine-1"))
    one.start()
    becomes(sorted([*many, A]), one.held)
    with Steady(user, (many[0], 80)):
        one.folder.drop("a")  # one is meant
        becomes(sorted(many), one.held)
        one.folder.drop("many")
        until("that it says so", one.said, lambda said: "20 objects vanished" in said)
        assert one.held() == sorted(many)
