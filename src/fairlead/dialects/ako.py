"""The language of the Avi Kubernetes Operator, L4.

``ako.vmware.com/enable-shared-vip`` makes the Services of one namespace that carry the same value
share one VIP. An AviInfraSetting, named on the Service or its Namespace, picks network, SE group
and advertisement; where it is missing AKO falls back to its global settings, and so do we, aloud.
"""

from fairlead.dialects import avi
from fairlead.dialects.backends import Traffic
from fairlead.dialects.claiming import Wish, claim_of
from fairlead.dialects.endpoints import to_pods
from fairlead.dialects.nodeports import to_nodes
from fairlead.dialects.npl import to_node_ports
from fairlead.dialects.reading import LONGEST_NAME, Reading, name_in, rejected
from fairlead.dialects.statics import one_per_family, read_address
from fairlead.dialects.view import View
from fairlead.model.addresses import IPAddress
from fairlead.model.claim import Claim
from fairlead.model.kube import Service
from fairlead.model.names import GroupKey, Ref
from fairlead.model.verdict import Reason

NAME = "ako"
CLASS = "ako.vmware.com/avi-lb"
SHARED_VIP = "ako.vmware.com/enable-shared-vip"
ADDRESS = "ako.vmware.com/load-balancer-ip"
SETTING = "aviinfrasetting.ako.vmware.com/name"
SELECTING = frozenset({SHARED_VIP, ADDRESS, SETTING, "ako.vmware.com/l4rule"})


def read(ref: Ref, service: Service, view: View) -> Reading:
    """The claim of a Service in AKO's terms."""
    wish = _wish(ref, service, view)
    if isinstance(wish, Reason):
        return rejected(ref, wish, dialect=NAME)
    return claim_of(ref, service, view, wish=wish, traffic=_traffic(ref, service, view))


def read_foreign(ref: Ref, service: Service, view: View) -> Reading:
    """The claim of a Service that carries the sharing key but another controller's class. It gets
    nothing; the planner says so to it, and to nobody else."""
    group = _group(ref, service)
    if isinstance(group, Reason):
        return rejected(ref, group, dialect=NAME)
    claim = Claim(
        ref=ref,
        dialect=NAME,
        group=group,
        created=service.metadata.creation_timestamp or "",
        foreign_class=(service.spec.load_balancer_class or "")[:LONGEST_NAME],
    )
    return Reading((claim,))


def shares(service: Service) -> bool:
    """Whether the Service asks for a shared VIP; an empty value counts as none, as in AKO."""
    return bool(service.metadata.annotations.get(SHARED_VIP))


def _group(ref: Ref, service: Service) -> GroupKey | Reason:
    key = name_in(SHARED_VIP, service.metadata.annotations.get(SHARED_VIP))
    if isinstance(key, Reason):
        return key
    if key:
        return GroupKey(NAME, "shared-vip", ref.namespace, key)
    return GroupKey(NAME, "service", ref.namespace, ref.name)


def _wish(ref: Ref, service: Service, view: View) -> Wish | Reason:
    group = _group(ref, service)
    if isinstance(group, Reason):
        return group
    addresses = _addresses(service)
    if isinstance(addresses, Reason):
        return addresses
    setting = _setting(ref, service, view)
    if isinstance(setting, Reason):
        return setting
    if not setting:
        return Wish(dialect=NAME, group=group, addresses=addresses)
    effect = avi.effect_of(setting, view)
    return Wish(
        dialect=NAME,
        group=group,
        addresses=addresses,
        pools=effect.pools,
        setting=setting,
        engine_group=effect.engine_group,
        announce=effect.announce,
        peer_labels=effect.peer_labels,
        warnings=effect.warnings,
        hints=(avi.hint(setting),),
    )


def _addresses(service: Service) -> tuple[IPAddress, ...] | Reason:
    field, text = "spec.loadBalancerIP", service.spec.load_balancer_ip
    if not text:
        field, text = ADDRESS, service.metadata.annotations.get(ADDRESS)
    if not text:
        return ()
    address = read_address(field, text)
    return address if isinstance(address, Reason) else one_per_family(field, (address,))


def _setting(ref: Ref, service: Service, view: View) -> str | Reason:
    """The effective setting's name: the Service's annotation, else its Namespace's."""
    own = service.metadata.annotations.get(SETTING)
    if own:
        return name_in(SETTING, own)
    inherited = view.around(ref.namespace).annotations.get(SETTING)
    return name_in(f"Namespace {ref.namespace}: {SETTING}", inherited)


def _traffic(ref: Ref, service: Service, view: View) -> Traffic:
    match view.config.service_type:
        case "ClusterIP":
            return to_pods(ref, service, view)
        case "NodePort":
            return to_nodes(ref, service, view, "Nodes")
        case "NodePortLocal":
            return to_node_ports(ref, service, view)
