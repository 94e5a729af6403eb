"""What an AviInfraSetting means for a VIP: which pools, which engines, how it is announced.

Both generations of the object are read: ``network.names`` (before AKO 1.5.1) and
``network.vipNetworks``. Each field that is missing or unknown falls back alone, as in AKO.
"""

from collections.abc import Container, Iterable
from typing import NamedTuple

from fairlead.dialects.reading import Hint, shown
from fairlead.dialects.view import View
from fairlead.model.claim import DEFAULT_ENGINES, Pool
from fairlead.model.kube import AviInfraSetting, AviNetwork
from fairlead.model.objects import Announce
from fairlead.model.verdict import Code, Reason

Pools = Iterable[Pool]
Doubts = tuple[Reason, ...]


class Effect(NamedTuple):
    """A setting as claims carry it. ``pools`` holds the network's name, whether or not a pool has
    it: the planner says NoPool for one that none has."""

    pools: tuple[str, ...] = ()
    engine_group: str = DEFAULT_ENGINES
    announce: Announce | None = None
    peer_labels: tuple[str, ...] = ()
    warnings: tuple[Reason, ...] = ()


def hint(name: str) -> Hint:
    """The key under which the Services of a setting are found."""
    return ("setting", name)


def effect_of(name: str, view: View) -> Effect:
    """The effect of a setting by name; the global defaults and a warning when there is none."""
    setting = view.world.find(AviInfraSetting, name)
    if setting is None:
        return Effect(warnings=(_unknown(name),))
    network = setting.spec.network or AviNetwork()
    engines, doubts = _engines(setting, view)
    names = _networks(network)
    return Effect(
        pools=names[:1],
        engine_group=engines,
        announce="bgp" if network.enable_rhi else None,
        peer_labels=_labels(network),
        warnings=(*doubts, *_network_doubts(name, network, names)),
    )


def doubts_of(setting: AviInfraSetting, *, engines: Container[str], pools: Pools) -> Doubts:
    """What is wrong with a setting by itself, whoever uses it; AKO rejects it then."""
    group = setting.spec.se_group
    network = setting.spec.network or AviNetwork()
    names = _networks(network)
    doubts = []
    if group is not None and group.name not in engines:
        doubts.append(_unknown_engines(setting, group.name))
    doubts += _network_doubts(setting.name, network, names)
    if names and not any(pool.answers_to(names[0]) for pool in pools):
        doubts.append(_unknown_network(setting, names[0]))
    return tuple(doubts)


def _networks(network: AviNetwork) -> tuple[str, ...]:
    listed = tuple(n.network_name or n.network_uuid for n in network.vip_networks or ())
    return tuple(name for name in listed or network.names or () if name)


def _labels(network: AviNetwork) -> tuple[str, ...]:
    """AKO knows labels of announced VIPs only."""
    return tuple(sorted(set(network.bgp_peer_labels or ()))) if network.enable_rhi else ()


def _engines(setting: AviInfraSetting, view: View) -> tuple[str, tuple[Reason, ...]]:
    group = setting.spec.se_group
    if group is None:
        return DEFAULT_ENGINES, ()
    rule = view.cluster.engine_names.get(group.name)
    if rule is not None:
        return rule, ()
    return DEFAULT_ENGINES, (_unknown_engines(setting, group.name),)


def _unknown_engines(setting: AviInfraSetting, name: str) -> Reason:
    message = (
        f"AviInfraSetting {setting.name}: seGroup {shown(name)} is neither an EngineGroup "
        "nor in the seGroups of one; the default engines serve instead. Add it to an EngineGroup."
    )
    return Reason(Code.UNKNOWN_ENGINE_GROUP, message, (setting.ref,))


def _unknown_network(setting: AviInfraSetting, name: str) -> Reason:
    message = (
        f"AviInfraSetting {setting.name}: no AddressPool is named {shown(name)} or lists it in "
        "spec.networks. Add it to a pool."
    )
    return Reason(Code.NO_POOL, message, (setting.ref,))


def _network_doubts(name: str, network: AviNetwork, names: tuple[str, ...]) -> tuple[Reason, ...]:
    doubts = []
    if len(names) > 1:
        doubts.append(
            f"AviInfraSetting {name}: of its {len(names)} networks only the first, "
            f"{shown(names[0])}, is used; list one."
        )
    if network.bgp_peer_labels and not network.enable_rhi:
        doubts.append(
            f"AviInfraSetting {name}: BGPPeerLabels cannot be set if EnableRhi is false. "
            "Set enableRhi to true or remove bgpPeerLabels."
        )
    return tuple(Reason(Code.INVALID_OBJECT, text) for text in doubts)


def _unknown(name: str) -> Reason:
    return Reason(
        Code.UNKNOWN_INFRA_SETTING,
        f"AviInfraSetting {shown(name)} does not exist; the global defaults apply instead. "
        "Create it or correct the annotation.",
    )
