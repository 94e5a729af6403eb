"""Nodes as addresses: where a nodePort answers, and which addresses no VIP may be."""

from collections.abc import Iterable, Iterator

from fairlead.dialects.facts import Point
from fairlead.dialects.reading import accepted, invalid
from fairlead.model.addresses import IPAddress, parse_address
from fairlead.model.kube import Node
from fairlead.model.names import Ref
from fairlead.model.verdict import Reason, Verdict
from fairlead.model.virtualip import VirtualIP

CONTROL_PLANE = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
KINDS = frozenset({"InternalIP", "ExternalIP"})


def points_of(nodes: Iterable[Node]) -> tuple[Point, ...]:
    """The InternalIPs of the ready nodes, in order of address."""
    points = {
        Point(address, node.name)
        for node in nodes
        if node.ready
        for kind, address in _addresses(node)
        if kind == "InternalIP" and not isinstance(address, Reason)
    }
    return tuple(sorted(points, key=lambda p: (p.address.version, int(p.address), p.node)))


def is_worker(node: Node) -> bool:
    """Whether no label says that it runs the control plane."""
    return not any(label in node.metadata.labels for label in CONTROL_PLANE)


def own_addresses(nodes: Iterable[Node]) -> tuple[dict[IPAddress, Ref], dict[Ref, Verdict]]:
    """Whose own address is which, and a warning for each node with one that cannot be read.
    ``nodes`` are sorted by name; an address that two nodes list is the first one's."""
    owners: dict[IPAddress, Ref] = {}
    verdicts: dict[Ref, Verdict] = {}
    for node in nodes:
        for _, address in _addresses(node):
            if isinstance(address, Reason):
                verdicts[node.ref] = accepted(node.ref, (address,))
            else:
                owners.setdefault(address, node.ref)
    return owners, verdicts


def reserved(objects: Iterable[VirtualIP]) -> dict[IPAddress, Ref]:
    """The addresses that somebody reserved by hand; text that is no address reserves nothing."""
    found: dict[IPAddress, Ref] = {}
    for one in objects:
        if one.spec.reserve:
            try:
                found[parse_address(one.spec.address)] = one.ref
            except ValueError:
                continue
    return found


def _addresses(node: Node) -> Iterator[tuple[str, IPAddress | Reason]]:
    for entry in (node.status.addresses if node.status else None) or ():
        if entry.type not in KINDS:
            continue
        try:
            yield entry.type, parse_address(entry.address)
        except ValueError:
            field = f"status.addresses {entry.type}"
            why = "is not an IP address; no traffic goes there"
            yield entry.type, invalid(field, entry.address, why)
