"""Which language reads a Service (DESIGN §5).

The class decides; else the annotations that people write; else the circumstances: VCD's ConfigMap,
an address that only kube-vip would take; else the configured default. Annotations that controllers
write back select nothing, or a Service would change hands by being served.
"""

from collections.abc import Callable

from fairlead.dialects import ako, kubevip, native, vcd
from fairlead.dialects.reading import NOTHING, Reading, ignored, rejected, shown
from fairlead.dialects.view import View
from fairlead.model.addresses import parse_address
from fairlead.model.kube import Service
from fairlead.model.names import Ref
from fairlead.model.verdict import Code, Reason

READERS: dict[str, Callable[[Ref, Service, View], Reading]] = {
    native.NAME: native.read,
    ako.NAME: ako.read,
    kubevip.NAME: kubevip.read,
    "vcd": vcd.read,
}
CLASSES = {native.CLASS: native.NAME, ako.CLASS: ako.NAME}
SELECTING = {
    annotation: language.NAME
    for language in (native, ako, kubevip)
    for annotation in sorted(language.SELECTING)
}


def read_service(ref: Ref, service: Service, view: View) -> Reading:
    """The claims of a Service in whichever language it is written, or why it has none."""
    spec = service.spec
    notes = service.metadata.annotation_map
    spoken = _spoken(notes) if notes else {}
    if spec.type != "LoadBalancer":
        return _not_load_balancer(ref, spec.type, spoken) if spoken else NOTHING
    if spec.load_balancer_class:
        return _by_class(ref, service, view)
    if not view.config.handle_unclassed:
        return _unclassed(ref)
    if len(spoken) > 1 and kubevip.NAME in spoken and kubevip.is_ignored(service):
        del spoken[kubevip.NAME]
    if len(spoken) > 1:
        return _ambiguous(ref, spoken)
    for language in spoken:
        return READERS[language](ref, service, view)
    return _by_circumstance(ref, service, view)


def _spoken(notes: dict[str, str]) -> dict[str, str]:
    """The languages of some annotations, with the first annotation of each. The sharing key
    without a value counts as absent."""
    spoken: dict[str, str] = {}
    for annotation in sorted(notes.keys() & SELECTING.keys()):
        if annotation != ako.SHARED_VIP or notes[annotation]:
            spoken.setdefault(SELECTING[annotation], annotation)
    return spoken


def _by_class(ref: Ref, service: Service, view: View) -> Reading:
    name = service.spec.load_balancer_class or ""
    language = CLASSES.get(name)
    if language is None and name == view.config.load_balancer_class_name:
        language = kubevip.NAME
    if language is not None:
        return READERS[language](ref, service, view)
    if ako.shares(service):
        return ako.read_foreign(ref, service, view)
    ours = ", ".join((*CLASSES, view.config.load_balancer_class_name))
    message = (
        f"spec.loadBalancerClass {shown(name)} is another controller's; Fairlead serves {ours}."
    )
    return ignored(ref, Code.CLASS_MISMATCH, message)


def _by_circumstance(ref: Ref, service: Service, view: View) -> Reading:
    if kubevip.is_ignored(service):
        return kubevip.ignore(ref)
    if view.space.tiers is not None:
        return vcd.read(ref, service, view)
    text = service.spec.load_balancer_ip
    if text and kubevip.serves_unclassed(view.config) and _beyond_pools(text, view):
        return kubevip.read(ref, service, view)
    return READERS[view.config.default_dialect](ref, service, view)


def _beyond_pools(text: str, view: View) -> bool:
    """Whether it is an address, and no pool's: only kube-vip takes those, and ``0.0.0.0``."""
    try:
        address = parse_address(text.strip())
    except ValueError:
        return False
    return not view.space.declared.holds(address)


def _not_load_balancer(ref: Ref, kind: str, spoken: dict[str, str]) -> Reading:
    language, annotation = next(iter(spoken.items()))
    message = (
        f"{annotation} has no effect, because spec.type is {shown(kind)}; set it to LoadBalancer "
        "or remove the annotation."
    )
    return ignored(ref, Code.NOT_LOAD_BALANCER, message, dialect=language)


def _unclassed(ref: Ref) -> Reading:
    message = (
        "spec.loadBalancerClass is not set, and handleUnclassed is false; set it to "
        f"{native.CLASS}."
    )
    return ignored(ref, Code.CLASS_MISMATCH, message)


def _ambiguous(ref: Ref, spoken: dict[str, str]) -> Reading:
    told = " and ".join(f"{annotation} ({language})" for language, annotation in spoken.items())
    message = (
        f"annotations speak several languages: {told}; keep those of one, or set "
        "spec.loadBalancerClass."
    )
    return rejected(ref, Reason(Code.AMBIGUOUS_DIALECT, message))
