"""A Service in the terms of the VMware Cloud Director provider.

Every port leads to the nodePort of the workers. The external address comes from ``vipSubnet`` where
there is one, else from any pool; the internal tier, where there is one, takes the traffic behind a
DNAT, which the planner lays out.
"""

from fairlead.dialects.claiming import Wish, claim_of
from fairlead.dialects.facts import Broken, Tiers
from fairlead.dialects.nodeports import to_nodes
from fairlead.dialects.reading import Reading, pending, rejected
from fairlead.dialects.statics import one_per_family, read_address
from fairlead.dialects.vcd.config import CONFIG_MAP, HOME
from fairlead.dialects.view import View
from fairlead.model.addresses import IPAddress
from fairlead.model.kube import Service
from fairlead.model.names import GroupKey, Ref
from fairlead.model.verdict import Code, Reason

NAME = "vcd"


def read(ref: Ref, service: Service, view: View) -> Reading:
    """The claim of a Service, or why it waits: without a readable configuration nobody can say
    which address it should have, so it keeps what it holds."""
    match view.space.tiers:
        case None:
            return pending(ref, _absent(), dialect=NAME, held=True)
        case Broken(source=source):
            return pending(ref, _broken(source), dialect=NAME, held=True)
        case Tiers() as tiers:
            return _read(ref, service, view, tiers)


def _read(ref: Ref, service: Service, view: View, tiers: Tiers) -> Reading:
    addresses = _addresses(service)
    group = GroupKey(NAME, "service", ref.namespace, ref.name)
    if isinstance(addresses, Reason):
        return rejected(ref, addresses, dialect=NAME, group=group)
    wish = Wish(
        dialect=NAME,
        group=group,
        addresses=addresses,
        pools=tiers.pools,
        internal=tiers.internal,
    )
    traffic = to_nodes(ref, service, view, "Workers")
    return claim_of(ref, service, view, wish=wish, traffic=traffic)


def _addresses(service: Service) -> tuple[IPAddress, ...] | Reason:
    text = service.spec.load_balancer_ip
    if not text:
        return ()
    field = "spec.loadBalancerIP"
    address = read_address(field, text)
    return address if isinstance(address, Reason) else one_per_family(field, (address,))


def _absent() -> Reason:
    return Reason(
        Code.INVALID_OBJECT,
        f"defaultDialect is vcd, but there is no ConfigMap {HOME}/{CONFIG_MAP}; create it.",
    )


def _broken(source: Ref) -> Reason:
    return Reason(
        Code.INVALID_OBJECT,
        f"{source} cannot be used (its own verdict says why); correct it. Until then addresses "
        "stay as they are.",
        conflicts=(source,),
    )
