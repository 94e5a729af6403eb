"""Fairlead's own language, and the one of Services that speak none: an address from the pools.

``fairlead.dev/addresses`` (a comma list, before ``spec.loadBalancerIP``), ``fairlead.dev/pool``,
``fairlead.dev/share`` (Services of one namespace with the same value share a VIP) and
``fairlead.dev/engine-group``.
"""

from fairlead.dialects.claiming import Wish, claim_of
from fairlead.dialects.endpoints import to_pods
from fairlead.dialects.reading import Reading, name_in, rejected, shown
from fairlead.dialects.statics import one_per_family, read_list
from fairlead.dialects.view import View
from fairlead.model.addresses import IPAddress
from fairlead.model.claim import DEFAULT_ENGINES
from fairlead.model.kube import Service
from fairlead.model.names import GroupKey, Ref
from fairlead.model.verdict import Code, Reason

NAME = "fairlead"
CLASS = "fairlead.dev/vip"
ADDRESSES = "fairlead.dev/addresses"
POOL = "fairlead.dev/pool"
SHARE = "fairlead.dev/share"
ENGINES = "fairlead.dev/engine-group"
SELECTING = frozenset({ADDRESSES, POOL, SHARE, ENGINES})


def read(ref: Ref, service: Service, view: View) -> Reading:
    """The claim of a Service in Fairlead's own terms."""
    wish = _plain(ref) if _says_nothing(service) else _wish(ref, service, view)
    if isinstance(wish, Reason):
        return rejected(ref, wish, dialect=NAME)
    return claim_of(ref, service, view, wish=wish, traffic=to_pods(ref, service, view))


def _says_nothing(service: Service) -> bool:
    return not (service.metadata.annotations or service.spec.load_balancer_ip)


def _own_group(ref: Ref) -> GroupKey:
    return GroupKey(NAME, "service", ref.namespace, ref.name)


def _plain(ref: Ref) -> Wish:
    return Wish(dialect=NAME, group=_own_group(ref))


def _wish(ref: Ref, service: Service, view: View) -> Wish | Reason:
    notes = service.metadata.annotations
    addresses = _addresses(service)
    if isinstance(addresses, Reason):
        return addresses
    share, pool = name_in(SHARE, notes.get(SHARE)), name_in(POOL, notes.get(POOL))
    engines = name_in(ENGINES, notes.get(ENGINES))
    for value in (share, pool, engines):
        if isinstance(value, Reason):
            return value
    rule = view.cluster.engine_names.get(str(engines)) if engines else DEFAULT_ENGINES
    return Wish(
        dialect=NAME,
        group=GroupKey(NAME, "share", ref.namespace, str(share)) if share else _own_group(ref),
        addresses=addresses,
        pools=(str(pool),) if pool else (),
        engine_group=rule or DEFAULT_ENGINES,
        warnings=() if rule else (_unknown(str(engines)),),
    )


def _addresses(service: Service) -> tuple[IPAddress, ...] | Reason:
    text = service.metadata.annotations.get(ADDRESSES)
    field = ADDRESSES if text else "spec.loadBalancerIP"
    text = text or service.spec.load_balancer_ip
    if not text:
        return ()
    found = read_list(field, text)
    return found if isinstance(found, Reason) else one_per_family(field, found)


def _unknown(name: str) -> Reason:
    return Reason(
        Code.UNKNOWN_ENGINE_GROUP,
        f"{ENGINES} {shown(name)} names no EngineGroup; the default engines serve instead. "
        "Create the group or correct the name.",
    )
