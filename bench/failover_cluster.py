"""Engines that follow a real API server, and what each of them asks of it."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from fairlead.lab.engines import Engines, open_directory
from fairlead.lab.kubernetes import KubernetesLab
from fairlead.lab.published import objects
from fairlead.publish.crds import definitions

if TYPE_CHECKING:
    from fairlead.model.addresses import IPAddress

LAN = "10.77.0.0/16"
FIRST = IPv4Address("10.77.1.0")
USER = "fairlead-agent"
POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
- level: Metadata
  users: [fairlead-agent]
- level: None
"""


class ClusterSite(NamedTuple):
    """A cluster whose nodes are engines. ``audit``: what the API server notes of agents, a line a
    request."""

    lab: KubernetesLab
    engines: Engines
    audit: Path

    def requests(self) -> Counter[str]:
        """How often which host asked so far."""
        lines = self.audit.read_text().splitlines()
        return Counter(json.loads(line)["sourceIPs"][0] for line in lines)


@contextmanager
def cluster_site(*, nodes: int, vips: int, config: str = "") -> Iterator[ClusterSite]:
    """VIPs spread over the nodes, every VIP at home."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(open_directory()))
        policy, audit = directory / "policy.yaml", directory / "audit.log"
        policy.write_text(POLICY)
        flags = [f"--audit-policy-file={policy}", f"--audit-log-path={audit}"]
        lab = stack.enter_context(
            KubernetesLab(
                nodes=nodes,
                kube_proxy=False,
                ipv6=False,
                lan=[LAN],
                flags={"kube-apiserver": flags},
            )
        )
        names = list(lab.nodes)
        homes: dict[IPAddress, str] = {FIRST + n: names[n % nodes] for n in range(vips)}
        _publish(lab, homes)
        file = directory / "fairlead.yaml"
        file.write_text(f"probeSeconds: 0.02\n{config}")
        kubeconfig = lab.control.kubeconfig_for(USER, ["system:masters"])
        source = ["--config", str(file), "--kubeconfig", str(kubeconfig), "--listen", ":0"]
        env = {"POD_NAMESPACE": "default"}
        engines = Engines(lab.hosts, names, directory, homes=homes, source=source, env=env)
        engines.start()
        engines.until(engines.well, "every VIP at home", seconds=120)
        yield ClusterSite(lab, engines, audit)


def _publish(lab: KubernetesLab, homes: "dict[IPAddress, str]") -> None:
    made = definitions()
    lab.apply(made)
    names = [f"crd/{one['metadata']['name']}" for one in made]
    lab.kubectl("wait", "--for=condition=Established", *names, "--timeout=30s")
    lab.apply(list(objects(engines={}, homes=homes, pods=["10.244.1.9"], target=8080)))
