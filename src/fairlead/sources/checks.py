"""The rules of the Kubernetes API that types cannot say: names, labels, sizes, ports.

Fairlead reads files without an API server in front, so what the server would refuse is refused
here, for the same reasons. Whether an address makes sense is a matter of the dialect that reads it,
not of this module, except for a whole configuration in a ConfigMap. Sources: apimachinery's
validation of ObjectMeta, core/v1 validation of Service.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from fairlead.dialects.vcd.config import KEY, problem_of
from fairlead.model.kube import ConfigMap, KubeObject, Namespace, Service, ServicePort, ServiceSpec
from fairlead.sources.faults import Fault, clipped, field_name, plain, shown

LABEL: Final = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
SUBDOMAIN: Final = re.compile(
    r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*"
)
WORD: Final = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
PORT_NAME: Final = re.compile(r"(?!.*--)(?=.*[a-z])[a-z0-9](?:[-a-z0-9]{0,13}[a-z0-9])?")
LONGEST_KEY: Final = 253 + 1 + 63
ANNOTATION_BYTES: Final = 262144
"""The API's limit on all annotations of one object together: 256 KiB of keys and values."""

TYPES: Final = ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName")
CHOICES: Final = (
    ("externalTrafficPolicy", ("Cluster", "Local")),
    ("sessionAffinity", ("None", "ClientIP")),
    ("ipFamilyPolicy", ("SingleStack", "PreferDualStack", "RequireDualStack")),
)
PORT_NAME_RULE: Final = "must be a port name: 1 to 15 small letters, digits and '-', with a letter"
LABEL_NAMED: Final = (Service.KIND, Namespace.KIND)
"""Kinds whose names are labels; the others' are subdomains."""
LABEL_RULE: Final = (
    "must be 1 to 63 small letters, digits and '-', with a letter or digit at both ends"
)
SUBDOMAIN_RULE: Final = (
    "must be small letters, digits, '-' and '.', with a letter or digit at both ends of each part"
)
KEY_RULE: Final = (
    "must be a name of at most 63 letters, digits, '-', '_' and '.', after 'domain/' if any"
)
VALUE_RULE: Final = (
    "must be at most 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends"
)


def check(item: KubeObject) -> Fault | None:
    """The first rule that an object breaks; None when it keeps them all."""
    fault = _identity(item)
    meta = item.metadata
    if fault is None and meta.label_map:
        fault = _labels(meta.label_map)
    if fault is None and meta.annotation_map:
        fault = _annotations(meta.annotation_map)
    if fault is None and isinstance(item, Service):
        fault = _service(item.spec)
    if fault is None and isinstance(item, ConfigMap):
        fault = _configuration(item)
    return fault


def _configuration(item: ConfigMap) -> Fault | None:
    """A configuration inside a ConfigMap that its dialect cannot read. Found here, so that the last
    good version stays in use."""
    reason = problem_of(item)
    return Fault(("data", KEY), reason.message) if reason else None


def _identity(item: KubeObject) -> Fault | None:
    meta = item.metadata
    pattern, rule = (LABEL, LABEL_RULE) if item.KIND in LABEL_NAMED else (SUBDOMAIN, SUBDOMAIN_RULE)
    if not pattern.fullmatch(meta.name):
        return Fault(("metadata", "name"), f"metadata.name {shown(meta.name)} {rule}.")
    if meta.namespace and not item.CLUSTER and not is_label(meta.namespace):
        text = f"metadata.namespace {shown(meta.namespace)} {LABEL_RULE}."
        return Fault(("metadata", "namespace"), text)
    return None


def is_label(text: str) -> bool:
    """Whether text is an RFC 1123 label."""
    return len(text) <= 63 and _is_label(text)


@lru_cache(maxsize=4096)
def _is_label(text: str) -> bool:
    return LABEL.fullmatch(text) is not None


def is_key(text: str) -> bool:
    """Whether text is a qualified name: ``name`` or ``domain/name``."""
    return len(text) <= LONGEST_KEY and _is_key(text)


