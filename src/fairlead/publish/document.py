"""A plan as its published document: the planner's values, sorted and written as text.

Decides nothing. One pass over the verdicts and one over the VIPs, because a document of 50 000
Services is printed in the time somebody waits for a prompt.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from fairlead.model.addresses import IPAddress, canonical
from fairlead.model.claim import Backend
from fairlead.model.kube import Service
from fairlead.model.names import Ref
from fairlead.model.plan import Listener, Plan, Translation, Vip
from fairlead.model.verdict import Reason, State, Verdict
from fairlead.model.world import World
from fairlead.planner import PlanChange, every_verdict, message, placed
from fairlead.publish.contract import (
    ChangeEntry,
    EnginesEntry,
    ListenerEntry,
    PlanDocument,
    RejectionEntry,
    ServiceEntry,
    Summary,
    TranslationEntry,
    VipEntry,
)

Verdicts = Mapping[Ref, Verdict]


def document(plan: Plan, world: World, changes: Iterable[PlanChange] = ()) -> PlanDocument:
    """The document of a plan of this world, with its differences from another state."""
    verdicts = {spoken.ref: spoken for spoken in every_verdict(plan)}
    services = _services(plan, world, verdicts)
    vips = sorted((_vip(plan, vip) for vip in plan.vips()), key=lambda v: v.name)
    return PlanDocument(
        services=services,
        ingresses=[],
        gateways=[],
        reservations=[],
        vips=vips,
        rejections=_rejections(plan, verdicts),
        changes=sorted(
            (ChangeEntry(c.action, c.object, c.because) for c in changes),
            key=lambda c: (c.object, c.action, c.because),
        ),
        summary=Summary(
            services=len(services),
            vips=len(vips),
            addresses=sum(len(vip.addresses) for vip in vips),
            rejected=sum(entry.state == State.REJECTED.value for entry in services),
            pending=sum(entry.state == State.PENDING.value for entry in services),
        ),
    )


def pair(namespace: str, name: str) -> str:
    """namespace/name, or the name alone where there is no namespace."""
    return f"{namespace}/{name}" if namespace else name


@lru_cache(maxsize=1 << 16)
def endpoint(address: IPAddress, port: int) -> str:
    """address:port, IPv6 in brackets (RFC 3986). Cached: a pod is behind many listeners."""
    text = canonical(address)
    return f"{text}:{port}" if address.version == 4 else f"[{text}]:{port}"


def sentence(plan: Plan, spoken: Verdict) -> tuple[str, str]:
    """The code and the text of a verdict. Warnings are told after the reason, or in its place."""
    reasons: Sequence[Reason] = [*filter(None, [spoken.reason]), *spoken.warnings]
    if not reasons:
        return "", ""
    return reasons[0].code.value, " ".join(message(plan, reason) for reason in reasons)


def _services(plan: Plan, world: World, verdicts: Verdicts) -> list[ServiceEntry]:
    balanced = (s.ref for s in world.every(Service) if s.spec.type == "LoadBalancer")
    spoken_of = (ref for ref in verdicts if ref.kind == Service.KIND)
    return [
        _service(plan, ref, verdicts.get(ref) or _silence(ref))
        for ref in sorted({*balanced, *spoken_of})
    ]


def _silence(ref: Ref) -> Verdict:
    """What is said of a Service that no dialect reads."""
    return Verdict(ref, State.IGNORED)


def _service(plan: Plan, ref: Ref, spoken: Verdict) -> ServiceEntry:
    code, text = sentence(plan, spoken)
    return ServiceEntry(
        namespace=ref.namespace,
        name=ref.name,
        dialect=spoken.dialect,
        group="" if spoken.group is None else str(spoken.group),
        state=spoken.state.value,
        reason=code,
        message=text,
        addresses=_texts((*spoken.addresses, *spoken.external)),
        hostname=spoken.hostname,
    )


def _texts(addresses: Iterable[IPAddress]) -> list[str]:
    return sorted(map(canonical, addresses))


def _vip(plan: Plan, vip: Vip) -> VipEntry:
    active, standby = placed(plan, vip)
    return VipEntry(
        name=vip.name,
        group=str(vip.group),
        addresses=_texts(vip.addresses),
        pools=sorted(vip.pools),
        members=sorted(pair(ref.namespace, ref.name) for ref in vip.members),
        announce=vip.announce,
        engines=EnginesEntry(sorted(active), sorted(standby)),
        listeners=sorted(map(_listener, vip.listeners), key=_place),
        translations=sorted(map(_translation, vip.translations), key=_route),
    )


def _translation(translation: Translation) -> TranslationEntry:
    return TranslationEntry(
        protocol=translation.protocol,
        external=endpoint(translation.external, translation.port),
        internal=endpoint(translation.internal, translation.port),
    )


def _route(entry: TranslationEntry) -> tuple[str, str, str]:
    return entry.protocol, entry.external, entry.internal


def _listener(listener: Listener) -> ListenerEntry:
    return ListenerEntry(
        protocol=listener.protocol,
        port=listener.port,
        kind=listener.kind,
        match=listener.match,
        service=pair(listener.service.namespace, listener.service.name),
        backends=_endpoints(listener.backends),
    )


def _endpoints(backends: Sequence[Backend]) -> list[str]:
    return sorted(endpoint(backend.address, backend.port) for backend in backends)


def _place(entry: ListenerEntry) -> tuple[str, int, str, str]:
    return entry.protocol, entry.port, entry.kind, entry.match


def _rejections(plan: Plan, verdicts: Verdicts) -> list[RejectionEntry]:
    """The objects that somebody must edit, whatever their kind."""
    return [
        RejectionEntry(
            object=str(ref),
            code=spoken.code.value,
            message=message(plan, spoken.reason) if spoken.reason else "",
            conflicts=sorted(str(other) for other in spoken.reason.conflicts)
            if spoken.reason
            else [],
        )
        for ref, spoken in sorted(verdicts.items())
        if spoken.state is State.REJECTED
    ]
