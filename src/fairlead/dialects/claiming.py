"""A language's wish and the terms every Service shares, put together as one claim."""

from msgspec import Struct

from fairlead.dialects.backends import Traffic
from fairlead.dialects.reading import Hint, Reading, rejected
from fairlead.dialects.scale import scale_in
from fairlead.dialects.terms import read_terms
from fairlead.dialects.view import View
from fairlead.model.addresses import IPAddress
from fairlead.model.claim import DEFAULT_ENGINES, Claim, InternalTier
from fairlead.model.dhcp import DhcpWish
from fairlead.model.kube import Service
from fairlead.model.names import GroupKey, Ref
from fairlead.model.objects import Announce
from fairlead.model.verdict import Reason


class Wish(Struct, frozen=True, gc=False, kw_only=True):
    """What one language adds to the common terms; the fields are those of
    :class:`~fairlead.model.claim.Claim`. ``asked``: the addresses as they were written, where that
    is something else (``0.0.0.0``)."""

    dialect: str
    group: GroupKey | None
    addresses: tuple[IPAddress, ...] = ()
    pools: tuple[str, ...] = ()
    setting: str = ""
    engine_group: str = DEFAULT_ENGINES
    announce: Announce | None = None
    peer_labels: tuple[str, ...] = ()
    internal: InternalTier | None = None
    outside_pools: bool = False
    hostname: str = ""
    interface: str = ""
    dhcp: DhcpWish | None = None
    asked: tuple[IPAddress, ...] = ()
    forward: int | None = None
    warnings: tuple[Reason, ...] = ()
    hints: tuple[Hint, ...] = ()


def claim_of(ref: Ref, service: Service, view: View, *, wish: Wish, traffic: Traffic) -> Reading:
    """The claim of a Service, or its rejection when a common field cannot be read."""
    terms = read_terms(service, wish.asked or wish.addresses)
    if isinstance(terms, Reason):
        return rejected(ref, terms, dialect=wish.dialect, group=wish.group)
    scale, doubts = scale_in(service)
    claim = Claim(
        ref=ref,
        dialect=wish.dialect,
        group=wish.group,
        created=service.metadata.creation_timestamp or "",
        addresses=wish.addresses,
        families=terms.families.order,
        family_policy=terms.families.policy,
        listeners=traffic.listeners,
        pools=wish.pools,
        setting=wish.setting,
        engine_group=wish.engine_group,
        announce=wish.announce,
        peer_labels=wish.peer_labels,
        local=terms.local,
        affinity_seconds=terms.affinity_seconds,
        source_ranges=terms.source_ranges,
        internal=wish.internal,
        outside_pools=wish.outside_pools,
        via=traffic.via,
        labels=service.metadata.labels,
        namespace_labels=view.around(ref.namespace).labels,
        hostname=wish.hostname,
        warnings=wish.warnings + traffic.warnings + doubts,
        scale=scale,
        interface=wish.interface,
        dhcp=wish.dhcp,
        forward=wish.forward,
    )
    return Reading((claim,), hints=wish.hints + traffic.hints)
