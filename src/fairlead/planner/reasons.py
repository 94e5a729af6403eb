"""Every sentence the planner says, in one place.

A reason names the objects it is about in ``conflicts`` as well, so that machines need not read the
text.
"""

from collections.abc import Iterable, Sequence

from fairlead.model.addresses import IPAddress
from fairlead.model.claim import Claim, Pool
from fairlead.model.dhcp import Leased
from fairlead.model.names import GroupKey, Protocol, Ref
from fairlead.model.verdict import Code, Reason

FAMILY = {4: "IPv4", 6: "IPv6"}


def named(refs: Iterable[Ref], most: int = 3) -> str:
    """A short list of objects for a sentence."""
    names = [f"{ref.namespace}/{ref.name}" if ref.namespace else str(ref) for ref in refs]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def wish(claim: Claim) -> str:
    """The static addresses a claim asks for."""
    return ", ".join(a.compressed for a in claim.addresses)


def static_mismatch(claim: Claim, others: Sequence[Claim], *, served: bool) -> Reason:
    """Members of one VIP ask for different static addresses; ``served``: it stays meanwhile."""
    told = "; ".join(f"{named([o.ref])} asks for {wish(o)}" for o in others[:3])
    mine = f"asks for static address {wish(claim)}" if claim.addresses else "asks for no address"
    serving = " The VIP stays where it is." if served else ""
    return Reason(
        Code.STATIC_ADDRESS_MISMATCH,
        f"{mine}, but it shares its VIP, and {told}.{serving} "
        "Give all of them the same address, or none.",
        conflicts=tuple(o.ref for o in others),
    )


def setting_mismatch(claim: Claim, others: Sequence[Claim]) -> Reason:
    """Members of one VIP carry different infra settings."""
    told = "; ".join(f"{named([o.ref])} has {o.setting or 'none'}" for o in others[:3])
    return Reason(
        Code.INFRA_SETTING_MISMATCH,
        f"has AviInfraSetting {claim.setting or 'none'}, but it shares its VIP, and {told}. "
        "All Services that share a VIP must have the same one.",
        conflicts=tuple(o.ref for o in others),
    )


def port_conflict(protocol: Protocol, port: int, holder: Ref) -> Reason:
    """A (protocol, port) of the VIP is taken."""
    return Reason(
        Code.PORT_CONFLICT,
        f"{protocol} port {port} of the shared VIP is already served for {named([holder])}. "
        "Use another port, or another address.",
        conflicts=(holder,),
    )


def class_mismatch(claim: Claim, others: Sequence[Claim]) -> Reason:
    """A member of a shared VIP names another controller's class."""
    beside = f", unlike {named(o.ref for o in others)} which it wants to share a VIP with"
    return Reason(
        Code.CLASS_MISMATCH,
        f"spec.loadBalancerClass is {claim.foreign_class}{beside if others else ''}; "
        "Fairlead does not serve that class.",
        conflicts=tuple(o.ref for o in others),
    )


def namespace_closed(pool: Pool, holder: Ref) -> Reason:
    """The pool does not let namespaces share an address."""
    return Reason(
        Code.ADDRESS_IN_USE,
        f"the address is held for {named([holder])}, and pool {pool.name} does not share "
        "addresses across namespaces (spec.sharing.crossNamespace).",
        conflicts=(holder,),
    )


def policy_conflict(holder: Sequence[Ref]) -> Reason:
    """Local members whose nodes do not meet."""
    return Reason(
        Code.TRAFFIC_POLICY_CONFLICT,
        "externalTrafficPolicy is Local, and no node has ready endpoints of this Service and of "
        f"{named(holder)}, which share the VIP; it waits for a pod on such a node.",
        conflicts=tuple(holder),
    )


def address_in_use(address: IPAddress, group: GroupKey, holders: Sequence[Ref]) -> Reason:
    """The static address belongs to another group."""
    by = f" for {named(holders)}" if holders else f" by {group}"
    return Reason(
        Code.ADDRESS_IN_USE,
        f"static address {address.compressed} is held{by}. Ask for another address, or share that "
        "VIP the way its language provides.",
        conflicts=tuple(holders),
    )


def beside(asking: Sequence[Claim], reason: Reason) -> Reason:
    """Another member's static address cannot be had, so the never served group is not served."""
    return Reason(
        reason.code,
        f"it shares its VIP with {named(c.ref for c in asking)}, whose {reason.message}",
        conflicts=tuple(c.ref for c in asking),
    )


def node_address(address: IPAddress, node: Ref) -> Reason:
    """The static address is a node's own, or reserved."""
    why = "is the own address of" if node.kind == "Node" else "is reserved by"
    return Reason(
        Code.ADDRESS_IN_USE,
        f"static address {address.compressed} {why} {node}; a VIP must not be.",
        conflicts=(node,),
    )