@lru_cache(maxsize=4096)
def _is_key(text: str) -> bool:
    domain, slash, name = text.rpartition("/")
    if slash and not (len(domain) <= 253 and SUBDOMAIN.fullmatch(domain)):
        return False
    return WORD.fullmatch(name) is not None


def _labels(labels: dict[str, str]) -> Fault | None:
    for key, value in labels.items():
        where = ("metadata", "labels", key)
        if not is_key(key):
            return Fault(where, f"label {clipped(key)}: the key {KEY_RULE}.")
        if value and not WORD.fullmatch(value):
            return Fault(where, f"label {clipped(key)}: the value {shown(value)} {VALUE_RULE}.")
    return None


def _annotations(annotations: dict[str, str]) -> Fault | None:
    size = 0
    for key, value in annotations.items():
        size += _bytes(key) + _bytes(value)
        if not is_key(key.lower()):
            where = ("metadata", "annotations", key)
            return Fault(where, f"annotation {clipped(key)}: the key {KEY_RULE}.")
    if size > ANNOTATION_BYTES:
        text = f"metadata.annotations hold {size} bytes; at most {ANNOTATION_BYTES} are allowed."
        return Fault(("metadata", "annotations"), text)
    return None


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))


def _service(spec: ServiceSpec) -> Fault | None:
    if spec.type not in TYPES:
        return _choice("type", spec.type, TYPES)
    values = (spec.external_traffic_policy, spec.session_affinity, spec.ip_family_policy)
    if any(values):
        for (name, options), value in zip(CHOICES, values, strict=True):
            if value and value not in options:
                return _choice(name, value, options)
    if spec.ip_families and not set(spec.ip_families) <= {"IPv4", "IPv6"}:
        return _choice("ipFamilies", ", ".join(spec.ip_families), ("IPv4", "IPv6"))
    if spec.ports:
        return next(_ports(spec.ports), None)
    if spec.type == "LoadBalancer":
        return Fault(("spec", "ports"), "spec.ports is empty; list at least one port.")
    return None


def _choice(name: str, value: str, options: tuple[str, ...]) -> Fault:
    text = f"spec.{name} must be one of {', '.join(options)}, not {shown(value)}."
    return Fault(("spec", name), text)


def _ports(ports: tuple[ServicePort, ...]) -> Iterator[Fault]:
    for index, port in enumerate(ports):
        if port.name and not is_label(port.name):
            where = ("spec", "ports", index, "name")
            yield Fault(where, f"{field_name(where)} {shown(port.name)} {LABEL_RULE}.")
        if port.target_port is not None:
            yield from _target(port.target_port, index)
    if len(ports) > 1:
        yield from _unique(ports)


def _unique(ports: tuple[ServicePort, ...]) -> Iterator[Fault]:
    """Among several ports every one needs a name, and neither names nor numbers may repeat."""
    names: dict[str, int] = {}
    keys: dict[tuple[str, int], int] = {}
    for index, port in enumerate(ports):
        where = ("spec", "ports", index)
        field = field_name(where)
        if not port.name:
            text = f"{field}.name is missing; with several ports every one needs a name."
            yield Fault(where, text)
        if (first := names.setdefault(port.name, index)) != index:
            text = f"{field}.name {port.name} is also that of spec.ports[{first}]; rename one."
            yield Fault((*where, "name"), text)
        if (first := keys.setdefault(port.key, index)) != index:
            text = f"{field} repeats {port.protocol} {port.port} of spec.ports[{first}]; remove it."
            yield Fault((*where, "port"), text)


def _target(target: int | str, index: int) -> Iterator[Fault]:
    where = ("spec", "ports", index, "targetPort")
    match target:
        case int(number) if not 1 <= number <= 65535:
            rule = f"must be from 1 to 65535, not {plain(number)}"
        case str(name) if name.isdecimal():
            rule = "must be a whole number, not text: remove the quotes"
        case str(name) if len(name) > 15 or not PORT_NAME.fullmatch(name):
            rule = f"{shown(name)} {PORT_NAME_RULE}"
        case _:
            return
    yield Fault(where, f"{field_name(where)} {rule}.")
