"""A Service on the internet: its port is opened on the gateway, and closed again."""

from fairlead.cli.demo import screen
from fairlead.cli.demo.deviation import Deviation
from fairlead.cli.demo.kubernetes.site import LONG
from fairlead.cli.demo.lan.stage import Stage
from fairlead.cli.demo.traffic import Target, ask
from fairlead.lab.probe import Answer

NAMESPACE = "plunder"
APP = "plunder-nginx"
EXAMPLE = "kube-vip-upnp"
PORT = 32380


def opened(stage: Stage) -> None:
    """The document's Service, from an address on the LAN to an answer on the internet."""
    site, gateway = stage.site, stage.gateway
    site.show("create", "namespace", NAMESPACE)
    image = ("--image=echo", "--port=80")
    site.show("-n", NAMESPACE, "create", "deployment", APP, *image)
    site.apply(f"{EXAMPLE}/pool.yaml")
    site.apply(f"{EXAMPLE}/service.yaml")
    vip = site.until(
        lambda: _shown(stage), lambda seen: len(seen) == 1, expected="a VIP", patience=LONG
    )
    site.kubectl("-n", NAMESPACE, "rollout", "status", f"deployment/{APP}")
    gateway.start()
    screen.note(f"the router is switched on: miniupnpd, outside {gateway.address}")
    wanted = (*vip, gateway.address)
    site.until(
        lambda: _shown(stage),
        lambda seen: seen == wanted,
        expected=f"{APP} at {' and '.join(wanted)}",
        patience=LONG,
    )
    site.show("-n", NAMESPACE, "get", "service", APP)
    _asked(stage)
    said = site.show("fairlead", "explain", f"svc/{NAMESPACE}/{APP}")
    if f"{gateway.address}:{PORT}" not in said:
        raise Deviation(expected="'explain' shows where the port is reached", seen=said)
    for rule in gateway.rules():
        screen.note(f"the router: {rule}")


def closed(stage: Stage) -> None:
    """Nothing is left on the gateway."""
    site, gateway = stage.site, stage.gateway
    site.show("-n", NAMESPACE, "delete", "service", APP)
    site.until(gateway.rules, lambda rules: rules == [], expected="no mapping", patience=LONG)
    outcome = ask(gateway.outside, Target(gateway.address, PORT))
    if isinstance(outcome, Answer):
        raise Deviation(expected="no answer on the internet", seen=outcome)
    screen.note("the router has no mapping, and nobody on the internet is answered")


def _shown(stage: Stage) -> tuple[str, ...]:
    status = stage.site.read("service", APP, "-n", NAMESPACE)["status"]
    entries = status.get("loadBalancer", {}).get("ingress") or ()
    return tuple(one["ip"] for one in entries)


def _asked(stage: Stage) -> None:
    target = Target(stage.gateway.address, PORT)
    outcome = stage.site.until(
        lambda: ask(stage.gateway.outside, target),
        lambda seen: isinstance(seen, Answer),
        expected=f"an answer from {target} on the internet",
        patience=LONG,
    )
    name = outcome.name if isinstance(outcome, Answer) else ""
    screen.request(target, f"from the internet: answered by {name}")