def not_in_pool(address: IPAddress, closed: Sequence[Pool], pools: Sequence[Pool]) -> Reason:
    """No pool that the claim may use holds the static address."""
    if closed:
        text = f"lies in pool {closed[0].name}, which this Service may not use"
    elif pools:
        text = f"is in no pool that it may use ({', '.join(p.name for p in pools[:5])})"
    else:
        text = "is in no pool"
    return Reason(
        Code.ADDRESS_NOT_IN_POOL,
        f"static address {address.compressed} {text}. Use an address of a pool, or add it to one.",
        pools=(),
    )


def no_pool(names: Sequence[str], claim: Claim) -> Reason:
    """No pool to allocate from."""
    if names:
        what = f"no AddressPool is named or has the network {', '.join(names)}"
    else:
        what = f"no AddressPool may be used by Services of namespace {claim.ref.namespace}"
    return Reason(Code.NO_POOL, f"{what}. It is served as soon as there is one.")


def no_family(families: Sequence[int], pools: Sequence[Pool]) -> Reason:
    """The pools have no addresses of a wanted family."""
    wanted = " and ".join(FAMILY[f] for f in families)
    return Reason(
        Code.FAMILY_UNAVAILABLE,
        f"no pool that it may use ({', '.join(p.name for p in pools)}) has {wanted} addresses.",
    )


def exhausted(pools: Sequence[Pool]) -> Reason:
    """Every usable pool is full; sizes and holders are added when it is shown."""
    return Reason(
        Code.POOL_EXHAUSTED,
        "no free address; it is served as soon as one is released.",
        pools=tuple(p.name for p in pools),
    )


def degraded(missing: int) -> Reason:
    """PreferDualStack got one family only."""
    return Reason(
        Code.FAMILY_UNAVAILABLE,
        f"ipFamilyPolicy is PreferDualStack, and no {FAMILY[missing]} address is free: "
        "served with one family.",
    )


def no_lease(families: Sequence[int], leased: Sequence[Leased]) -> Reason:
    """No address from DHCP: nobody said anything yet, or a server said no."""
    wanted = " and ".join(FAMILY[f] for f in families)
    if not leased:
        text = f"its {wanted} address comes from DHCP, and no server has given one yet."
        return Reason(Code.WAITING_FOR_DHCP, text)
    code = Code.DHCP_LEASE_LOST if leased[0].state == "Lost" else Code.DHCP_REFUSED
    said = "; ".join(dict.fromkeys(one.message for one in leased if one.message))
    text = f"no {wanted} address from DHCP: {said or 'refused'}. It is asked for again and again."
    return Reason(code, text)


def hostname_taken(name: str, client_id: str, holder: Ref) -> Reason:
    """Two groups give one hostname, which would make them one client of the DHCP server."""
    return Reason(
        Code.HOSTNAME_TAKEN,
        f"hostname {name} is the DHCP client identifier of {named([holder])} already, so this one "
        f"asks as {client_id}. Give it a hostname of its own.",
        conflicts=(holder,),
    )


def not_announced(labels: Sequence[str]) -> Reason:
    """The VIP is served, but no router is told where it is. ``labels``: which would be."""
    which = f" with one of the labels {', '.join(labels)}" if labels else ""
    return Reason(
        Code.NOT_ANNOUNCED,
        f"it is to be announced by BGP, and there is no BGPPeer{which} for its addresses: create "
        "one, or let its pool or infra setting announce it by l2.",
    )


def one_holder(scale: int) -> Reason:
    """More engines are asked for than can hold the VIP."""
    return Reason(
        Code.INVALID_OBJECT,
        f"{scale} engines are asked for, and one has it: on a LAN an address has one holder. Let "
        "its pool or infra setting announce it by bgp.",
    )


def one_interface(chosen: str, others: Sequence[str]) -> Reason:
    """Members of a VIP ask for different interfaces."""
    return Reason(
        Code.INVALID_OBJECT,
        f"its members ask for different interfaces, and {chosen} has it instead of "
        f"{', '.join(others)}: ask for one.",
    )


def no_backend() -> Reason:
    """Nothing can answer yet."""
    return Reason(Code.NO_READY_BACKEND, "it holds its address, but no backend is ready.")


def no_engine(group: str) -> Reason:
    """Nobody can hold the VIP."""
    return Reason(
        Code.NO_READY_ENGINE, f"it holds its address, but engine group {group} has no ready engine."
    )


def engines_full(group: str, most: int) -> Reason:
    """Nobody may hold one VIP more."""
    return Reason(
        Code.NO_READY_ENGINE,
        f"it holds its address, but every engine of group {group} holds its maxVipsPerEngine of "
        f"{most}: add engines, or raise it.",
    )
