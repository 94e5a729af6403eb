"""ClusterIP mode: traffic goes to the pods themselves, address and target port."""

from fairlead.dialects.backends import Doubts, Traffic, by_port
from fairlead.dialects.pods import pod_backends, pod_hint
from fairlead.dialects.slices import slice_backends
from fairlead.dialects.view import View
from fairlead.model.claim import ListenerClaim
from fairlead.model.kube import Service
from fairlead.model.names import Ref


def to_pods(ref: Ref, service: Service, view: View) -> Traffic:
    """Every port with its ready endpoints: from the Service's EndpointSlices, else from the pods
    that its selector matches."""
    doubts: Doubts = []
    pieces = view.slices(ref)
    if not pieces:
        return _without_slices(ref, service, view)
    listeners = [
        ListenerClaim(port.protocol, port.port, slice_backends(service, port, pieces, doubts))
        for port in service.ports
    ]
    if len(listeners) > 1:
        listeners.sort(key=by_port)
    return Traffic(tuple(listeners), warnings=tuple(doubts))


def _without_slices(ref: Ref, service: Service, view: View) -> Traffic:
    doubts: Doubts = []
    pods = view.pods(ref.namespace, service.spec.selector or {})
    listeners = [
        ListenerClaim(port.protocol, port.port, pod_backends(service, port, pods, doubts))
        for port in service.ports
    ]
    listeners.sort(key=by_port)
    return Traffic(tuple(listeners), pod_hint(service), tuple(doubts))
