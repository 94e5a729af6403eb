"""NodePort mode: traffic goes to the nodes, which lead it on to the pods.

With externalTrafficPolicy Local only nodes with a ready endpoint take part, because the others drop
the traffic. The pods on nodes that are engines come along, because an engine cannot lead traffic to
its own NodePort.
"""

from fairlead.dialects.backends import Traffic, by_port, no_node_port
from fairlead.dialects.endpoints import to_pods
from fairlead.dialects.facts import Point
from fairlead.dialects.reading import NODES
from fairlead.dialects.view import View
from fairlead.model.claim import Backend, ListenerClaim, Via
from fairlead.model.kube import Service, ServicePort
from fairlead.model.names import Ref


def to_nodes(ref: Ref, service: Service, view: View, via: Via) -> Traffic:
    """Every port with the nodes that answer its nodePort: all (``Nodes``), or ``Workers`` alone."""
    points = view.cluster.workers if via == "Workers" else view.cluster.points
    local = service.spec.external_traffic_policy == "Local"
    engines = view.cluster.serving
    serving = any(point.node in engines for point in points)
    pods = to_pods(ref, service, view) if local or serving else Traffic(())
    behind = {(p.protocol, p.port): p.backends for p in pods.listeners}
    listeners = []
    for port in service.ports:
        ready = behind.get(port.key, ())
        homes = {pod.node for pod in ready} if local else None
        here = tuple(pod for pod in ready if pod.node in engines)
        backends = _backends(port, points, homes)
        listeners.append(ListenerClaim(port.protocol, port.port, backends, here))
    listeners.sort(key=by_port)
    closed = [f"{port.port}/{port.protocol}" for port in service.ports if not port.node_port]
    warnings = (no_node_port(closed[:5]), *pods.warnings) if closed else pods.warnings
    return Traffic(tuple(listeners), (NODES, *pods.hints), warnings, via)


def _backends(
    port: ServicePort, points: tuple[Point, ...], homes: set[str] | None
) -> tuple[Backend, ...]:
    number = port.node_port
    if not number:
        return ()
    return tuple(
        Backend(point.address, number, point.node, node_port=True)
        for point in points
        if homes is None or point.node in homes
    )
