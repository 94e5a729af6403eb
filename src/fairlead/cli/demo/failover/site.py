"""Three engines with a fence and an agent each, as processes, and six VIPs to hold."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from fairlead.cli.demo.deviation import Deviation
from fairlead.lab import Hosts, Lab, cluster
from fairlead.lab.probe import Holders

VIPS = tuple(IPv4Address("192.0.2.10") + n for n in range(6))
API = "fairlead.dev/v1alpha1"
Object = dict[str, object]


class Site:
    """The running site. ``engines`` are the names of the engines."""

    def __init__(self, hosts: Hosts, directory: Path) -> None:
        self.hosts = hosts
        self.engines = [host.name for host in hosts.with_role("engine")]
        self.client = hosts["client"]
        self._directory = directory
        self._names = {hosts[name].mac(): name for name in self.engines}
        self._running: dict[tuple[str, str], subprocess.Popen[str]] = {}
        self._manifests = directory / "manifests"
        self._manifests.mkdir()
        text = b"\n---\n".join(map(msgspec.json.encode, self._objects()))
        (self._manifests / "site.yaml").write_bytes(text)
        for name in self.engines:
            (directory / name).mkdir(mode=0o755)
            self.start_fence(name)
            self.start_agent(name)

    def start_fence(self, name: str) -> None:
        """Start the fence of an engine."""
        self._run(name, "fence", "--directory", str(self._directory / name))

    def start_agent(self, name: str) -> None:
        """Start the agent of an engine."""
        where = self._directory / name
        own = ["--engine", name, "--state", str(where / "state"), "--fence", str(where)]
        self._run(name, "agent", "-f", str(self._manifests), *own)

    def end(self, name: str, what: str, number: signal.Signals) -> None:
        """Send a signal to the fence or agent of an engine, and wait for its end."""
        process = self._running.pop((name, what))
        os.kill(process.pid, number)
        process.wait(timeout=15)

    def holders(self) -> dict[IPv4Address, str]:
        """Which engine has which VIP on its LAN; two are both named."""
        found: dict[IPv4Address, list[str]] = {}
        for name in self.engines:
            words = self.hosts[name].ip("-4", "-o", "address", "show", "dev", "lan").split()
            for word in words:
                if word.endswith("/32"):
                    found.setdefault(IPv4Address(word[:-3]), []).append(name)
        return {vip: "+".join(found.get(vip, ["-"])) for vip in VIPS}

    def answered_by(self, seen: Holders, vip: IPv4Address) -> str:
        """The engine that answered last."""
        return self._names.get(seen.holder(vip) or "", "-")

    def home(self, vip: IPv4Address) -> str:
        """The engine that a VIP is at home on."""
        return self.engines[VIPS.index(vip) % len(self.engines)]

    def at_home(self) -> bool:
        """Whether every VIP is."""
        return all(self.home(vip) == holder for vip, holder in self.holders().items())

    def until(self, condition: Callable[[], bool], what: str, *, seconds: float = 30) -> None:
        """Wait; raises :class:`Deviation` with what the processes said when it does not happen."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                within = f"within {seconds:g} s {what}"
                raise Deviation(expected=within, seen=self.holders(), hints=self._said())
            time.sleep(0.05)

    def _said(self) -> str:
        logs = sorted(self._directory.glob("*.log"))
        return "\n".join(f"{path.name}: {path.read_text()[-500:]}" for path in logs)

    def _run(self, name: str, *argv: str) -> None:
        command = [sys.executable, "-m", "fairlead", *argv]
        with (self._directory / f"{name}-{argv[0]}.log").open("a") as log:
            process = self.hosts[name].popen(command, stdout=log, stderr=log)
        self._running[name, argv[0]] = process

    def _objects(self) -> Iterator[Object]:
        for name in self.engines:
            addresses = [{"type": "InternalIP", "address": self.hosts[name].v4}]
            ready = [{"type": "Ready", "status": "True"}]
            status = {"addresses": addresses, "conditions": ready}
            yield {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "status": status}
        ports = [{"port": 80, "targetPort": 8080}]
        spec = {"type": "LoadBalancer", "ports": ports}
        yield {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": spec}
        yield {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": "web", "labels": {"kubernetes.io/service-name": "web"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [pod.v4]} for pod in self.hosts.with_role("pod")],
            "ports": [{"port": 8080, "protocol": "TCP"}],
        }
        yield from map(self._vip, VIPS)

    def _vip(self, vip: IPv4Address) -> Object:
        group = {"dialect": "fairlead", "scope": "service", "name": f"web-{vip}"}
        spec = {
            "address": str(vip),
            "group": group,
            "members": ["Service/default/web"],
            "listeners": [{"protocol": "TCP", "port": 80, "service": "default/web"}],
            "home": [self.home(vip)],
        }
        return {
            "apiVersion": API,
            "kind": "VirtualIP",
            "metadata": {"name": str(vip)},
            "spec": spec,
        }


@contextmanager
def site() -> Iterator[Site]:
    """The site, with every VIP at home. bfdd is another user, so its directory is open to all."""
    with TemporaryDirectory(prefix="fairlead-demo-") as name:
        Path(name).chmod(0o755)
        with Lab(cluster(engines=3, pods=2)) as hosts:
            made = Site(hosts, Path(name))
            made.until(made.at_home, "every VIP at home", seconds=60)
            yield made
