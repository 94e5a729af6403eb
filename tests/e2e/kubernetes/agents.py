"""The real `fairlead agent` on the nodes of a real cluster, and what it is to serve.

VirtualIPs and the status of Services, which the controller would write, are written by kubectl.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from fairlead.lab import Host
from fairlead.lab.kubernetes import KubernetesLab
from fairlead.model.addresses import parse_address
from fairlead.model.ledger import Spot
from fairlead.model.virtualip import object_name

from ..serving import until

Object = dict[str, Any]
SYSTEM = "fairlead-system"
INSTALL = Path(__file__).parents[3] / "deploy" / "install.yaml"
BEHIND: Object = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRole",
    "metadata": {"name": "fairlead-agent-nft"},
    "rules": [
        {"apiGroups": [""], "resources": ["services"], "verbs": ["list", "watch"]},
    ],
}
"""What an agent may read besides where it carries the traffic itself."""
BINDING: Object = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRoleBinding",
    "metadata": {"name": "fairlead-agent-nft"},
    "roleRef": {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "ClusterRole",
        "name": "fairlead-agent-nft",
    },
    "subjects": [{"kind": "ServiceAccount", "name": "fairlead-agent", "namespace": SYSTEM}],
}


def install(lab: KubernetesLab) -> Path:
    """The definitions and what an agent is allowed to do, as installed; its kubeconfig."""
    argv = [sys.executable, "-m", "fairlead", "crds"]
    lab.apply(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)
    names = ("virtualips", "enginegroups", "engines")
    definitions = [f"crd/{name}.fairlead.dev" for name in names]
    lab.kubectl("wait", "--for=condition=Established", *definitions, "--timeout=30s")
    installed = [one for one in yaml.safe_load_all(INSTALL.read_text()) if one]
    lab.apply([one for one in installed if one["kind"] == "Namespace"] or [_namespace()])
    lab.apply([one for one in installed if _allows(one)])
    lab.apply([BEHIND, BINDING])
    return lab.control.service_account_kubeconfig(SYSTEM, "fairlead-agent")


def _namespace() -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM}}


def _allows(one: Object) -> bool:
    """Whether it is a part of what an agent is allowed to do."""
    kinds = ("ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")
    return one["metadata"]["name"] == "fairlead-agent" and one["kind"] in kinds


class Agent:
    """The agent of one node, which may be started again and again."""

    def __init__(self, host: Host, directory: Path, kubeconfig: Path) -> None:
        self.host = host
        self.state = directory / f"state-{host.name}"
        self._log = directory / f"{host.name}.log"
        self._config = directory / "fairlead.yaml"
        self._kubeconfig = kubeconfig
        self._process: subprocess.Popen[str] | None = None

    def start(self, dataplane: str, more: str = "") -> None:
        """Start it, with ``more`` lines of configuration; does not wait."""
        self._config.write_text(
            f"dataplane: {dataplane}\nprobeSeconds: 0.05\nnodePatienceSeconds: 4\n{more}"
        )
        argv = [sys.executable, "-m", "fairlead", "agent", "--engine", self.host.name]
        argv += ["--config", str(self._config), "--state", str(self.state), "--log", "json"]
        kept = {k: v for k, v in os.environ.items() if not k.startswith("FAIRLEAD_")}
        with self._log.open("a") as log:
            self._process = self.host.popen(
                argv, stdout=log, stderr=log, env={**kept, "KUBECONFIG": str(self._kubeconfig)}
            )

    def kill(self) -> None:
        """Kill it at once; what it did stays."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """Stop it as the kubelet does; its exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(timeout=20)

    def end(self) -> None:
        """Stop it if it runs, and take what it left."""
        if self._process is not None and self._process.poll() is None:
            self.stop()

    def said(self) -> list[Object]:
        """Everything it said so far."""
        text = self._log.read_text() if self._log.exists() else ""
        return [json.loads(line) for line in text.splitlines()]

    def text(self) -> str:
        """The same, to be shown."""
        return self._log.read_text() if self._log.exists() else ""

    def held(self) -> set[str]:
        """The addresses that it has on the LAN."""
        links = json.loads(self.host.ip("-j", "address", "show", "dev", "lan"))
        return {
            entry["local"]
            for link in links
            for entry in link["addr_info"]
            if entry["prefixlen"] == (32 if entry["family"] == "inet" else 128)
        }

    def answers(self, path: str) -> str:
        """What it says over HTTP."""
        done = self.host.run(["curl", "-s", f"http://127.0.0.1:9441{path}"])
        return done.stdout


