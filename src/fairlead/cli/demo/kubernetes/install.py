"""A cluster as it was before, and Fairlead put there."""

import secrets
import time

from fairlead.cli.demo import screen
from fairlead.cli.demo.deviation import Deviation
from fairlead.cli.demo.kubernetes.site import LONG, SYSTEM, Site

STRICT, OPEN = "handleUnclassed: false", "handleUnclassed: true"
"""The documents' Services name no class."""
INDENT = 4 * " "
"""Of settings in the ConfigMap."""
SECRET = (
    *("-n", SYSTEM, "create", "secret", "generic", "fairlead-fence"),
    "--from-file=key=/dev/stdin",
)
"""What the fences know each other by."""
RANDOM = "openssl rand -hex 32"
READY = {"fairlead-agent": 2, "fairlead-controller": 2}


def install(site: Site, *more: str) -> None:
    """The manifests of the source tree, unchanged but for one setting, and ``more`` of them."""
    site.show("get", "nodes")
    manifests = (site.top / "deploy" / "install.yaml").read_text()
    if STRICT not in manifests:
        raise Deviation(expected=f"'{STRICT}' in deploy/install.yaml", seen="it is not there")
    started = time.monotonic()
    settings = f"\n{INDENT}".join((OPEN, *more))
    typed = settings.replace("\n", "\\n")
    screen.command(
        f"sed 's/{STRICT}/{typed}/' deploy/install.yaml | kubectl apply --server-side -f -"
    )
    edited = manifests.replace(STRICT, settings)
    said = site.kubectl("apply", "--server-side", "-f", "-", input=edited)
    screen.note(f"{len(said.splitlines())} objects: definitions, rights, controller and agents")
    site.show(*SECRET, input=secrets.token_hex(32), shown=f"{RANDOM} | kubectl {' '.join(SECRET)}")
    site.until(lambda: _ready(site), lambda seen: seen == READY, expected=f"{READY}", patience=LONG)
    site.until(site.leader, bool, expected="one replica leads")
    screen.note(f"in place after {time.monotonic() - started:.1f} s")
    site.show("-n", SYSTEM, "get", "pods")
    site.show("-n", SYSTEM, "get", "lease")


def _ready(site: Site) -> dict[str, int]:
    """How many pods of each workload are ready."""
    found = site.read("daemonsets,deployments", "-n", SYSTEM)["items"]
    return {one["metadata"]["name"]: _count(one["status"]) for one in found}


def _count(status: dict[str, int]) -> int:
    return status.get("numberReady", status.get("readyReplicas", 0))
