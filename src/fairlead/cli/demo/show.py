"""The steps in their order."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from fairlead.cli.demo import ako, faults, kubevip, screen, vcd
from fairlead.cli.demo.deviation import Deviation
from fairlead.cli.demo.site import Site, standing

Stage = TypeVar("Stage")
STEPS: tuple[tuple[str, Callable[[Site], None]], ...] = (
    ("AKO, two Services with one key (as in the document): they share one address", ako.shared),
    ("AKO, both ask for 100.64.196.75: the VIP moves there", ako.static),
    ("AKO, they ask for different addresses: no VIP, each says why, and it heals", ako.mismatch),
    ("AKO, both want TCP port 80: the older one serves, the other says why", ako.conflict),
    ("kube-vip, two Services on 192.168.0.220 (as in the document)", kubevip.shared),
    ("VMware Cloud Director, the three outcomes of one Service with two ports", vcd.outcomes),
    ("Somebody deletes the table; and a clean stop", faults.faults),
)


def perform(examples: Path, *, pause: Callable[[], None] | None) -> None:
    """Build the network and show everything. Raises :class:`Deviation` at the first thing that is
    not as it must be, with the network gone by then."""
    started = time.monotonic()
    with standing(examples) as site:
        _introduce(site, time.monotonic() - started)
        walk(STEPS, site, pause=pause)
    taken = time.monotonic() - started
    screen.heading(f"All {len(STEPS)} steps as expected, in {taken:.0f} s. The network is gone.")


def walk(
    steps: Sequence[tuple[str, Callable[[Stage], None]]],
    stage: Stage,
    *,
    pause: Callable[[], None] | None,
) -> None:
    """Show one step after another. Raises :class:`Deviation`, which says in which."""
    for number, (title, step) in enumerate(steps, 1):
        if pause is not None:
            pause()
        screen.heading(f"{number}. {title}")
        try:
            step(stage)
        except Deviation as deviation:
            deviation.where = f"in step {number}"
            raise


def _introduce(site: Site, taken: float) -> None:
    hosts = ", ".join(site.hosts)
    screen.note(f"Lab {site.name}, built in {taken:.1f} s, of namespaces: {hosts}", "")
    screen.note(
        "Below: what 'fairlead up' says, what the kernels hold, who answers the client.", ""
    )
