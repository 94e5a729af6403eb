"""The shared facts of a world, made anew only where the objects behind them changed."""

from collections.abc import Iterable

from immutables import Map

from fairlead.dialects import avi, engines, nodes, peers, pools, vcd
from fairlead.dialects.facts import Cluster, Facts, Space
from fairlead.dialects.ranges import coverage
from fairlead.dialects.reading import accepted
from fairlead.model.kube import AviInfraSetting, ConfigMap, Node
from fairlead.model.names import Ref
from fairlead.model.objects import AddressPool, BGPPeer, EngineGroup
from fairlead.model.verdict import Verdict
from fairlead.model.virtualip import VirtualIP
from fairlead.model.world import World

CLUSTER_KINDS = frozenset({Node.KIND, EngineGroup.KIND, VirtualIP.KIND, BGPPeer.KIND})


SETTING_KINDS = frozenset({AviInfraSetting.KIND, EngineGroup.KIND, AddressPool.KIND})


def shapes_space(ref: Ref) -> bool:
    """Whether the object defines pools."""
    return ref.kind == AddressPool.KIND or (
        ref.kind == ConfigMap.KIND and ref.name == vcd.CONFIG_MAP
    )


def facts_of(world: World) -> Facts:
    """The facts of a world, from nothing."""
    cluster, space = _cluster(world), _space(world)
    return Facts(cluster, space, _settings(world, cluster, space))


def renewed(facts: Facts, before: World, world: World, touched: Iterable[Ref]) -> Facts:
    """The facts of the world that the ``touched`` objects of ``before`` led to. A part that did not
    change is the identical object."""
    cluster, space, settings = facts
    if world.host != before.host or any(
        ref.kind in CLUSTER_KINDS and _moved(ref, before, world) for ref in touched
    ):
        cluster = _kept(cluster, _cluster(world))
    if any(map(shapes_space, touched)):
        fresh = _space(world)
        space = space if fresh == space else fresh
    if any(ref.kind in SETTING_KINDS for ref in touched):
        judged = _settings(world, cluster, space)
        settings = settings if judged == settings else judged
    return Facts(cluster, space, settings)


def _moved(ref: Ref, before: World, world: World) -> bool:
    """Whether a change concerns anybody: of a node, heartbeats and images do not; of a VirtualIP,
    only a reservation does."""
    if ref.kind == VirtualIP.KIND:
        pair = before.find(VirtualIP, ref.name), world.find(VirtualIP, ref.name)
        return any(one is not None and one.spec.reserve for one in pair)
    if ref.kind != Node.KIND:
        return True
    old, new = before.find(Node, ref.name), world.find(Node, ref.name)
    if old is None or new is None:
        return old is not new
    return (
        (old.ready, old.cordoned) != (new.ready, new.cordoned)
        or old.metadata.labels != new.metadata.labels
        or (old.status and old.status.addresses) != (new.status and new.status.addresses)
    )


def _kept(old: Cluster, new: Cluster) -> Cluster:
    """The new facts, with each table that is equal to the old one shared with it."""
    return Cluster(
        engine_rules=old.engine_rules if old.engine_rules == new.engine_rules else new.engine_rules,
        engine_names=old.engine_names if old.engine_names == new.engine_names else new.engine_names,
        serving=old.serving if old.serving == new.serving else new.serving,
        points=old.points if old.points == new.points else new.points,
        workers=old.workers if old.workers == new.workers else new.workers,
        node_addresses=(
            old.node_addresses if old.node_addresses == new.node_addresses else new.node_addresses
        ),
        peers=old.peers if old.peers == new.peers else new.peers,
        verdicts=old.verdicts if old.verdicts == new.verdicts else new.verdicts,
    )


def _cluster(world: World) -> Cluster:
    machines = world.nodes()
    groups = sorted(world.every(EngineGroup), key=lambda group: group.name)
    names, verdicts = engines.read_aliases(groups)
    owners, doubts = nodes.own_addresses(machines)
    owners |= nodes.reserved(world.every(VirtualIP))
    leave = world.config.cordoned == "Leave"
    rules = engines.read_rules(groups, machines, host=world.host, leave=leave)
    routers, refused = peers.read_peers(world.every(BGPPeer), machines)
    return Cluster(
        engine_rules=Map(rules),
        serving=frozenset(e.name for rule in rules.values() for e in rule.engines if e.node),
        engine_names=Map(names),
        points=nodes.points_of(machines),
        workers=nodes.points_of(filter(nodes.is_worker, machines)),
        node_addresses=Map(owners),
        peers=routers,
        verdicts=Map({**verdicts, **doubts, **refused}),
    )


def _space(world: World) -> Space:
    provider = vcd.read_config(world)
    names = [pool.name for pool in provider.pools]
    found, spans, verdicts = pools.read_pools(world.every(AddressPool), names)
    return Space(
        pools=pools.in_order((*found, *provider.pools)),
        declared=coverage(spans),
        tiers=provider.tiers,
        verdicts=provider.verdicts.update(verdicts),
    )


def _settings(world: World, cluster: Cluster, space: Space) -> Map[Ref, Verdict]:
    found = {}
    for setting in world.every(AviInfraSetting):
        names, given = cluster.engine_names, space.pools
        doubts = avi.doubts_of(setting, engines=names, pools=given)
        if doubts:
            found[setting.ref] = accepted(setting.ref, doubts)
    return Map(found)
