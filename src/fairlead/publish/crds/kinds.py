"""The kinds of ``fairlead.dev``."""

from fairlead.publish.crds.definition import Definition
from fairlead.publish.crds.engines import engine_groups
from fairlead.publish.crds.leases import leases
from fairlead.publish.crds.peers import peers
from fairlead.publish.crds.pools import pools
from fairlead.publish.crds.reports import engines
from fairlead.publish.crds.virtualips import virtual_ips

VERSIONS = ("v1alpha1",)


def definitions() -> tuple[Definition, ...]:
    """All of Fairlead's own, by name."""
    made = (leases, pools, peers, engine_groups, engines, virtual_ips)
    return tuple(kind(VERSIONS) for kind in made)
