"""What every language reads alike in a Service: ports, policies, affinity, source ranges, families.

Whatever the API server would refuse is refused here too, because manifests from files never met it.
"""

from typing import NamedTuple

from fairlead.dialects.families import Families, read_families
from fairlead.dialects.reading import invalid
from fairlead.model.addresses import IPAddress, IPNetwork, parse_network
from fairlead.model.kube import Service, ServiceSpec
from fairlead.model.verdict import Reason

SOURCE_RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"
LONGEST_RANGES = 65536
"""Characters of the source-range annotation that are read."""
AFFINITY_SECONDS = 10800
"""core/v1 ClientIPConfig: the timeout when none is given."""


class Terms(NamedTuple):
    """``local``: externalTrafficPolicy Local. ``affinity_seconds``: 0 without session affinity."""

    families: Families
    local: bool = False
    affinity_seconds: int = 0
    source_ranges: tuple[IPNetwork, ...] = ()


def read_terms(service: Service, addresses: tuple[IPAddress, ...]) -> Terms | Reason:
    """The common terms; the Reason for the first field that cannot be read otherwise."""
    spec = service.spec
    problem = _ports(service) or _policies(spec)
    if problem is not None:
        return problem
    families = read_families(spec, addresses)
    if isinstance(families, Reason):
        return families
    ranges = _source_ranges(service)
    if isinstance(ranges, Reason):
        return ranges
    return Terms(families, spec.external_traffic_policy == "Local", _affinity(spec), ranges)


def _ports(service: Service) -> Reason | None:
    ports = service.ports
    if not ports:
        return invalid("spec.ports", "", "is empty; a LoadBalancer needs at least one port")
    if len(ports) > 1:
        seen = set()
        for port in ports:
            if port.key in seen:
                text = f"{port.protocol} {port.port}"
                return invalid("spec.ports", text, "is listed twice; give each port once")
            seen.add(port.key)
    return _target_ports(service)


def _target_ports(service: Service) -> Reason | None:
    for port in service.ports:
        target = port.target_port
        if isinstance(target, int):
            if not 1 <= target <= 65535:
                return invalid("targetPort", target, "is no port; write a number from 1 to 65535")
        elif target is not None and not target.strip("0123456789 "):
            why = "is no port name; write the number without quotes, or a container port's name"
            return invalid("targetPort", target, why)
    return None


def _policies(spec: ServiceSpec) -> Reason | None:
    if spec.external_traffic_policy not in (None, "", "Cluster", "Local"):
        why = "is unknown; write Cluster or Local"
        return invalid("spec.externalTrafficPolicy", spec.external_traffic_policy, why)
    if spec.session_affinity not in (None, "", "None", "ClientIP"):
        why = "is unknown; write None or ClientIP"
        return invalid("spec.sessionAffinity", spec.session_affinity, why)
    return None


def _affinity(spec: ServiceSpec) -> int:
    if spec.session_affinity != "ClientIP":
        return 0
    config = spec.session_affinity_config
    client = config.client_ip if config else None
    return (client.timeout_seconds if client else None) or AFFINITY_SECONDS


def _source_ranges(service: Service) -> tuple[IPNetwork, ...] | Reason:
    listed = service.spec.load_balancer_source_ranges
    if listed:
        return _networks("spec.loadBalancerSourceRanges", listed)
    text = service.metadata.annotations.get(SOURCE_RANGES)
    if not text:
        return ()
    if len(text) > LONGEST_RANGES:
        why = f"is longer than {LONGEST_RANGES} characters; use spec.loadBalancerSourceRanges"
        return invalid(SOURCE_RANGES, text, why)
    return _networks(SOURCE_RANGES, tuple(e for e in text.split(",") if e.strip()))


def _networks(field: str, entries: tuple[str, ...]) -> tuple[IPNetwork, ...] | Reason:
    found: set[IPNetwork] = set()
    for entry in entries:
        try:
            found.add(parse_network(entry))
        except ValueError:
            return invalid(field, entry, "is not a CIDR; write for example 192.0.2.0/24")
    return tuple(sorted(found, key=_network_order))


def _network_order(network: IPNetwork) -> tuple[int, int, int]:
    return network.version, int(network.network_address), network.prefixlen
