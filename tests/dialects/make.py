"""Worlds from manifests, and the one claim or verdict that a test is about."""

from typing import Any

import msgspec
import ryaml

from fairlead.dialects.translate import translate
from fairlead.model import addresslease, kube, objects, virtualip
from fairlead.model.claim import Claim, Claims
from fairlead.model.config import Config
from fairlead.model.kube import KubeObject
from fairlead.model.names import Ref
from fairlead.model.verdict import Reason, Verdict
from fairlead.model.world import Change, World

KINDS: dict[str, type[KubeObject]] = {
    kind.KIND: kind
    for kind in (
        kube.Service,
        kube.EndpointSlice,
        kube.Pod,
        kube.Node,
        kube.Namespace,
        kube.ConfigMap,
        kube.AviInfraSetting,
        objects.AddressPool,
        objects.EngineGroup,
        virtualip.VirtualIP,
        addresslease.AddressLease,
    )
}


def decoded(document: Any) -> KubeObject:
    """One object from its parsed document."""
    return msgspec.convert(document, KINDS[document["kind"]])


def decoded_all(text: str) -> list[KubeObject]:
    """The objects of a multi-document manifest."""
    documents = ryaml.loads_all(text)  # type: ignore[attr-defined]
    return [decoded(document) for document in documents if document]


def world_of(*items: KubeObject | str, config: Config | None = None, host: str = "") -> World:
    """A world from objects and manifests."""
    found: list[KubeObject] = []
    for item in items:
        found.extend(decoded_all(item) if isinstance(item, str) else [item])
    empty = World(config=config or Config(), host=host)
    return empty.evolve([Change(item.ref, item) for item in found])


def claims_of(*items: KubeObject | str, config: Config | None = None, host: str = "") -> Claims:
    """The translation of a world from nothing."""
    return translate(world_of(*items, config=config, host=host))


def service_ref(name: str) -> Ref:
    """``name`` or ``namespace/name`` of a Service."""
    namespace, _, rest = name.rpartition("/")
    return Ref("Service", namespace or "default", rest)


def claim_in(claims: Claims, name: str = "web") -> Claim:
    """The one claim of a Service, about which dialects had nothing else to say."""
    ref = service_ref(name)
    assert ref not in claims.verdicts, claims.verdicts[ref]
    (claim,) = claims.by_ref[ref]
    return claim


def verdict_in(claims: Claims, name: str = "web") -> Verdict:
    """The verdict on a Service that has no claim."""
    ref = service_ref(name)
    assert ref not in claims.by_ref
    return claims.verdicts[ref]


def reason_in(claims: Claims, name: str = "web") -> Reason:
    """The reason of that verdict."""
    reason = verdict_in(claims, name).reason
    assert reason is not None
    return reason


def service(name: str = "web", notes: dict[str, str] | None = None, **spec: Any) -> KubeObject:
    """A LoadBalancer Service with port 80; ``name`` may carry a namespace."""
    ref = service_ref(name)
    return decoded(
        {
            "kind": "Service",
            "metadata": {"name": ref.name, "namespace": ref.namespace, "annotations": notes},
            "spec": {"type": "LoadBalancer", "ports": [{"port": 80}], **spec},
        }
    )


def backends_in(claim: Claim, port: int = 80) -> list[str]:
    """The backends of a port as ``address:port@node``."""
    (listener,) = [entry for entry in claim.listeners if entry.port == port]
    return [f"{b.address}:{b.port}@{b.node}" for b in listener.backends]
