"""The same VIPs carried by Fairlead itself: another data plane, agents started anew."""

from collections.abc import Iterator

from fairlead.cli.demo import screen
from fairlead.cli.demo.kernel import Rows
from fairlead.cli.demo.kubernetes.languages import OWN, SHARED, STATIC
from fairlead.cli.demo.kubernetes.refusal import OTHER
from fairlead.cli.demo.kubernetes.site import LONG, SYSTEM, Site
from fairlead.cli.demo.traffic import Target, answered
from fairlead.model.addresses import parse_address
from fairlead.publish.document import endpoint

ROLE = "fairlead-agent-nft"
SETTINGS = '{"data": {"fairlead.yaml": "dataplane: nft\\nhandleUnclassed: true\\n"}}'
AGENTS = "app.kubernetes.io/component=agent"
PODS = {
    Target(SHARED, 80): ("avi-server", 8080),
    Target(SHARED, 80, "UDP"): ("avi-server", 8080),
    Target(SHARED, OTHER): ("avi-server", 8080),
    Target(STATIC, 80): ("test-deploy", 80),
    Target(STATIC, 81): ("test-deploy", 80),
    **{Target(address, 80): ("web", 8080) for address in OWN},
}
"""What is served: the pods, and their port."""


def carried(site: Site) -> None:
    """Agents read Services now, which they did not need to."""
    site.show("create", "clusterrole", ROLE, "--verb=list,watch", "--resource=services")
    account = f"--serviceaccount={SYSTEM}:fairlead-agent"
    site.show("create", "clusterrolebinding", ROLE, f"--clusterrole={ROLE}", account)
    site.show("-n", SYSTEM, "patch", "configmap", "fairlead", "--type=merge", "-p", SETTINGS)
    site.show("-n", SYSTEM, "delete", "pods", "-l", AGENTS, "--wait=false")
    wanted = {str(target): _backends(site, target) for target in PODS}
    site.until(
        lambda: dict(_leading(site)),
        lambda seen: seen == wanted,
        expected=f"in nft: {wanted}",
        patience=LONG,
    )
    site.held({target.address for target in PODS})
    screen.table(["NODE", "LISTENER", "LEADS TO"], _table(site))
    for target, (app, _) in PODS.items():
        screen.answers(target, answered(site.client, target, site.pods(app)))


def _backends(site: Site, target: Target) -> tuple[str, ...]:
    """The addresses of the pods, of the VIP's family."""
    app, port = PODS[target]
    found = [
        entry["ip"]
        for pod in site.read("pods", "-l", f"app={app}")["items"]
        for entry in pod["status"]["podIPs"]
        if (":" in entry["ip"]) == (":" in target.address)
    ]
    return tuple(sorted(endpoint(parse_address(one), port) for one in found))


def _rows(site: Site) -> dict[str, Rows]:
    """Of each node, the listeners of the VIPs that it holds."""
    holders = site.holders()
    mine = {node: {a for a, who in holders.items() if node in who} for node in site.nodes}
    return {
        node: {k: to for k, to in kernel.look().rows.items() if _address(k) in mine[node]}
        for node, kernel in site.kernels.items()
    }


def _leading(site: Site) -> Iterator[tuple[str, tuple[str, ...]]]:
    for rows in _rows(site).values():
        yield from rows.items()


def _table(site: Site) -> Iterator[list[str]]:
    for node, rows in _rows(site).items():
        for key, backends in rows.items():
            yield [node, key, ", ".join(backends)]


def _address(key: str) -> str:
    return key.rpartition(":")[0].strip("[]")
