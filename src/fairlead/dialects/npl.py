"""NodePortLocal mode: traffic goes to the node port that Antrea opened for one pod's port.

Antrea writes it on the pod, in annotation ``nodeportlocal.antrea.io``, as a JSON list of
``{podPort, nodeIP, nodePort, protocol}`` (``protocols``, a list, before Antrea 1.8).
"""

from collections.abc import Iterator

import msgspec
from msgspec import Struct

from fairlead.dialects.backends import (
    Doubts,
    Found,
    Traffic,
    by_port,
    in_order,
    note,
    pod_annotation,
    put,
    unusable,
)
from fairlead.dialects.pods import is_ready, node_of, pod_hint, target_of
from fairlead.dialects.view import View
from fairlead.model.claim import ListenerClaim
from fairlead.model.kube import Pod, Port, Service, ServicePort
from fairlead.model.names import Ref

ANNOTATION = "nodeportlocal.antrea.io"
LONGEST = 65536
"""Characters of the annotation that are read."""


class Opening(Struct, frozen=True, gc=False, rename="camel"):
    """One entry of the annotation."""

    pod_port: Port
    node_port: Port
    node_ip: str = msgspec.field(name="nodeIP")
    protocol: str = ""
    protocols: tuple[str, ...] = ()

    def serves(self, protocol: str) -> bool:
        """Whether it forwards that protocol; TCP when it names none."""
        named = self.protocols or (self.protocol or "tcp",)
        return protocol.lower() in (name.lower() for name in named)


def to_node_ports(ref: Ref, service: Service, view: View) -> Traffic:
    """Every port with the node ports opened for the pods that the selector matches."""
    doubts: Doubts = []
    pods = [pod for pod in view.pods(ref.namespace, service.spec.selector or {}) if _takes(pod)]
    openings = [(pod, tuple(_openings(pod, doubts))) for pod in pods]
    listeners = [_listener(port, openings, doubts) for port in service.ports]
    listeners.sort(key=by_port)
    return Traffic(tuple(listeners), pod_hint(service), tuple(doubts), "NodePortLocal")


def _takes(pod: Pod) -> bool:
    return is_ready(pod) and not pod.metadata.deletion_timestamp


def _listener(
    port: ServicePort, openings: list[tuple[Pod, tuple[Opening, ...]]], doubts: Doubts
) -> ListenerClaim:
    found: Found = {}
    for pod, entries in openings:
        target = target_of(port, pod)
        for entry in entries:
            if entry.pod_port == target and entry.serves(port.protocol):
                why = put(found, entry.node_ip, entry.node_port, node_of(pod))
                if why:
                    where = f"Pod {pod.name} {ANNOTATION}"
                    note(doubts, unusable(where, entry.node_ip, why))
    return ListenerClaim(port.protocol, port.port, in_order(found))


def _openings(pod: Pod, doubts: Doubts) -> Iterator[Opening]:
    text = pod.metadata.annotations.get(ANNOTATION)
    if text is None:
        return
    if len(text) > LONGEST:
        note(doubts, pod_annotation(pod.name, ANNOTATION, text, f"is over {LONGEST} characters"))
        return
    try:
        yield from msgspec.json.decode(text, type=tuple[Opening, ...])
    except (ValueError, RecursionError):
        why = "is not the list that Antrea writes"
        note(doubts, pod_annotation(pod.name, ANNOTATION, text, why))
