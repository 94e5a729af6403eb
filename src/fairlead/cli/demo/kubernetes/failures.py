"""What may die: the leading controller, the API server. Nobody who uses a VIP notices."""

import time

from fairlead.cli.demo import screen
from fairlead.cli.demo.deviation import Deviation
from fairlead.cli.demo.kubernetes.languages import SHARED, STATIC
from fairlead.cli.demo.kubernetes.site import LONG, SYSTEM, Site
from fairlead.cli.demo.kubernetes.steady import Steady
from fairlead.cli.demo.traffic import Target, answered

TARGETS = (Target(SHARED, 80), Target(STATIC, 80))
LATE = "192.0.2.11"
OUTAGE = 3.0
"""Seconds without an API server, besides those that it takes to start."""
API = "kube-apiserver"


def leader(site: Site) -> None:
    """It ends without a word; another one leads when its Lease is over."""
    ledger, holders, first = site.ledger(), site.holders(), site.leader()
    with Steady(site.client, *TARGETS):
        started = time.monotonic()
        site.show("-n", SYSTEM, "delete", "pod", first, "--force", "--grace-period=0")
        site.show(
            *("expose", "deployment", "web", "--name=late", "--port=80", "--target-port=8080"),
            "--type=LoadBalancer",
        )
        site.show("get", "service", "late")
        heir = site.until(
            site.leader,
            lambda now: now not in ("", first),
            expected=f"somebody else than {first} leads",
            patience=LONG,
        )
        taken = time.monotonic() - started
        screen.note(f"{heir} leads {taken:.1f} s after the death of {first}; the Lease is 10 s")
        site.served(late=(LATE,))
        site.show("get", "service", "late")
    late = Target(LATE, 80)
    screen.answers(late, answered(site.client, late, site.pods("web")))
    now = site.ledger()
    now.pop(LATE)
    _same(site, now, ledger, holders)


def api_server(site: Site) -> None:
    """It is killed and started again; nothing moves, and Fairlead follows as before."""
    ledger, holders = site.ledger(), site.holders()
    with Steady(site.client, *TARGETS):
        site.lab.control.kill(API)
        screen.note(f"kill -9 of {API}")
        screen.command("kubectl get services")
        screen.output(site.refusal("get", "services"))
        time.sleep(OUTAGE)
        started = time.monotonic()
        site.lab.control.start(API)
        site.lab.control.wait_ready()
        screen.note(f"{API} serves again {time.monotonic() - started:.1f} s after its start")
        site.show("delete", "service", "late")
        site.until(site.holders, lambda seen: LATE not in seen, expected=f"nobody holds {LATE}")
        screen.note(f"{LATE} is withdrawn: Fairlead follows again")
    ledger.pop(LATE)
    _same(site, site.ledger(), ledger, holders)


def _same(
    site: Site, now: dict[str, str], before: dict[str, str], holders: dict[str, set[str]]
) -> None:
    if now != before:
        raise Deviation(expected=f"the ledger as it was: {before}", seen=now)
    held = {a: who for a, who in site.holders().items() if a != LATE}
    if held != (was := {a: who for a, who in holders.items() if a != LATE}):
        raise Deviation(expected=f"the same holders: {was}", seen=held)
    screen.note(f"{len(before)} VirtualIPs: none was written, none has moved")
