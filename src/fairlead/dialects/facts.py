"""What the objects that everybody shares mean: pools, nodes, engine groups and the like.

They are worked out once and carried from one translation to the next, so that reading a Service
never walks over all pools or nodes. :mod:`surroundings` makes them.
"""

from typing import NamedTuple

from immutables import Map
from msgspec import Struct

from fairlead.dialects.ranges import Coverage
from fairlead.model.addresses import IPAddress
from fairlead.model.claim import EngineRule, InternalTier, PeerRule, Pool
from fairlead.model.names import Ref
from fairlead.model.verdict import Verdict


class Point(NamedTuple):
    """An InternalIP of a ready node."""

    address: IPAddress
    node: str


class Cluster(Struct, frozen=True, kw_only=True):
    """Nodes, engine groups and BGP routers.

    ``engine_names``: the name or alias of an engine group -> the name of its rule. ``serving``: the
    nodes that are engines. ``points``: the InternalIPs of ready nodes in order; ``workers``: those
    of nodes without the control plane.
    """

    engine_rules: Map[str, EngineRule] = Map()
    engine_names: Map[str, str] = Map()
    serving: frozenset[str] = frozenset()
    points: tuple[Point, ...] = ()
    workers: tuple[Point, ...] = ()
    node_addresses: Map[IPAddress, Ref] = Map()
    peers: tuple[PeerRule, ...] = ()
    verdicts: Map[Ref, Verdict] = Map()


class Tiers(Struct, frozen=True):
    """How the cloud provider's ConfigMap ``source`` shapes addresses: the pools to allocate from by
    name (none = any) and the internal tier."""

    source: Ref
    pools: tuple[str, ...] = ()
    internal: InternalTier | None = None


class Broken(Struct, frozen=True):
    """The cloud provider's ConfigMap is there and cannot be used; its own verdict says why."""

    source: Ref


class Space(Struct, frozen=True, kw_only=True):
    """Pools and what defines some. ``declared``: where an AddressPool's own entries lie, whole;
    ``tiers``: what the cloud provider's ConfigMap says, None without one."""

    pools: tuple[Pool, ...] = ()
    declared: Coverage = Coverage()
    tiers: Tiers | Broken | None = None
    verdicts: Map[Ref, Verdict] = Map()


class Facts(NamedTuple):
    """Everything that is shared. ``settings``: what is wrong with AviInfraSettings."""

    cluster: Cluster = Cluster()
    space: Space = Space()
    settings: Map[Ref, Verdict] = Map()
