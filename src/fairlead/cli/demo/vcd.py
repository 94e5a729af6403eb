"""The document on the cloud provider for VMware Cloud Director: three outcomes of two flags."""

from io import StringIO
from typing import Any

import ryaml

from fairlead.cli.demo import screen
from fairlead.cli.demo.engine import Scene
from fairlead.cli.demo.kernel import Kernel
from fairlead.cli.demo.kubevip import OURS
from fairlead.cli.demo.site import Site
from fairlead.cli.demo.traffic import Target, answered

SERVICE = "ingress-nginx-controller"
EXTERNAL = "80.81.82.81"
PORTS = {80: 30080, 443: 30443}
WORKERS = {"node-1": "192.168.8.251", "node-2": "192.168.8.250"}
OUTSIDE = {port: f"{EXTERNAL}:{port}/TCP" for port in PORTS}
SERVED = {SERVICE: f"Served {EXTERNAL}"}
ENGINES = """\
apiVersion: fairlead.dev/v1alpha1
kind: EngineGroup
metadata: {name: default}
spec: {nodeSelector: {matchExpressions: [{key: fairlead.dev/role, operator: Exists}]}}
---
apiVersion: v1
kind: Node
metadata: {name: engine-1, labels: {fairlead.dev/role: engine}}
status: {conditions: [{type: Ready, status: "True"}]}
---
apiVersion: v1
kind: Node
metadata: {name: edge, labels: {fairlead.dev/role: edge}}
status: {conditions: [{type: Ready, status: "True"}]}
"""


def outcomes(site: Site) -> None:
    """One Service through the three settings."""
    site.manifests.remove(*OURS)
    site.manifests.write("engines.yaml", ENGINES)
    site.manifests.copy("vcd-shared-external-ip", "nodes.yaml", "configmap.yaml", "service.yaml")
    site.edge.start()
    screen.note("edge: fairlead up --engine edge, beside engine-1, with the same manifests")
    _external(site)
    for example, inner in (("vcd-shared-internal-ip", 1), ("vcd-internal-ip-per-port", 2)):
        site.manifests.copy(example, "configmap.yaml")
        _internal(site, example, inner)


def _external(site: Site) -> None:
    """All ports on the external address, which is the engine's; the edge has nothing to do."""
    screen.note(f"vcd-shared-external-ip: {_flags(site)}")
    rows = {f"{EXTERNAL}:{port}/TCP": _workers(node_port) for port, node_port in PORTS.items()}
    scene = site.engine.until(SERVED, rows)
    edge = site.edge.seen(
        lambda one: one.services == SERVED and not (one.kernel.rows or one.kernel.addresses),
        expected="no DNAT and no VIP",
    )
    screen.services(scene)
    _shown(site, edge, scene)


def _internal(site: Site, example: str, inner: int) -> None:
    """The edge translates to ``inner`` internal addresses, which are the engine's."""
    screen.note(f"{example}: {_flags(site)}")
    edge = site.edge.seen(
        lambda scene: scene.services == SERVED and _translates(scene.kernel, inner),
        expected=f"{EXTERNAL} with a DNAT for each port, to {inner} internal address(es)",
    )
    behind = {
        f"{edge.kernel.rows[key][0]}/TCP": _workers(PORTS[port]) for port, key in OUTSIDE.items()
    }
    _shown(site, edge, site.engine.until(SERVED, behind))


def _translates(kernel: Kernel, inner: int) -> bool:
    """Whether each port has one DNAT that keeps the port, to so many addresses in all."""
    if kernel.addresses != {EXTERNAL} or set(kernel.rows) != set(OUTSIDE.values()):
        return False
    ends = [(port, end) for port, key in OUTSIDE.items() for end in kernel.rows[key]]
    kept = all(end.endswith(f":{port}") for port, end in ends)
    return (
        kept and len(ends) == len(PORTS) and len({e.rpartition(":")[0] for _, e in ends}) == inner
    )


def _flags(site: Site) -> str:
    """The two flags, as they are in the manifest now."""
    (text,) = site.manifests.documents("configmap.yaml")
    config = _yaml(_yaml(text)["data"]["vcloud-ccm-config.yaml"])["loadbalancer"]
    shared, arm = config["enableVirtualServiceSharedIP"], config.get("oneArm")
    return f"enableVirtualServiceSharedIP {str(shared).lower()}, oneArm {'on' if arm else 'off'}"


def _yaml(text: str) -> Any:
    return ryaml.load(StringIO(text))


def _shown(site: Site, edge: Scene, engine: Scene) -> None:
    """Which host holds what and leads where; and that it does."""
    screen.listeners({"edge": edge, "engine-1": engine})
    for port in PORTS:
        target = Target(EXTERNAL, port)
        screen.answers(target, answered(site.client, target, WORKERS))


def _workers(node_port: int) -> tuple[str, ...]:
    return tuple(sorted(f"{address}:{node_port}" for address in WORKERS.values()))
