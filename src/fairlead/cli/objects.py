"""Objects as people type them: ``svc/default/web``, ``pool/vips``, ``vip/192.0.2.9``."""

from fairlead.cli.failure import Failure
from fairlead.model.names import Ref

SHORT = {
    "svc": "Service",
    "service": "Service",
    "services": "Service",
    "pool": "AddressPool",
    "pools": "AddressPool",
    "addresspool": "AddressPool",
    "addresspools": "AddressPool",
    "vip": "VirtualIP",
    "vips": "VirtualIP",
    "fvip": "VirtualIP",
    "virtualip": "VirtualIP",
    "enginegroup": "EngineGroup",
    "enginegroups": "EngineGroup",
    "cm": "ConfigMap",
    "configmap": "ConfigMap",
    "configmaps": "ConfigMap",
    "no": "Node",
    "node": "Node",
    "nodes": "Node",
    "ns": "Namespace",
    "namespace": "Namespace",
    "aviinfrasetting": "AviInfraSetting",
    "aviinfrasettings": "AviInfraSetting",
    "endpointslice": "EndpointSlice",
    "endpointslices": "EndpointSlice",
    "po": "Pod",
    "pod": "Pod",
    "pods": "Pod",
}
CLUSTER = {"AddressPool", "VirtualIP", "EngineGroup", "Node", "Namespace", "AviInfraSetting"}
"""Kinds without a namespace."""


def ref_from(text: str, namespace: str) -> Ref:
    """KIND/NAMESPACE/NAME, or KIND/NAME with a namespace for the kinds that have one.

    Raises :class:`Failure` for anything else.
    """
    typed, *names = text.split("/")
    kind = SHORT.get(typed.lower())
    if kind is None:
        known = ", ".join(("svc", "pool", "vip", "enginegroup", "cm", "node", "aviinfrasetting"))
        raise Failure(f"{typed!r} is no kind that Fairlead knows; say one of {known}")
    match names:
        case [name] if name and kind in CLUSTER:
            return Ref(kind, "", name)
        case [name] if name:
            return Ref(kind, namespace or "default", name)
        case [where, name] if where and name and kind not in CLUSTER:
            return Ref(kind, where, name)
    form = f"{typed}/NAME" if kind in CLUSTER else f"{typed}/NAMESPACE/NAME"
    raise Failure(f"{text!r} names no object; write {form}")
