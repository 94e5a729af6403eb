"""The document "Shared VIP" of AKO."""

import time

from fairlead.cli.demo import screen
from fairlead.cli.demo.deviation import Deviation
from fairlead.cli.demo.engine import Scene
from fairlead.cli.demo.kernel import Rows
from fairlead.cli.demo.site import Site
from fairlead.cli.demo.traffic import Target, answered, silent, tell

ONE, TWO = "sharedvip-avisvc-lb1", "sharedvip-avisvc-lb2"
FIRST, ASKED, OTHER = "100.64.196.61", "100.64.196.75", "100.64.196.76"
"""The pool's first address, the one that the document asks for, and another."""
PODS = ("10.244.0.100:8080", "10.244.0.101:8080")
NAMES = ("avi-server-a", "avi-server-b")
FILES = ("pool.yaml", "pods.yaml", "services.yaml")


def shared(site: Site) -> None:
    """No address asked for: both get one."""
    site.deploy("avi-server", tcp=8080, udp=8080)
    site.manifests.copy("ako-shared-vip", *FILES)
    screen.note("engine-1: fairlead up -f manifests    (manifests = examples/ako-shared-vip)")
    started = time.monotonic()
    site.engine.start()
    _both_on(site, FIRST, started)


def static(site: Site) -> None:
    """The example with the static address replaces the one before."""
    started = time.monotonic()
    site.manifests.copy("ako-static-address", "services.yaml")
    screen.note("edit: services.yaml of examples/ako-static-address")
    _both_on(site, ASKED, started)
    _silent(site, Target(FIRST, 80))


def mismatch(site: Site) -> None:
    """A group that was never served is not served in part; without the bad member it is."""
    site.manifests.remove("services.yaml")
    site.engine.until({}, {})
    screen.note("edit: services.yaml removed; engine-1 has no listener and no VIP any more")
    site.manifests.copy("ako-mismatch", "services.yaml")
    screen.note("edit: services.yaml of examples/ako-mismatch")
    why = "Rejected StaticAddressMismatch"
    scene = site.engine.until({ONE: why, TWO: why}, {})
    _names(scene, ONE, TWO)
    _names(scene, TWO, ONE)
    screen.services(scene)
    screen.messages(scene)
    for address in (ASKED, OTHER):
        _silent(site, Target(address, 80))
    site.manifests.put("services.yaml", site.manifests.documents("services.yaml")[:1])
    screen.note(f"edit: {TWO} removed")
    screen.services(site.engine.until({ONE: f"Served {ASKED}"}, {f"{ASKED}:80/TCP": PODS}))
    _asked(site, Target(ASKED, 80))


def conflict(site: Site) -> None:
    """The static example once more, but with TCP for both."""
    site.manifests.copy("ako-static-address", "services.yaml")
    text = "---\n".join(site.manifests.documents("services.yaml"))
    site.manifests.write("services.yaml", text.replace("    protocol: UDP\n", ""))
    screen.note(f"edit: {TWO} comes back, with TCP port 80")
    scene = site.engine.until(
        {ONE: f"Served {ASKED}", TWO: "Rejected PortConflict"}, {f"{ASKED}:80/TCP": PODS}
    )
    _names(scene, TWO, ONE)
    screen.services(scene)
    screen.messages(scene)
    _asked(site, Target(ASKED, 80))


def _both_on(site: Site, address: str, started: float) -> None:
    rows: Rows = {f"{address}:80/TCP": PODS, f"{address}:80/UDP": PODS}
    served = f"Served {address}"
    scene = site.engine.until({ONE: served, TWO: served}, rows)
    screen.note(f"in place after {time.monotonic() - started:.1f} s")
    screen.services(scene)
    for protocol in ("TCP", "UDP"):
        _asked(site, Target(address, 80, protocol))


def _asked(site: Site, target: Target) -> None:
    screen.answers(target, answered(site.client, target, NAMES))


def _silent(site: Site, target: Target) -> None:
    screen.request(target, tell(silent(site.client, target)))


def _names(scene: Scene, member: str, other: str) -> None:
    """The reason of a member says which other it is about."""
    (said,) = (entry.message for entry in scene.said.services if entry.name == member)
    if other not in said:
        raise Deviation(expected=f"the reason of {member} names {other}", seen=said)
