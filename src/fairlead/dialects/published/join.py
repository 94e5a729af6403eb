"""Published listeners with their backends, or with none where the cluster's own proxy has them.

A Service or port that is not there leaves a listener that refuses: the address stays, and whoever
asks gets an answer at once. A source range that cannot be read lets nobody in.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache

from fairlead.dialects.backends import Traffic
from fairlead.dialects.endpoints import to_pods
from fairlead.dialects.nodeports import to_nodes
from fairlead.dialects.npl import to_node_ports
from fairlead.dialects.published.objects import service_of
from fairlead.dialects.reading import Hint, invalid, shown
from fairlead.dialects.slices import nodes_of
from fairlead.dialects.view import View
from fairlead.model.addresses import IPNetwork, parse_network
from fairlead.model.claim import Backend, Via
from fairlead.model.forward import FORWARDED
from fairlead.model.names import Protocol, Ref
from fairlead.model.plan import Listener
from fairlead.model.verdict import Code, Reason
from fairlead.model.virtualip import VirtualIPListener

Nodes = frozenset[str] | None
"""The nodes that something is confined to; None: any."""
NOWHERE = Ref("Service", "", "")
LONGEST_AFFINITY = 86400
"""core/v1 ClientIPConfig: the largest timeout, in seconds."""


class Join:
    """The backends of one group's listeners, each Service looked up once.

    ``hints``: what the answers depend on. ``doubts``: what could not be used, and why.
    """

    def __init__(self, view: View) -> None:
        self.hints: dict[Hint, None] = {}
        self.doubts: dict[Reason, None] = {}
        self._view = view
        self._joins = view.config.dataplane == "nft"
        self._traffic: dict[tuple[Ref, Via], Traffic | None] = {}
        self._confined: dict[Ref, Nodes] = {}

    def listeners(self, wanted: Iterable[VirtualIPListener]) -> tuple[Listener, ...]:
        """One listener for each (protocol, port), in order; of several the first counts."""
        found: dict[tuple[Protocol, int], VirtualIPListener] = {}
        for entry in wanted:
            found.setdefault((entry.protocol, entry.port), entry)
        if self._joins:
            return tuple(self._listener(found[key]) for key in sorted(found))
        for entry in found.values():
            if entry.local:
                self._confine(entry)
        if any(entry.forward is not None for entry in found.values()):
            return tuple(self._passed(found[key]) for key in sorted(found))
        return _bare(tuple(sorted(found)))

    def _passed(self, entry: VirtualIPListener) -> Listener:
        """One whose backends are somebody else's, and whose port is open on the gateway."""
        ref = self._service(entry) or NOWHERE
        return Listener(entry.protocol, entry.port, ref, (), forward=_forward(entry))

    def nodes(self) -> Nodes:
        """Where the Local Services of all listeners so far have ready endpoints. One that shares
        no node with those before it, in order of name, has no say."""
        meeting: Nodes = None
        for _, nodes in sorted(self._confined.items()):
            together = nodes if meeting is None or nodes is None else meeting & nodes
            meeting = together or meeting
        return meeting

    def _service(self, entry: VirtualIPListener) -> Ref | None:
        ref = service_of(entry.service)
        if ref is None:
            self._doubt(invalid("spec.listeners.service", entry.service, "is not NAMESPACE/NAME"))
        return ref

    def _confine(self, entry: VirtualIPListener) -> None:
        """The proxy leads a Local listener to endpoints of its own node alone."""
        ref = self._service(entry)
        if ref is not None:
            self.hints[service_hint(ref)] = None
            self._confined[ref] = nodes_of(self._view.slices(ref))

    def _listener(self, entry: VirtualIPListener) -> Listener:
        ref = self._service(entry)
        traffic = self._look_up(ref, entry.via) if ref is not None else None
        if entry.local and ref is not None and traffic is not None:
            self._confined[ref] = _homes(traffic)
        backends, pods = self._behind(entry, traffic)
        ranges = self._ranges(entry)
        return Listener(
            protocol=entry.protocol,
            port=entry.port,
            service=ref or NOWHERE,
            backends=backends if ranges is not None else (),
            affinity_seconds=min(max(0, entry.affinity_seconds), LONGEST_AFFINITY),
            source_ranges=ranges or (),
            local=entry.local,
            pods=pods if ranges is not None else (),
            via=entry.via,
            forward=_forward(entry),
        )

    def _look_up(self, ref: Ref, via: Via) -> Traffic | None:
        if (ref, via) not in self._traffic:
            self.hints[service_hint(ref)] = None
            traffic = self._traffic[ref, via] = traffic_of(ref, via, self._view)
            if traffic is None:
                self._doubt(_unknown(ref))
            else:
                self.hints.update(dict.fromkeys(traffic.hints))
        return self._traffic[ref, via]

    def _behind(
        self, entry: VirtualIPListener, traffic: Traffic | None
    ) -> tuple[tuple[Backend, ...], tuple[Backend, ...]]:
        for port in traffic.listeners if traffic else ():
            if (port.protocol, port.port) == (entry.protocol, entry.port):
                return port.backends, port.pods
        if traffic is not None:
            self._doubt(_no_port(entry))
        return (), ()

    def _ranges(self, entry: VirtualIPListener) -> tuple[IPNetwork, ...] | None:
        """Who may connect; None: nobody, because not one of the ranges can be read."""
        found = []
        for text in entry.source_ranges:
            try:
                found.append(parse_network(text))
            except ValueError:
                why = "is not a CIDR; it lets nobody in"
                self._doubt(invalid("spec.listeners.sourceRanges", text, why))
        return tuple(found) if found or not entry.source_ranges else None

    def _doubt(self, reason: Reason) -> None:
        self.doubts[reason] = None


def _forward(entry: VirtualIPListener) -> int | None:
    return entry.forward if entry.protocol in FORWARDED else None


def service_hint(ref: Ref) -> Hint:
    """How what depends on a Service and its endpoints is indexed."""
    return ("service", ref.namespace, ref.name)


def traffic_of(ref: Ref, via: Via, view: View) -> Traffic | None:
    """Where a Service's traffic goes; None when there is no such Service."""
    service = view.world.service(ref)
    if service is None:
        return None
    match via:
        case "Pods":
            return to_pods(ref, service, view)
        case "Nodes" | "Workers":
            return to_nodes(ref, service, view, via)
        case "NodePortLocal":
            return to_node_ports(ref, service, view)


@lru_cache(maxsize=1 << 12)
def _bare(ports: tuple[tuple[Protocol, int], ...]) -> tuple[Listener, ...]:
    """Listeners whose backends are somebody else's; the same for all VIPs with such ports."""
    return tuple(Listener(protocol, port, NOWHERE, ()) for protocol, port in ports)


def _homes(traffic: Traffic) -> Nodes:
    """The nodes of all backends; None = any, also while there is none or one is nowhere."""
    nodes = frozenset(backend.node for backend in _backends(traffic))
    return None if not nodes or "" in nodes else nodes


def _backends(traffic: Traffic) -> Iterator[Backend]:
    for listener in traffic.listeners:
        yield from listener.backends


def _unknown(ref: Ref) -> Reason:
    text = f"{ref} does not exist, so its listeners refuse until it does."
    return Reason(Code.NO_READY_BACKEND, text, (ref,))


def _no_port(entry: VirtualIPListener) -> Reason:
    port = f"{entry.port}/{entry.protocol}"
    text = f"Service {shown(entry.service)} has no port {port}, so the listener refuses."
    return Reason(Code.NO_READY_BACKEND, text)
