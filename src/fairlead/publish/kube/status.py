"""A verdict as a Service's status: ``loadBalancer.ingress`` and the condition
``fairlead.dev/Served``.

Applied server-side under one field manager, so that clearing it removes what Fairlead wrote and
nothing else. The whole is one patch, and one that would say what is already said is not made.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from fairlead.model.addresses import IPAddress, canonical, parse_address
from fairlead.model.kube import Metadata, Service, StatusCondition
from fairlead.model.names import Ref
from fairlead.model.plan import Plan
from fairlead.model.verdict import State, Verdict
from fairlead.planner import message
from fairlead.publish.kube.hosts import without_host

CONDITION = "fairlead.dev/Served"
MANAGER = "fairlead"
"""The field manager of every apply."""
LONGEST = 1024
"""Characters of a condition's message."""
STATUS = {State.SERVED: "True", State.PENDING: "False", State.REJECTED: "False"}


class Ingress(NamedTuple):
    """One entry of ``status.loadBalancer.ingress``, as far as Fairlead writes it. ``proxy``: the
    address is not the Service's own but a gateway's, so nodes must not take its traffic
    (``ipMode: Proxy``)."""

    ip: str
    hostname: str = ""
    proxy: bool = False

    @property
    def mode(self) -> str:
        """The ipMode."""
        return "Proxy" if self.proxy else "VIP"


class Said(NamedTuple):
    """What a Service's status says in Fairlead's fields; ``status`` is the condition's, empty
    without one. ``loose``: the message names others, who
    may change without the Service; a difference there alone is not worth a write."""

    ingress: tuple[Ingress, ...] = ()
    status: str = ""
    reason: str = ""
    message: str = ""
    since: str = ""
    loose: bool = False

    def same(self, shown: "Said") -> bool:
        """Whether the status that is ``shown`` says this already."""
        told = self.loose or self.message == shown.message
        there = not self.ingress or self.ingress == shown.ingress  # else it is another manager's
        return told and there and self[1:3] == shown[1:3]


NOTHING = Said()


def said_of(plan: Plan, verdict: Verdict | None, ports_with_ip: bool = True) -> Said:
    """What a Service's status is to say; nothing where the Service is not ours."""
    if verdict is None or verdict.state not in STATUS:
        return NOTHING
    reason = verdict.reason
    warning = reason or (verdict.warnings[0] if verdict.warnings else None)
    text = message(plan, warning) if warning else _where(verdict)
    return Said(
        ingress=_ingress(verdict) if ports_with_ip else (),
        status=STATUS[verdict.state],
        reason=str(verdict.code) or "Served",
        message=text[:LONGEST],
        loose=bool(warning and warning.pools),
    )


def _where(verdict: Verdict) -> str:
    text = "served at " + _listed(verdict.addresses)
    outside = verdict.external
    return f"{text}, and at {_listed(outside)} through the gateway" if outside else text


def _listed(addresses: Sequence[IPAddress]) -> str:
    return ", ".join(map(canonical, addresses))


def _ingress(verdict: Verdict) -> tuple[Ingress, ...]:
    own = (Ingress(canonical(a), verdict.hostname) for a in verdict.addresses)
    return (*own, *(Ingress(canonical(a), proxy=True) for a in verdict.external))


def shown_by(service: Service) -> Said:
    """What a Service's status says now."""
    status = service.status
    if status is None:
        return NOTHING
    entries = (status.load_balancer.ingress if status.load_balancer else None) or ()
    own = next((c for c in status.conditions or () if c.type == CONDITION), None)
    ingress = tuple(Ingress(e.ip, e.hostname, e.ip_mode == "Proxy") for e in entries)
    if own is None:
        return Said(ingress)
    return Said(ingress, own.status, own.reason, own.message, own.last_transition_time)


def addresses_shown(said: Said) -> tuple[IPAddress, ...]:
    """The addresses of a status that are the Service's own; what is none is passed over."""
    found = []
    for entry in said.ingress:
        if entry.proxy:
            continue
        try:
            found.append(parse_address(entry.ip))
        except ValueError:
            continue
    return tuple(found)


class _Entry(msgspec.Struct, rename="camel", omit_defaults=True):
    ip: str
    hostname: str = ""
    ip_mode: str = ""


def body_of(ref: Ref, said: Said, *, uid: str, version: str, now: str) -> bytes:
    """The patch as JSON, for ``status`` by server-side apply; conditional on the Service being
    still this one (uid), and unchanged since (resourceVersion) unless that is empty.

    Without an address ``loadBalancer`` is left out, which lets go of what was written there before;
    with nothing to say ``status`` is, so that nothing is ours any more.
    """
    meta: dict[str, Any] = {"name": ref.name, "namespace": ref.namespace, "uid": uid}
    if version:
        meta["resourceVersion"] = version
    status: dict[str, Any] = {}
    if said.ingress:
        entries = [_Entry(e.ip, e.hostname, e.mode) for e in said.ingress]
        status["loadBalancer"] = {"ingress": entries}
    if said.status:
        status["conditions"] = [
            StatusCondition(
                type=CONDITION,
                status=said.status,
                reason=said.reason,
                message=said.message,
                last_transition_time=said.since or now,
            )
        ]
    whole: dict[str, Any] = {"apiVersion": "v1", "kind": "Service", "metadata": meta}
    if status:
        whole["status"] = status
    return msgspec.json.encode(whole)


def stripped(service: Service) -> Service:
    """A Service as a World has it: without what changes by writing."""
    meta = bare(service.metadata)
    notes = without_host(meta.annotation_map)
    if notes is not meta.annotation_map:
        meta = msgspec.structs.replace(meta, annotation_map=notes)
    return msgspec.structs.replace(service, metadata=meta, status=None)


def bare(meta: Metadata) -> Metadata:
    """ObjectMeta without what changes by writing."""
    return msgspec.structs.replace(meta, resource_version="", finalizers=None)
