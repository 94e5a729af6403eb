"""All of Fairlead on a cluster: the controller and the agents, as installed, and its user.

Controller and agents are processes with the service accounts and rights of the installation; what
they are to do is told to them by kubectl alone.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from fairlead.lab import Host
from fairlead.lab.kubernetes import KubernetesLab
from fairlead.publish.crds import ako_definitions, definitions

from ..serving import becomes, until
from .agents import BEHIND, BINDING, INSTALL, SYSTEM, Agent, Object

EXAMPLES = Path(__file__).parents[3] / "examples"
WORKLOADS = {"Deployment", "DaemonSet", "NetworkPolicy", "PodDisruptionBudget"}
CONDITION = "fairlead.dev/Served"


def install(lab: KubernetesLab) -> None:
    """Everything of the installation but what would run as pods; and AKO's definition."""
    made = [*definitions(), *ako_definitions()]
    lab.apply(made)
    names = [f"crd/{one['metadata']['name']}" for one in made]
    lab.kubectl("wait", "--for=condition=Established", *names, "--timeout=30s")
    installed = [one for one in yaml.safe_load_all(INSTALL.read_text()) if one]
    rest = [one for one in installed if one["kind"] not in {*WORKLOADS, made[0]["kind"]}]
    lab.apply([one for one in rest if one["kind"] == "Namespace"])
    lab.apply([one for one in rest if one["kind"] != "Namespace"])
    lab.apply([BEHIND, BINDING])


class Controller:
    """`fairlead controller`, which may be started again with another configuration."""

    def __init__(self, host: Host, directory: Path, kubeconfig: Path) -> None:
        self._host = host
        self._log = directory / "controller.log"
        self._config = directory / "controller.yaml"
        self._kubeconfig = kubeconfig
        self._process: subprocess.Popen[str] | None = None

    def start(self, **config: object) -> None:
        """Start it and wait until it leads. It does not remember what was released: the first free
        address is the next one."""
        settings = {"dataplane": "cluster", "tombstones": 0, **config}
        self._config.write_text(yaml.safe_dump(settings))
        begun = len(self.said("leads"))
        argv = [sys.executable, "-m", "fairlead", "controller", "--config", str(self._config)]
        argv += ["--listen", "127.0.0.1:0", "--lease", "3", "--log", "json"]
        kept = {k: v for k, v in os.environ.items() if not k.startswith("FAIRLEAD_")}
        with self._log.open("a") as log:
            self._process = self._host.popen(
                argv, stdout=log, stderr=log, env={**kept, "KUBECONFIG": str(self._kubeconfig)}
            )
        until("a leader", lambda: len(self.said("leads")), lambda found: found > begun, 30)

    def stop(self) -> None:
        """Stop it in an orderly way."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            assert self._process.wait(timeout=20) == 0, self.text()

    def said(self, event: str) -> list[Object]:
        """The lines about an event."""
        lines = (json.loads(line) for line in self.text().splitlines())
        return [line for line in lines if line["event"] == event]

    def text(self) -> str:
        """Everything it said so far."""
        return self._log.read_text() if self._log.exists() else ""


class Condition(NamedTuple):
    """What a Service says of itself."""

    status: str
    reason: str
    message: str


NOTHING = Condition("", "", "")


class Person:
    """Somebody with kubectl."""

    def __init__(self, lab: KubernetesLab) -> None:
        self._lab = lab

    def __call__(self, *words: str, input: str | None = None) -> str:
        """What kubectl prints."""
        return self._lab.kubectl(*words, input=input).stdout

    def apply(self, *files: str) -> None:
        """Apply files of the examples."""
        for file in files:
            self("apply", "-f", str(EXAMPLES / file))

    def read(self, *words: str) -> Any:
        """An object, or a list of them."""
        return json.loads(self("get", *words, "-o", "json"))

    def shown(self, namespace: str = "default") -> dict[str, str]:
        """The column EXTERNAL-IP of `kubectl get services`, by name."""
        rows = [line.split() for line in self("get", "services", "-n", namespace).splitlines()[1:]]
        return {row[0]: row[3] for row in rows if row[1] == "LoadBalancer"}

    def condition(self, name: str, namespace: str = "default") -> Condition:
        """Fairlead's condition of a Service."""
        status = self.read("service", name, "-n", namespace)["status"]
        for one in status.get("conditions") or ():
            if one["type"] == CONDITION:
                return Condition(one["status"], one["reason"], one["message"])
        return NOTHING

    def reason(self, name: str, namespace: str = "default") -> str:
        """Why a Service is as it is."""
        return self.condition(name, namespace).reason

    def warnings(self, name: str, namespace: str = "default") -> list[tuple[str, str]]:
        """The Warning Events of a Service: reason and message."""
        about = f"--field-selector=involvedObject.name={name},type=Warning"
        found = self.read("events", "-n", namespace, about)["items"]
        return [(one["reason"], one["message"]) for one in found]

    def ledger(self) -> dict[str, Object]:
        """The VirtualIPs: address -> spec."""
        return {o["spec"]["address"]: o["spec"] for o in self.read("virtualips")["items"]}

    def serves(self, namespace: str = "default", /, **wanted: str) -> None:
        """Wait until `kubectl get services` shows exactly these, `_` standing for `-`."""
        wishes = {name.replace("_", "-"): address for name, address in wanted.items()}
        becomes(wishes, self.shown, namespace)

    def clean(self) -> None:
        """Delete what a test made, and wait until no address is left."""
        self("delete", "services", "-A", "--field-selector=metadata.name!=kubernetes")
        self("delete", "events", "-A", "--all")
        for kind in ("addresspools", "enginegroups", "aviinfrasettings"):
            self("delete", kind, "--all")
        gone = ("delete", "configmap", "vcloud-ccm-configmap", "--ignore-not-found")
        self(*gone, "-n", "kube-system")
        self("delete", "namespaces", "-l", "fairlead-test=yes", "--wait=false")
        becomes({}, self.ledger)


class Running(NamedTuple):
    """What runs on the cluster."""

    controller: Controller
    agents: Mapping[str, Agent]

    def restart(self, dataplane: str) -> None:
        """Start the agents anew with another data plane."""
        for agent in self.agents.values():
            agent.stop()
        for agent in self.agents.values():
            agent.start(dataplane)


def run(lab: KubernetesLab, directory: Path, **config: object) -> Iterator[Running]:
    """Install Fairlead and start it; it ends when the iterator does."""
    install(lab)
    accounts = {
        name: lab.control.service_account_kubeconfig(SYSTEM, f"fairlead-{name}")
        for name in ("controller", "agent")
    }
    controller = Controller(lab["control"], directory, accounts["controller"])
    agents = {name: Agent(lab[name], directory, accounts["agent"]) for name in lab.nodes}
    try:
        for agent in agents.values():
            agent.start("cluster")
        controller.start(**config)
        yield Running(controller, agents)
    finally:
        print(f"--- controller\n{controller.text()}")
        controller.stop()
        for name, agent in agents.items():
            print(f"--- {name}\n{agent.text()}")
            agent.end()
