"""The nodes of a Kubernetes lab: on each a pod runner and, unless left out, the real kube-proxy."""

from __future__ import annotations

import http.client
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fairlead.lab.errors import LabError
from fairlead.lab.kubernetes import programs
from fairlead.lab.kubernetes.build import version
from fairlead.lab.kubernetes.component import Component
from fairlead.lab.kubernetes.network import pod_cidrs
from fairlead.lab.kubernetes.podrunner.config import Config

if TYPE_CHECKING:
    from fairlead.lab.host import Host
    from fairlead.lab.kubernetes.plane import ControlPlane

__all__ = ["Node"]

_RUNNER: Final = "podrunner"
_PROXY: Final = "kube-proxy"
_OPEN_TO_ALL: Final = {Path("/usr"), Path("/usr/local")}
_API_SERVICE: Final = ("10.96.0.1", 443)


class Node:
    """One node: `host` is its namespace, `components` are `podrunner` and `kube-proxy`."""

    def __init__(
        self,
        host: Host,
        *,
        number: int,
        lab: str,
        control: ControlPlane,
        kube_proxy: bool = True,
        ipv6: bool = True,
    ) -> None:
        self.host: Final = host
        self.name: Final = host.name
        self._control = control
        self._home = control.directory / "nodes" / self.name
        self._home.mkdir(parents=True, exist_ok=True)
        self._cidrs = pod_cidrs(number, ipv6=ipv6)
        self.components: Final = {_RUNNER: self._runner(lab, kube_proxy=kube_proxy)}
        if kube_proxy:
            self.components[_PROXY] = self._proxy(ipv6=ipv6)

    def start(self) -> None:
        """Start what does not run; `wait_ready` waits for it."""
        for component in self.components.values():
            if not component.running:
                component.start()

    def fail(self) -> None:
        """Let the power fail: all that runs on it ends at once and its cables are dead."""
        for segment in ("lan", "pods"):
            self.host.cut(segment)
        self.host.kill_processes()
        for component in self.components.values():
            component.end()

    def recover(self) -> None:
        """Undo `fail`: the cables, the runner and kube-proxy; pods come back as the API says."""
        for segment in ("lan", "pods"):
            self.host.mend(segment)
        self.start()

    def wait_ready(self, timeout: float = 60.0) -> None:
        """Wait until pods may come here and Services work. LabError when it does not get there."""
        deadline = time.monotonic() + timeout
        while missing := self._missing():
            if time.monotonic() > deadline:
                raise LabError(f"{self.name} does not get ready: {missing}")
            for component in self.components.values():
                component.pid  # noqa: B018 - raises with its last words when it has ended
            time.sleep(0.05)

    def _missing(self) -> str:
        runner = self.components[_RUNNER]
        if "ready" not in runner.log.read_text().splitlines():
            return runner.last_words()
        if _PROXY in self.components and not self.host.call(_is_healthy):
            return f"kube-proxy is not healthy: {self.components[_PROXY].last_words()}"
        return ""

    def _runner(self, lab: str, *, kube_proxy: bool) -> Component:
        pair = self._control.certificate_for(f"system:node:{self.name}", ["system:masters"])
        serving = self._control.serving_certificate(
            f"node-{self.name}", [str(entry.ip) for entry in self.host.spec.lan]
        )
        host, port = _API_SERVICE if kube_proxy else self._control.endpoint
        config = Config(
            lab=lab,
            node=self.name,
            url=self._control.url,
            ca=str(self._control.ca),
            certificate=str(pair.certificate),
            key=str(pair.key),
            serving_certificate=str(serving.certificate),
            serving_key=str(serving.key),
            directory=str(self._home),
            node_ips=_node_ips(self.host),
            pod_cidrs=self._cidrs,
            service_host=host,
            service_port=port,
            path=self._control.path,
            programs=_programs(self._control.programs),
            version=version(),
        )
        path = self._home / "podrunner.json"
        config.write(path)
        module = "fairlead.lab.kubernetes.podrunner"
        return self._component(_RUNNER, [sys.executable, "-m", module, str(path)])

    def _proxy(self, *, ipv6: bool) -> Component:
        families = programs.CLUSTER_CIDRS if ipv6 else programs.CLUSTER_CIDRS[:1]
        config = programs.proxy_config(
            kubeconfig=self._control.kubeconfig_for("system:kube-proxy"),
            node=self.name,
            cluster_cidrs=families,
        )
        path: Path = self._home / "kube-proxy.json"
        path.write_text(json.dumps(config, indent=1))
        return self._component(_PROXY, programs.proxy(self._control.programs, config=path))

    def _component(self, name: str, argv: list[str]) -> Component:
        return Component(
            name=name,
            argv=argv,
            place=self.host,
            directory=self._home,
            log=self._home / f"{name}.log",
        )


def _node_ips(host: Host) -> tuple[str, ...]:
    """The first LAN address of each family: a node, and with it its pods, may name no more."""
    firsts: dict[int, str] = {}
    for entry in host.spec.lan:
        firsts.setdefault(entry.version, str(entry.ip))
    return tuple(firsts.values())


def _programs(kubernetes: Path) -> tuple[str, ...]:
    """The directories of the programs that pods may run: Kubernetes', this Python, Fairlead."""
    source = Path(__file__).parents[3]  # what holds the package
    python = {Path(sys.prefix), Path(sys.base_prefix)} - _OPEN_TO_ALL
    return tuple(str(path) for path in (kubernetes, source, *sorted(python)))


def _is_healthy() -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", programs.PROXY_HEALTH_PORT, timeout=2)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
