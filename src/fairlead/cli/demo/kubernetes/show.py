"""The steps in their order."""

import time
from collections.abc import Callable
from pathlib import Path

from fairlead.cli.demo import screen
from fairlead.cli.demo.kubernetes import failures, install, languages, nft, refusal, removal
from fairlead.cli.demo.kubernetes.site import Site, standing
from fairlead.cli.demo.show import walk

STEPS: tuple[tuple[str, Callable[[Site], None]], ...] = (
    ("A cluster, and Fairlead put there", install.install),
    ("AKO, the two Services of the document: <pending>, and then one address", languages.ako),
    ("kube-vip, the two commands of the document", languages.kubevip),
    ("Fairlead's own class, both families, externalTrafficPolicy Local", languages.own),
    ("A Service that cannot be served says why, and heals", refusal.refused),
    ("dataplane nft: Fairlead carries the traffic itself", nft.carried),
    ("The leading controller is killed", failures.leader),
    ("The API server is killed", failures.api_server),
    ("Clean-up", removal.clean),
)


def perform(top: Path, *, pause: Callable[[], None] | None) -> None:
    """Build the cluster and show everything. ``top``: the source tree. Raises
    :class:`~fairlead.cli.demo.deviation.Deviation` at the first thing that is not as it must be,
    with the cluster gone by then."""
    started = time.monotonic()
    with standing(top) as site:
        hosts = ", ".join(site.lab.hosts)
        built = time.monotonic() - started
        screen.note(f"Cluster {site.lab.name}, built in {built:.1f} s, of namespaces: {hosts}", "")
        screen.note(
            "Below: what kubectl says, as it is; what is checked besides; who answers the client.",
            "",
        )
        walk(STEPS, site, pause=pause)
    taken = time.monotonic() - started
    screen.heading(f"All {len(STEPS)} steps as expected, in {taken:.0f} s. The cluster is gone.")
