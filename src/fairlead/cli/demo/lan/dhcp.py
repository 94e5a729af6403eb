"""A VIP from a DHCP server: it comes, it stays, it is given back."""

import time

from fairlead.cli.demo import screen
from fairlead.cli.demo.deviation import Deviation
from fairlead.cli.demo.kubernetes.site import LONG, Site
from fairlead.cli.demo.lan.stage import Stage
from fairlead.cli.demo.traffic import Target, ask
from fairlead.lab.probe import Answer

APP, NAME = "nginx-deployment", "nginx-dhcp"
LOOK = 0.05


def leased(stage: Stage) -> None:
    """The document's command, and what kubectl shows until the address is there."""
    site = stage.site
    site.show("create", "deployment", APP, "--image=echo", "--port=80")
    site.kubectl("rollout", "status", f"deployment/{APP}", f"--timeout={LONG:.0f}s")
    site.show(
        *("expose", "deployment", APP, "--port=80", "--type=LoadBalancer"),
        *(f"--name={NAME}", "--load-balancer-ip=0.0.0.0"),
    )
    started = time.monotonic()
    site.show("get", "service", NAME)
    address = _address(site)
    screen.note(f"{address} after {time.monotonic() - started:.1f} s")
    site.show("get", "service", NAME)
    site.show("get", "flease")
    (given,) = stage.server.leases()
    if given.address != address:
        raise Deviation(expected=f"the server has a lease of {address}", seen=given)
    screen.note(f"the server's lease file: {given.address} for {given.mac}")
    site.held({address})
    _reached(site, address)
    said = site.show("fairlead", "explain", f"svc/default/{NAME}")
    if "Bound" not in said:
        raise Deviation(expected="'explain' shows the lease", seen=said)


def kept(stage: Stage) -> None:
    """The holder is cut off; another engine answers, and goes on with the lease."""
    site = stage.site
    address = _address(site)
    (holder,) = site.holders()[address]
    (other,) = site.nodes.keys() - {holder}
    _move_pod(site, other)
    _reached(site, address)
    asked = stage.server.said().count("DHCPDISCOVER")
    started = time.monotonic()
    site.nodes[holder].cut("lan", silently=True)
    screen.note(f"{holder}, which holds {address}, is cut off from the LAN")
    try:
        _reached(site, address)
        screen.note(f"answers again {time.monotonic() - started:.1f} s later, from {other}")
        site.until(
            lambda: _engine(site),
            lambda seen: seen == other,
            expected=f"{other} holds the lease",
            patience=LONG,
        )
        site.show("get", "flease")
        site.show("get", "service", NAME)
    finally:
        site.nodes[holder].mend("lan")
    if (now := _address(site)) != address:
        raise Deviation(expected=f"the address is still {address}", seen=now)
    (given,) = stage.server.leases()
    if given.address != address or stage.server.said().count("DHCPDISCOVER") != asked:
        raise Deviation(expected=f"the same lease of {address}, confirmed", seen=given)
    screen.note(f"the server's lease file: {given.address} for {given.mac}, as before")


def given_back(stage: Stage) -> None:
    """Nothing is left, on the nodes or at the server."""
    site = stage.site
    site.show("delete", "service", NAME)
    site.until(
        lambda: ([one.address for one in stage.server.leases()], site.ledger(), site.holders()),
        lambda seen: seen == ([], {}, {}),
        expected="no lease, no VirtualIP, and no node with an address",
        patience=LONG,
    )
    screen.note("the server's lease file is empty, and no node has the address")


def _address(site: Site) -> str:
    found = site.until(
        lambda: site.addresses(NAME)[NAME], bool, expected=f"{NAME} has an address", patience=LONG
    )
    return found[0]


def _engine(site: Site) -> str:
    """The engine that said last that it has the lease."""
    (one,) = site.read("addressleases")["items"]
    return str(one.get("status", {}).get("engine", ""))


def _move_pod(site: Site, node: str) -> None:
    """Have the pod where it survives: this is about the address."""
    spec = f'{{"spec":{{"template":{{"spec":{{"nodeName":"{node}"}}}}}}}}'
    site.show("patch", "deployment", APP, "-p", spec)
    site.kubectl("rollout", "status", f"deployment/{APP}", f"--timeout={LONG:.0f}s")


def _reached(site: Site, address: str) -> None:
    """Wait until the client is answered."""
    target = Target(address, 80)
    outcome = site.until(
        lambda: ask(site.client, target),
        lambda seen: isinstance(seen, Answer),
        expected=f"an answer from {target}",
        patience=LONG,
    )
    name = outcome.name if isinstance(outcome, Answer) else ""
    screen.request(target, f"answered by {name}")
