"""The document "Kubernetes Load-Balancer service" of kube-vip."""

from fairlead.cli.demo import screen
from fairlead.cli.demo.ako import FILES
from fairlead.cli.demo.kernel import Rows
from fairlead.cli.demo.site import Site
from fairlead.cli.demo.traffic import Target, answered

ADDRESS = "192.168.0.220"
PODS = ("10.244.0.100:80", "10.244.0.101:80")
OURS = ("pool.yaml", "pods.yaml", "http.yaml")


def shared(site: Site) -> None:
    """Both on one address, with different ports."""
    names = site.deploy("test-deploy", tcp=80)
    site.manifests.remove(*FILES)
    site.manifests.copy("kube-vip-shared-ip", *OURS)
    screen.note("edit: http.yaml of examples/kube-vip-shared-ip instead")
    served = f"Served {ADDRESS}"
    rows: Rows = {f"{ADDRESS}:80/TCP": PODS, f"{ADDRESS}:81/TCP": PODS}
    screen.services(site.engine.until({"http1": served, "http2": served}, rows))
    for port in (80, 81):
        target = Target(ADDRESS, port)
        screen.answers(target, answered(site.client, target, names))
