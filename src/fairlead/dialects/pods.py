"""Backends from Pods, for a Service with a selector that nobody made EndpointSlices for.

This is what the endpoint controller of a cluster does, done here for manifests and bare hosts: a
pod counts when it is Ready, has an address and is neither finished nor being deleted.
"""

from fairlead.dialects.backends import Doubts, Found, in_order, note, put, unusable
from fairlead.dialects.reading import Hint
from fairlead.model.claim import Backend
from fairlead.model.kube import Pod, Service, ServicePort

FINISHED = frozenset({"Succeeded", "Failed"})


def pod_hint(service: Service) -> tuple[Hint, ...]:
    """Under which label the pods of a Service are looked up when one of them changes."""
    selector = service.spec.selector
    if not selector:
        return ()
    return (("pod", service.namespace, *min(selector.items())),)


def pod_backends(
    service: Service, port: ServicePort, pods: list[Pod], doubts: Doubts
) -> tuple[Backend, ...]:
    """The backends of one Service port. ``pods`` are those that the selector matches. Pods that are
    being deleted but still Ready count while there is no other."""
    ready: Found = {}
    draining: Found = {}
    everybody = service.spec.publish_not_ready_addresses
    for pod in pods:
        number = target_of(port, pod)
        if number is None or is_finished(pod) or not (everybody or is_ready(pod)):
            continue
        into = draining if pod.metadata.deletion_timestamp and not everybody else ready
        for text in addresses_of(pod):
            why = put(into, text, number, node_of(pod))
            if why:
                note(doubts, unusable(f"Pod {pod.name}", text, why))
    return in_order(ready or draining)


def is_ready(pod: Pod) -> bool:
    """Whether the pod's Ready condition is True; without one it is not (core/v1)."""
    conditions = (pod.status.conditions if pod.status else None) or ()
    return any(c.type == "Ready" and c.status == "True" for c in conditions)


def is_finished(pod: Pod) -> bool:
    """Whether its containers have ended for good."""
    return pod.status is not None and pod.status.phase in FINISHED


def node_of(pod: Pod) -> str:
    """The node it runs on; empty when it is not scheduled."""
    return pod.spec.node_name if pod.spec else ""


def addresses_of(pod: Pod) -> tuple[str, ...]:
    """The pod's addresses, one of each family."""
    status = pod.status
    if status is None:
        return ()
    if status.pod_ips:
        return tuple(entry.ip for entry in status.pod_ips)
    return (status.pod_ip,) if status.pod_ip else ()


def target_of(port: ServicePort, pod: Pod) -> int | None:
    """The port of the pod: the number, the container port of that name and protocol, or the
    Service's own port where none is given. None when the pod has no port of that name."""
    target = port.target_port
    if target is None or target == "":
        return port.port
    if isinstance(target, int):
        return target or port.port
    for container in (pod.spec.containers if pod.spec else None) or ():
        for candidate in container.ports or ():
            if candidate.name == target and candidate.protocol == port.protocol:
                return candidate.container_port
    return None
