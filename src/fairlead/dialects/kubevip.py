"""The language of kube-vip and its cloud provider.

Services that ask for the same address share it, so here the addresses are the group. A Service that
names no address gets one from the pools, which is the cloud provider's part. ``0.0.0.0`` and ``::``
mean an address from DHCP; what a server gave is in AddressLeases.
"""

from fairlead.dialects.claiming import Wish, claim_of
from fairlead.dialects.endpoints import to_pods
from fairlead.dialects.forwards import forward_in
from fairlead.dialects.leasing import (
    known_leases,
    lease_hint,
    leased_addresses,
    read_hostname,
    read_mac,
    read_requested,
)
from fairlead.dialects.reading import (
    LONGEST_NAME,
    Hint,
    Reading,
    ignored,
    invalid,
    name_in,
    rejected,
)
from fairlead.dialects.statics import one_per_family, read_list
from fairlead.dialects.view import View
from fairlead.model.addresses import Family, IPAddress
from fairlead.model.config import Config
from fairlead.model.dhcp import DhcpWish
from fairlead.model.kube import Service
from fairlead.model.names import GroupKey, Ref
from fairlead.model.verdict import Code, Reason

NAME = "kube-vip"
ADDRESSES = "kube-vip.io/loadbalancerIPs"
IGNORE = "kube-vip.io/ignore"
HOSTNAME = "kube-vip.io/loadbalancerHostname"
INTERFACE = "kube-vip.io/serviceInterface"
MACVLAN = "kube-vip.io/macvlanName"
HWADDR = "kube-vip.io/hwaddr"
REQUESTED = "kube-vip.io/requestedIP"
BROADCAST = "kube-vip.io/dhcp-broadcast"
AUTO = "auto"
"""The interface whose subnet holds the address, which is what happens anyway."""
LONGEST_INTERFACE = 15
"""IFNAMSIZ of Linux without the zero at the end."""
SELECTING = frozenset(
    {ADDRESSES, HOSTNAME, INTERFACE, MACVLAN, BROADCAST}
    | {
        f"kube-vip.io/{name}"
        for name in (
            "allow-reconcile-without-endpoints",
            "ddns",
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
    wish = _wish(ref, service, view, addresses)
    if isinstance(wish, Reason):
        return rejected(ref, wish, dialect=NAME)
    return claim_of(ref, service, view, wish=wish, traffic=to_pods(ref, service, view))


def _wanted(service: Service) -> tuple[str, str]:
    """The field that names the addresses: the annotation if the key exists, whatever it holds."""
    listed = service.metadata.annotations.get(ADDRESSES)
    if listed is not None:
        return ADDRESSES, listed
    return "spec.loadBalancerIP", service.spec.load_balancer_ip or ""


def _wish(ref: Ref, service: Service, view: View, asked: tuple[IPAddress, ...]) -> Wish | Reason:
    field, _ = _wanted(service)
    addresses = one_per_family(field, (a for a in asked if int(a)))
    hostname = name_in(HOSTNAME, service.metadata.annotations.get(HOSTNAME))
    if isinstance(addresses, Reason):
        return addresses
    if isinstance(hostname, Reason):
        return hostname
    interface, doubts = _interface(service)
    leases = tuple(sorted({a.version for a in asked} - {a.version for a in addresses}))
    group = _group(ref, service, leases=bool(leases), addressed=bool(addresses))
    dhcp: DhcpWish | None = None
    hints: tuple[Hint, ...] = ()
    if leases and group is not None:
        dhcp, more = _dhcp(service, group, view, leases)
        hints, doubts = (lease_hint(group),), doubts + more
        addresses = tuple(sorted((*addresses, *leased_addresses(dhcp)), key=lambda a: a.version))
    forward = forward_in(service, view.config)
    return Wish(
        dialect=NAME,
        group=group,
        addresses=addresses,
        outside_pools=True,
        hostname=hostname,
        interface=interface,
        forward=forward.lease,
        dhcp=dhcp,
        asked=asked if leases else (),
        warnings=doubts + forward.warnings,
        hints=hints,
    )


def _group(ref: Ref, service: Service, *, leases: bool, addressed: bool) -> GroupKey | None:
    """With static addresses they are the group; a lease is one Service's, or that of all who name
    the same macvlan."""
    if leases:
        shared = (service.metadata.annotations.get(MACVLAN) or "").strip()[:LONGEST_NAME]
        if shared:
            return GroupKey(NAME, "macvlan", "", shared)
        return GroupKey(NAME, "dhcp", ref.namespace, ref.name)
    return None if addressed else GroupKey(NAME, "service", ref.namespace, ref.name)


def _dhcp(
    service: Service, group: GroupKey, view: View, families: tuple[Family, ...]
) -> tuple[DhcpWish, tuple[Reason, ...]]:
    notes = service.metadata.annotations
    mac, odd_mac = read_mac(HWADDR, notes.get(HWADDR))
    requested, odd_address = read_requested(REQUESTED, notes.get(REQUESTED))
    hostname, odd_name = read_hostname(HOSTNAME, notes.get(HOSTNAME, ""))
    wish = DhcpWish(
        families=families,
        hostname=hostname,
        mac=mac,
        requested=requested,
        broadcast=notes.get(BROADCAST) == "true",
        leased=known_leases(group, view),
    )
    return wish, odd_mac + odd_address + odd_name


def _interface(service: Service) -> tuple[str, tuple[Reason, ...]]:
    """The interface that is asked for, empty for any, and what is wrong with its name."""
    text = service.metadata.annotations.get(INTERFACE, "").strip()
    if text in ("", AUTO):
        return "", ()
    if len(text) <= LONGEST_INTERFACE and text.isprintable() and not set(text) & set("/: "):
        return text, ()
    return "", (invalid(INTERFACE, text, "is no name of an interface; it has no effect"),)


def _unclassed(ref: Ref, config: Config) -> Reading:
    message = (
        "spec.loadBalancerClass is not set, and kube-vip's class handling demands it; set "
        f"{config.load_balancer_class_name!r}."
    )
    return ignored(ref, Code.CLASS_MISMATCH, message, dialect=NAME)
