"""Everything goes again: first what was served, then who served it."""

from fairlead.cli.demo import screen
from fairlead.cli.demo.kernel import TABLE
from fairlead.cli.demo.kubernetes.failures import TARGETS
from fairlead.cli.demo.kubernetes.languages import ONE, TWO
from fairlead.cli.demo.kubernetes.refusal import THREE
from fairlead.cli.demo.kubernetes.site import LONG, SYSTEM, Site
from fairlead.cli.demo.traffic import Target, ask, tell
from fairlead.lab.probe import Answer, Outcome


def clean(site: Site) -> None:
    """Services deleted, then agents and controllers; nothing is left on the nodes."""
    site.show("delete", "service", ONE, TWO, THREE, "http1", "http2", "web")
    site.until(
        lambda: (site.ledger(), site.holders()),
        lambda seen: seen == ({}, {}),
        expected="no VirtualIP, and no node with an address",
    )
    for target in TARGETS:
        screen.request(target, tell(_unanswered(site, target)))
    site.show("-n", SYSTEM, "delete", "daemonset,deployment", "--all")
    site.until(
        lambda: _tables(site),
        lambda seen: not seen,
        expected=f"no node has a table {TABLE}",
        patience=LONG,
    )
    screen.note(f"no node has an address or a table of Fairlead's: {', '.join(site.nodes)}")


def _unanswered(site: Site, target: Target) -> Outcome:
    """Wait until nobody answers whom the client finds anew: where the VIP was, kube-proxy needs a
    moment to let go of it."""

    def look() -> Outcome:
        site.client.ip("neigh", "flush", "dev", "lan")
        return ask(site.client, target)

    return site.until(
        look,
        lambda seen: not isinstance(seen, Answer),
        expected=f"no answer from {target}",
    )


def _tables(site: Site) -> list[str]:
    """The nodes that have Fairlead's table."""
    return [name for name, kernel in site.kernels.items() if kernel.look().table]
