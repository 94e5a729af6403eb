"""Agents and their fences on three hosts, as processes: VIPs outlive engines and agents."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest

from fairlead.lab import Hosts, Lab, cluster
from fairlead.lab.probe import Answer, Holders, tcp_ask

pytestmark = pytest.mark.root
VIPS = [IPv4Address("192.0.2.10") + n for n in range(6)]
SLACK = 2.0
"""Seconds that a busy machine may add."""


class Site:
    """Three engines with a fence and an agent each; the agents read one folder. ``buffer``: so many
    of them take over, and have nothing of their own."""

    def __init__(self, hosts: Hosts, directory: Path, *, buffer: int = 0) -> None:
        self.hosts, self.directory, self.buffer = hosts, directory, buffer
        self.engines = [host.name for host in hosts.with_role("engine")]
        self.agents: dict[str, subprocess.Popen[str]] = {}
        self.manifests = directory / "manifests"
        self.manifests.mkdir()
        objects = [*map(self._node, self.engines), self._service(), self._slice()]
        objects += [self._vip(n, vip) for n, vip in enumerate(VIPS)]
        objects += [self._group()] if buffer else []
        text = b"\n---\n".join(map(msgspec.json.encode, objects))
        (self.manifests / "all.yaml").write_bytes(text)
        for name in self.engines:
            (directory / name).mkdir(mode=0o755)
            self._run(name, "fence", "--directory", str(directory / name))
            self.start_agent(name)

    def start_agent(self, name: str) -> None:
        where = self.directory / name
        argv = ["-f", str(self.manifests), "--engine", name, "--state", str(where / "state")]
        self.agents[name] = self._run(name, "agent", *argv, "--fence", str(where))

    def holders(self) -> dict[str, set[IPv4Address]]:
        return {name: self._held(name) for name in self.engines}

    def all_held_once(self) -> bool:
        found = [vip for held in self.holders().values() for vip in held]
        return sorted(found) == VIPS

    def log(self) -> str:
        return "\n".join(p.read_text()[-2000:] for p in sorted(self.directory.glob("*.log")))

    def _held(self, name: str) -> set[IPv4Address]:
        words = self.hosts[name].ip("-4", "-o", "address", "show", "dev", "lan").split()
        return {IPv4Address(w[:-3]) for w in words if w.endswith("/32")} & set(VIPS)

    def _run(self, name: str, *argv: str) -> "subprocess.Popen[str]":
        with (self.directory / f"{name}-{argv[0]}.log").open("a") as log:
            return self.hosts[name].popen([sys.executable, "-m", "fairlead", *argv], stderr=log)

    def _node(self, name: str) -> dict[str, object]:
        addresses = [{"type": "InternalIP", "address": self.hosts[name].v4}]
        conditions = [{"type": "Ready", "status": "True"}]
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name},
            "status": {"addresses": addresses, "conditions": conditions},
        }

    def _service(self) -> dict[str, object]:
        spec = {"type": "LoadBalancer", "ports": [{"port": 80, "targetPort": 8080}]}
        return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": spec}

    def _slice(self) -> dict[str, object]:
        pods = self.hosts.with_role("pod")
        return {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": "web", "labels": {"kubernetes.io/service-name": "web"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [pod.v4]} for pod in pods],
            "ports": [{"port": 8080, "protocol": "TCP"}],
        }

    def _vip(self, number: int, vip: IPv4Address) -> dict[str, object]:
        group = {"dialect": "fairlead", "scope": "service", "namespace": "x", "name": f"g{number}"}
        listener = {"protocol": "TCP", "port": 80, "service": "default/web"}
        return {
            "apiVersion": "fairlead.dev/v1alpha1",
            "kind": "VirtualIP",
            "metadata": {"name": str(vip)},
            "spec": {
                "address": str(vip),
                "group": group,
                "members": ["Service/default/web"],
                "listeners": [listener],
                "home": [self.engines[number % (len(self.engines) - self.buffer)]],
            },
        }

    def _group(self) -> dict[str, object]:
        """What selects every Node, and keeps some in reserve."""
        return {
            "apiVersion": "fairlead.dev/v1alpha1",
            "kind": "EngineGroup",
            "metadata": {"name": "default"},
            "spec": {"nodeSelector": {}, "mode": "NPlusM", "bufferEngines": self.buffer},
        }


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with TemporaryDirectory(prefix="failover-") as name, Lab(cluster(engines=3, pods=2)) as hosts:
        Path(name).chmod(0o755)
        found = Site(hosts, Path(name))
        until(found.all_held_once, found, seconds=40)
        yield found


def until(condition: object, site: Site, *, seconds: float = 20) -> None:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{site.holders()}\n{site.log()}"
        time.sleep(0.05)


def answers(site: Site) -> bool:
    client = site.hosts["client"]
    return all(isinstance(client.call(tcp_ask, str(vip), 80), Answer) for vip in VIPS)


def test_every_vip_is_at_home_and_answers(site: Site) -> None:
    expected = {name: set(VIPS[n::3]) for n, name in enumerate(site.engines)}
    until(lambda: site.holders() == expected, site)
    assert answers(site)


def test_a_crash_is_survived_with_traffic(site: Site) -> None:
    lost = [vip for n, vip in enumerate(VIPS) if n % 3 == 0]
    with Holders(site.hosts["client"], VIPS) as seen:
        time.sleep(0.3)
        cut = seen.now()
        for segment in ("lan", "pods"):
            site.hosts["engine-1"].cut(segment)
        others = ("engine-2", "engine-3")
        until(lambda: set(lost) <= set().union(*(site.holders()[n] for n in others)), site)
        time.sleep(0.5)
        back = seen.now()
        for segment in ("lan", "pods"):
            site.hosts["engine-1"].mend(segment)
        until(lambda: site.all_held_once() and set(lost) <= site.holders()["engine-1"], site)
    assert max(seen.outage(vip, since=cut, until=back) for vip in lost) < 0.5 + SLACK
    assert max(seen.doubles(vip) for vip in VIPS) == 0.0
    until(lambda: answers(site), site)


def test_an_agent_that_is_killed_darkens_nothing(site: Site) -> None:
    before = site.holders()
    with Holders(site.hosts["client"], VIPS) as seen:
        time.sleep(0.3)
        killed = seen.now()
        os.kill(site.agents["engine-2"].pid, signal.SIGKILL)
        site.agents["engine-2"].wait()
        time.sleep(1.0)
        assert answers(site)
        site.start_agent("engine-2")
        time.sleep(3.0)
    assert site.holders() == before
    assert max(seen.outage(vip, since=killed) for vip in VIPS) < 0.1 + SLACK / 2
    assert answers(site)


def test_the_buffer_takes_over_what_a_crash_leaves_and_gives_it_back() -> None:
    """NPlusM, by agents and by fences: nobody else gets more than it has."""
    with TemporaryDirectory(prefix="failover-") as name, Lab(cluster(engines=3, pods=1)) as hosts:
        Path(name).chmod(0o755)
        found = Site(hosts, Path(name), buffer=1)
        one, two, spare = found.engines
        calm = {one: set(VIPS[::2]), two: set(VIPS[1::2]), spare: set[IPv4Address]()}
        until(lambda: found.holders() == calm, found, seconds=40)
        for segment in ("lan", "pods"):
            hosts[one].cut(segment)
        taken = {one: set[IPv4Address](), two: calm[two], spare: calm[one]}
        until(lambda: found.holders() == taken, found)
        for segment in ("lan", "pods"):
            hosts[one].mend(segment)
        until(lambda: found.holders() == calm, found)
        assert answers(found)
