"""BGPPeers, checked and typed: which routers, and which engines speak to each.

The API server checks the same by the CRD's rules; manifests from files never met it. Of two objects
for one router, the older one is used.
"""

from collections.abc import Iterable, Sequence

from fairlead.dialects.engines import labels_of
from fairlead.dialects.reading import invalid
from fairlead.model.addresses import IPAddress, IPNetwork, parse_address, parse_network
from fairlead.model.claim import PeerRule
from fairlead.model.kube import Node
from fairlead.model.names import Ref
from fairlead.model.objects import BGPPeer, BGPPeerSpec
from fairlead.model.peers import BfdTimes, BgpPeer, Community, parse_community
from fairlead.model.verdict import Code, Reason, State, Verdict


def read_peers(
    objects: Iterable[BGPPeer], nodes: Sequence[Node]
) -> tuple[tuple[PeerRule, ...], dict[Ref, Verdict]]:
    """The routers by name, and why others are not used."""
    rules: list[PeerRule] = []
    verdicts: dict[Ref, Verdict] = {}
    owners: dict[IPAddress | IPNetwork, Ref] = {}
    for one in sorted(objects, key=_age):
        peer = _peer(one.spec)
        if not isinstance(peer, Reason) and owners.setdefault(peer.remote, one.ref) != one.ref:
            peer = _doubled(peer, owners[peer.remote])
        if isinstance(peer, Reason):
            verdicts[one.ref] = Verdict(one.ref, State.REJECTED, peer)
        else:
            rules.append(PeerRule(one.name, peer, _engines(one.spec, nodes)))
    return tuple(sorted(rules, key=lambda rule: rule.name)), verdicts


def _age(one: BGPPeer) -> tuple[str, str]:
    return one.metadata.creation_timestamp or "", one.name


def _engines(spec: BGPPeerSpec, nodes: Sequence[Node]) -> frozenset[str] | None:
    selector = spec.node_selector
    if selector is None:
        return None
    return frozenset(node.name for node in nodes if selector.matches(labels_of(node)))


def _peer(spec: BGPPeerSpec) -> BgpPeer | Reason:
    remote = _remote(spec)
    communities = _communities(spec)
    if isinstance(remote, Reason):
        return remote
    if isinstance(communities, Reason):
        return communities
    if spec.hold_seconds < 3 * spec.keepalive_seconds:
        why = f"is less than three times keepaliveSeconds ({spec.keepalive_seconds})"
        return invalid("spec.holdSeconds", spec.hold_seconds, why)
    return BgpPeer(
        remote=remote,
        asn=spec.peer_asn,
        local_asn=spec.local_asn,
        port=spec.port,
        password=spec.password,
        hops=spec.ebgp_multihop,
        keepalive=spec.keepalive_seconds,
        hold=spec.hold_seconds,
        bfd=_times(spec),
        communities=communities,
        local_preference=spec.local_preference,
        prepend=spec.as_path_prepend,
        graceful_restart=spec.graceful_restart,
        labels=frozenset(spec.labels or ()),
    )


def _remote(spec: BGPPeerSpec) -> IPAddress | IPNetwork | Reason:
    if bool(spec.address) == bool(spec.listen_range):
        return Reason(Code.INVALID_OBJECT, "give either spec.address or spec.listenRange.")
    try:
        if spec.address:
            return parse_address(spec.address)
        return parse_network(spec.listen_range)
    except ValueError:
        if spec.address:
            return invalid("spec.address", spec.address, "is not an IP address")
        return invalid("spec.listenRange", spec.listen_range, "is not a CIDR")


def _communities(spec: BGPPeerSpec) -> tuple[Community, ...] | Reason:
    found = set()
    for text in spec.communities or ():
        try:
            found.add(parse_community(text))
        except ValueError:
            why = "is no community; write a:b, a:b:c or a well-known name such as no-export"
            return invalid("spec.communities", text, why)
    return tuple(sorted(found))


def _times(spec: BGPPeerSpec) -> BfdTimes | None:
    if not spec.bfd:
        return None
    given = spec.bfd_timers
    return (
        BfdTimes() if given is None else BfdTimes(given.transmit, given.receive, given.multiplier)
    )


def _doubled(peer: BgpPeer, owner: Ref) -> Reason:
    text = f"{owner} is about {peer.remote} already, and older; remove one of them."
    return Reason(Code.INVALID_OBJECT, text, (owner,))
