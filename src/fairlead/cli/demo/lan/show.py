"""The steps in their order; each is told the same stage."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from fairlead.cli.demo import screen
from fairlead.cli.demo.kubernetes import install
from fairlead.cli.demo.kubernetes.site import Site, standing
from fairlead.cli.demo.lan import dhcp, upnp
from fairlead.cli.demo.lan.stage import Stage
from fairlead.cli.demo.show import walk
from fairlead.lab.dhcp import DhcpServer
from fairlead.lab.gateway import NETWORK, Gateway

UPNP = ("enableUPNP: true", "upnpRefreshSeconds: 5")
STEPS: tuple[tuple[str, Callable[[Stage], None]], ...] = (
    ("A cluster, and Fairlead put there", lambda stage: install.install(stage.site, *UPNP)),
    ("kube-vip, a Service on 0.0.0.0 (as in the document): its address is leased", dhcp.leased),
    ("The node that holds the address is cut off: the address stays", dhcp.kept),
    ("The Service is deleted: the lease is given back", dhcp.given_back),
    ("kube-vip, forwardUPNP (as in the document): reached from the internet", upnp.opened),
    ("The Service is deleted: its port is closed on the router", upnp.closed),
)
POOL = ("192.168.0.150", "192.168.0.159")


def perform(top: Path, *, pause: Callable[[], None] | None) -> None:
    """Build the cluster and show everything. ``top``: the source tree. Raises
    :class:`~fairlead.cli.demo.deviation.Deviation` at the first thing that is not as it must be,
    with the cluster gone by then."""
    started = time.monotonic()
    with ExitStack() as stack:
        site = stack.enter_context(standing(top, clients=2))
        server = stack.enter_context(DhcpServer(site.client, pool=POOL, renew=10, rebind=20))
        router = Gateway(site.client, site.lab["client-2"], secure=True)
        gateway = stack.enter_context(router.wired())
        for node in site.nodes.values():
            node.ip("route", "add", NETWORK, "via", site.client.v4)
        _introduce(site, server, time.monotonic() - started)
        walk(STEPS, Stage(site, server, gateway), pause=pause)
    taken = time.monotonic() - started
    screen.heading(f"All {len(STEPS)} steps as expected, in {taken:.0f} s. The cluster is gone.")


def _introduce(site: Site, server: DhcpServer, built: float) -> None:
    hosts = ", ".join(site.lab.hosts)
    screen.note(f"Cluster {site.lab.name}, built in {built:.1f} s, of namespaces: {hosts}", "")
    pool = "-".join(server.pool)
    screen.note(f"On {server.host.name}: dnsmasq, a DHCP server that gives {pool}.", "")
