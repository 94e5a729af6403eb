"""Backends from EndpointSlices (discovery.k8s.io/v1), by kube-proxy's rules.

A slice's port belongs to the Service port of the same name and protocol. Absent conditions mean
ready and serving. Several slices add up, whatever their family; FQDN slices are passed over.
"""

from fairlead.dialects.backends import Doubts, Found, in_order, note, put, unusable
from fairlead.model.claim import Backend
from fairlead.model.kube import EndpointSlice, Service, ServicePort


def slice_backends(
    service: Service, port: ServicePort, pieces: tuple[EndpointSlice, ...], doubts: Doubts
) -> tuple[Backend, ...]:
    """The backends of one Service port; what cannot be used is added to ``doubts``."""
    ready: Found = {}
    draining: Found = {}
    everybody = service.spec.publish_not_ready_addresses
    for piece in pieces:
        number = _number(piece, port, service)
        if number is None:
            continue
        for endpoint in piece.endpoints or ():
            state = endpoint.conditions
            if state is None or state.ready is not False or everybody:
                into = ready
            elif state.terminating and state.serving is not False:
                into = draining
            else:
                continue
            text = endpoint.addresses[0] if endpoint.addresses else ""
            why = put(into, text, number, endpoint.node_name or "")
            if why:
                note(doubts, unusable(f"EndpointSlice {piece.name}", text, why))
    return in_order(ready or draining)


def nodes_of(pieces: tuple[EndpointSlice, ...]) -> frozenset[str] | None:
    """The nodes where a Service has endpoints, whatever their ports and families; None where that
    is not known of all, or there are none."""
    ready: set[str] = set()
    draining: set[str] = set()
    for piece in pieces:
        for endpoint in (piece.endpoints or ()) if piece.address_type != "FQDN" else ():
            state = endpoint.conditions
            if state is None or state.ready is not False:
                ready.add(endpoint.node_name or "")
            elif state.terminating and state.serving is not False:
                draining.add(endpoint.node_name or "")
    nodes = frozenset(ready or draining)
    return None if not nodes or "" in nodes else nodes


def _number(piece: EndpointSlice, port: ServicePort, service: Service) -> int | None:
    """The slice's port for a Service port. A slice written by hand may leave out the name where
    there is only one port to mean."""
    ports = piece.ports
    if not ports or piece.address_type == "FQDN":
        return None
    for candidate in ports:
        if (candidate.name or "") == port.name and candidate.protocol == port.protocol:
            return candidate.port
    only = ports[0]
    if len(ports) == 1 == len(service.ports) and not only.name and only.protocol == port.protocol:
        return only.port
    return None
