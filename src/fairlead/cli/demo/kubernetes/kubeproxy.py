"""Who carries the traffic: proof from the kernel of the node that holds a VIP."""

from collections.abc import Collection

from fairlead.cli.demo import screen
from fairlead.cli.demo.kubernetes.site import Site
from fairlead.cli.demo.traffic import Target, answered


def passed(site: Site, target: Target, by: Collection[str]) -> None:
    """Fairlead only lets requests pass, kube-proxy serves them, and all of ``by`` answer."""
    (node,) = site.holders()[target.address]
    site.until(
        lambda: (_leads_to(site, node, target), _is_served(site, node, target)),
        lambda seen: seen == ((), True),
        expected=f"on {node} Fairlead lets {target} pass, and kube-proxy serves it",
    )
    screen.answers(target, answered(site.client, target, by))


def _leads_to(site: Site, node: str, target: Target) -> tuple[str, ...] | None:
    """The backends that Fairlead knows: none where it lets pass; None without a listener."""
    return site.kernels[node].look().rows.get(str(target))


def _is_served(site: Site, node: str, target: Target) -> bool:
    """Whether kube-proxy serves it there."""
    element = f"{target.address} . {target.protocol.lower()} . {target.port} "
    listed = site.nodes[node].run(["nft", "list", "map", "ip", "kube-proxy", "service-ips"])
    return element in listed.stdout