class Site:
    """A Service with its VIPs, as the controller would publish them."""

    def __init__(self, lab: KubernetesLab, namespace: str) -> None:
        self.lab = lab
        self.namespace = namespace
        self._made: list[str] = []

    def web(self, replicas: int, *, nodes: Mapping[str, str] | None = None, **spec: Any) -> None:
        """A Deployment `web` that is ready, and a LoadBalancer Service before it, on port 80."""
        ports = [
            {"name": p.lower(), "port": 80, "targetPort": 8080, "protocol": p}
            for p in ("TCP", "UDP")
        ]
        self._apply(
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": "web"},
                "spec": {
                    "replicas": replicas,
                    "selector": {"matchLabels": {"app": "web"}},
                    "template": {
                        "metadata": {"labels": {"app": "web"}},
                        "spec": {
                            "nodeSelector": dict(nodes or {}),
                            "terminationGracePeriodSeconds": 10,
                            "containers": [_container()],
                        },
                    },
                },
            },
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "web"},
                "spec": {
                    "type": "LoadBalancer",
                    "selector": {"app": "web"},
                    "ipFamilyPolicy": "RequireDualStack",
                    "ports": ports,
                    **spec,
                },
            },
        )
        self.kubectl("rollout", "status", "deploy/web", "--timeout=60s")

    def serve(self, *addresses: str, home: str, local: bool = False) -> None:
        """Publish these addresses for the Service."""
        group = {"dialect": "fairlead", "scope": "service", "namespace": self.namespace}
        listeners = [
            {"protocol": p, "port": 80, "service": f"{self.namespace}/web", "local": local}
            for p in ("TCP", "UDP")
        ]
        for address in addresses:
            name = object_name(Spot("default", parse_address(address)))
            spec = {
                "address": address,
                "group": {**group, "name": "web"},
                "listeners": listeners,
                "home": [home],
            }
            kind = {"apiVersion": "fairlead.dev/v1alpha1", "kind": "VirtualIP"}
            self.lab.apply({**kind, "metadata": {"name": name}, "spec": spec})
            self._made.append(name)
        ingress = [{"ip": address, "ipMode": "VIP"} for address in addresses]
        body = json.dumps({"status": {"loadBalancer": {"ingress": ingress}}})
        self.kubectl("patch", "service", "web", "--subresource=status", "--type=merge", "-p", body)

    def node_port(self) -> int:
        """The NodePort of the Service."""
        found = json.loads(self.kubectl("get", "service", "web", "-o", "json"))
        return int(found["spec"]["ports"][0]["nodePort"])

    def pods(self) -> list[str]:
        """The names of the pods that are not ending."""
        items = json.loads(self.kubectl("get", "pods", "-o", "json"))["items"]
        return [
            one["metadata"]["name"] for one in items if "deletionTimestamp" not in one["metadata"]
        ]

    def kubectl(self, *words: str) -> str:
        """kubectl in the namespace."""
        return self.lab.kubectl("-n", self.namespace, *words).stdout

    def end(self) -> None:
        """Take the VIPs back; the namespace is somebody else's to delete."""
        if self._made:
            self.lab.kubectl("delete", "virtualip", *self._made, "--ignore-not-found")

    def _apply(self, *objects: Object) -> None:
        for one in objects:
            one["metadata"]["namespace"] = self.namespace
        self.lab.apply(list(objects))


def _container() -> Object:
    ports = [{"containerPort": 8080}, {"containerPort": 8080, "protocol": "UDP"}]
    pause = {"preStop": {"sleep": {"seconds": 3}}}
    return {"name": "main", "image": "echo", "ports": ports, "lifecycle": pause}


def holders(agents: Mapping[str, Agent], address: str) -> set[str]:
    """The nodes that have an address."""
    return {name for name, one in agents.items() if address in one.held()}


def moves_to(agents: Mapping[str, Agent], address: str, node: str, seconds: float = 20.0) -> None:
    """Wait until exactly this node has an address."""
    until(
        f"{address} on {node} alone",
        lambda: holders(agents, address),
        lambda seen: seen == {node},
        seconds,
    )
