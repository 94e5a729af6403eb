"""Ports on a gateway as text, as an Engine and a state directory keep them, and back.

And what they add to a verdict: where its ports are reached, and a warning for each that is not.
"""

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from fairlead.model.addresses import canonical, parse_address
from fairlead.model.forward import ForwardKey
from fairlead.model.names import Ref
from fairlead.model.objects import EngineForward
from fairlead.model.verdict import Code, Forward, Reason, Verdict

Forwards = Mapping[Ref, tuple[Forward, ...]]
NONE: Forwards = {}


def written(one: Forward) -> EngineForward:
    """A port as text."""
    return EngineForward(
        service=f"{one.service.namespace}/{one.service.name}",
        protocol=one.key.protocol,
        port=one.key.port,
        address=canonical(one.key.client),
        external="" if one.external is None else canonical(one.external),
        reason=one.code.value,
        message=one.message,
    )


def read(one: EngineForward) -> Forward | None:
    """The inverse; None for what makes no sense, for it is another process that wrote it."""
    namespace, _, name = one.service.partition("/")
    try:
        return Forward(
            Ref("Service", namespace, name),
            ForwardKey(parse_address(one.address), one.protocol, one.port),
            parse_address(one.external) if one.external else None,
            Code(one.reason),
            one.message,
        )
    except ValueError:
        return None


def by_service(forwards: Iterable[Forward]) -> Forwards:
    """The ports of each Service, in order."""
    found: dict[Ref, tuple[Forward, ...]] = {}
    for one in forwards:
        found[one.service] = (*found.get(one.service, ()), one)
    return found


def with_forwards(said: Verdict, forwards: tuple[Forward, ...]) -> Verdict:
    """The verdict of a Service with what became of its ports."""
    if not forwards or not said.addresses:
        return said
    doubts = dict.fromkeys(Reason(one.code, one.message) for one in forwards if one.code)
    return replace(said, forwards=forwards, warnings=(*said.warnings, *doubts))


def shown(one: Forward) -> str:
    """A port for people: ``TCP 80.81.90.2:80 → 192.0.2.20:80``; a pinhole leads to itself."""
    inside = _endpoint(canonical(one.key.client), one.key.port)
    if one.external is None:
        return f"{one.key.protocol} {inside} is not open ({one.code.value or 'not yet'})"
    outside = _endpoint(canonical(one.external), one.key.port)
    return f"{one.key.protocol} {outside}" + (f" → {inside}" if outside != inside else " (pinhole)")


def _endpoint(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
