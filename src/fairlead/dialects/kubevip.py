"""The language of kube-vip and its cloud provider.

Services that ask for the same address share it, so here the addresses are the group. A Service that
names no address gets one from the pools, which is the cloud provider's part. ``0.0.0.0`` and ``::``
mean DHCP and are never allocated.
"""

from fairlead.dialects.claiming import Wish, claim_of
from fairlead.dialects.endpoints import to_pods
from fairlead.dialects.reading import Reading, ignored, invalid, name_in, pending, rejected
from fairlead.dialects.statics import one_per_family, read_list
from fairlead.dialects.view import View
from fairlead.model.addresses import IPAddress
from fairlead.model.config import Config
from fairlead.model.kube import Service
from fairlead.model.names import GroupKey, Ref
from fairlead.model.verdict import Code, Reason

NAME = "kube-vip"
ADDRESSES = "kube-vip.io/loadbalancerIPs"
IGNORE = "kube-vip.io/ignore"
HOSTNAME = "kube-vip.io/loadbalancerHostname"
INTERFACE = "kube-vip.io/serviceInterface"
AUTO = "auto"
"""The interface whose subnet holds the address, which is what happens anyway."""
LONGEST_INTERFACE = 15
"""IFNAMSIZ of Linux without the zero at the end."""
SELECTING = frozenset(
    {ADDRESSES, HOSTNAME, INTERFACE}
    | {
        f"kube-vip.io/{name}"
        for name in (
            "allow-reconcile-without-endpoints",
            "ddns",
            "dhcp-broadcast",
            "egress",
            "egress-allowed-networks",
            "egress-denied-networks",
            "egress-destination-ports",
            "egress-detect-api-server",
            "egress-internal",
            "egress-ipv6",
            "egress-no-internal-traffic",
            "egress-source-ports",
            "flush-conntrack",
            "forcePerServiceElection",
            "forwardUPNP",
            "ignore-service-security",
            "leaseName",
            "macvlanName",
            "rp_filter",
            "serviceVLAN",
            "upnp-lease-duration",
        )
    }
)
"""What people write. ``ignore`` selects nothing, nor does what kube-vip itself writes back:
vipHost, hwaddr, requestedIP, active-endpoint(-ipv6), egress-nftables-table."""


def is_ignored(service: Service) -> bool:
    """Whether the Service asks kube-vip to leave it alone; only the exact text counts."""
    return service.metadata.annotations.get(IGNORE) == "true"


def serves_unclassed(config: Config) -> bool:
    """Whether a Service without a class is kube-vip's: in legacy handling unless classes are
    demanded, in exact handling only when the configured name is empty."""
    if config.load_balancer_class_legacy_handling:
        return not config.load_balancer_class_only
    return not config.load_balancer_class_name


def ignore(ref: Ref) -> Reading:
    """The verdict for a Service that asks to be left alone."""
    message = f"{IGNORE} is 'true'; remove the annotation to have the Service served."
    return ignored(ref, Code.IGNORED_ON_REQUEST, message, dialect=NAME)


def read(ref: Ref, service: Service, view: View) -> Reading:
    """The claim of a Service in kube-vip's terms."""
    if is_ignored(service):
        return ignore(ref)
    if not (service.spec.load_balancer_class or serves_unclassed(view.config)):
        return _unclassed(ref, view.config)
    field, text = _wanted(service)
    addresses = read_list(field, text)
    if isinstance(addresses, Reason):
        return rejected(ref, addresses, dialect=NAME)
    dhcp = next((address for address in addresses if not int(address)), None)
    if dhcp is not None:
        return pending(ref, _needs_dhcp(field, dhcp), dialect=NAME, held=False)
    wish = _wish(ref, service, one_per_family(field, addresses))
    if isinstance(wish, Reason):
        return rejected(ref, wish, dialect=NAME)
    return claim_of(ref, service, view, wish=wish, traffic=to_pods(ref, service, view))


def _wanted(service: Service) -> tuple[str, str]:
    """The field that names the addresses: the annotation if the key exists, whatever it holds."""
    listed = service.metadata.annotations.get(ADDRESSES)
    if listed is not None:
        return ADDRESSES, listed
    return "spec.loadBalancerIP", service.spec.load_balancer_ip or ""


def _wish(ref: Ref, service: Service, addresses: tuple[IPAddress, ...] | Reason) -> Wish | Reason:
    if isinstance(addresses, Reason):
        return addresses
    hostname = name_in(HOSTNAME, service.metadata.annotations.get(HOSTNAME))
    if isinstance(hostname, Reason):
        return hostname
    interface, doubts = _interface(service)
    return Wish(
        dialect=NAME,
        group=None if addresses else GroupKey(NAME, "service", ref.namespace, ref.name),
        addresses=addresses,
        outside_pools=True,
        hostname=hostname,
        interface=interface,
        warnings=doubts,
    )


def _interface(service: Service) -> tuple[str, tuple[Reason, ...]]:
    """The interface that is asked for, empty for any, and what is wrong with its name."""
    text = service.metadata.annotations.get(INTERFACE, "").strip()
    if text in ("", AUTO):
        return "", ()
    if len(text) <= LONGEST_INTERFACE and text.isprintable() and not set(text) & set("/: "):
        return text, ()
    return "", (invalid(INTERFACE, text, "is no name of an interface; it has no effect"),)


def _needs_dhcp(field: str, address: IPAddress) -> Reason:
    return Reason(
        Code.NEEDS_DHCP,
        f"{field} {address.compressed} asks for a DHCP lease, which needs the DHCP driver; write "
        "an address to have one without it.",
    )


def _unclassed(ref: Ref, config: Config) -> Reading:
    message = (
        "spec.loadBalancerClass is not set, and kube-vip's class handling demands it; set "
        f"{config.load_balancer_class_name!r}."
    )
    return ignored(ref, Code.CLASS_MISMATCH, message, dialect=NAME)
