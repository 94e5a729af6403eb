"""A Service that cannot be served: its reason, its Event, and that it heals."""

import textwrap

from fairlead.cli.demo import screen
from fairlead.cli.demo.deviation import Deviation
from fairlead.cli.demo.kubernetes.kubeproxy import passed
from fairlead.cli.demo.kubernetes.languages import ONE, SHARED
from fairlead.cli.demo.kubernetes.site import Site
from fairlead.cli.demo.traffic import Target

THREE = "sharedvip-avisvc-lb3"
CODE = "PortConflict"
OTHER = 8081
EVENT = "jsonpath={range .items[*]}{.type} {.reason} ({.source.component}): {.message}{end}"


def refused(site: Site) -> None:
    """A third member of the shared VIP wants a port that is taken; then it does not."""
    site.apply("kubernetes/conflict.yaml")
    site.until(lambda: site.reasons(THREE), lambda seen: seen == {THREE: CODE}, expected=f"{CODE}")
    site.show("get", "service", THREE)
    if site.addresses(THREE)[THREE]:
        raise Deviation(expected=f"{THREE} has no address", seen=site.addresses(THREE))
    about = ("events", f"--field-selector=involvedObject.name={THREE},type=Warning")
    said = site.until(
        lambda: site.kubectl("get", *about, "-o", EVENT),
        lambda text: text.startswith(f"Warning {CODE} ") and f"default/{ONE}" in text,
        expected=f"one Warning {CODE} that names {ONE}",
    )
    screen.command(f"kubectl describe service {THREE}    (its Event)")
    screen.output(textwrap.fill(said, screen.WIDTH - 6, subsequent_indent="  "))
    port = f'[{{"op": "replace", "path": "/spec/ports/0/port", "value": {OTHER}}}]'
    site.show("patch", "service", THREE, "--type=json", "-p", port)
    site.served(**{THREE: (SHARED,)})
    site.show("get", "service", THREE)
    passed(site, Target(SHARED, OTHER), site.pods("avi-server"))
