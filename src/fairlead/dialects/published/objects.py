"""One VirtualIP object: whether its address can be served at all.

Who may write VirtualIPs may still write nonsense. What is wrong with one object is said of it and
keeps it from being served; it never concerns another.
"""

from fairlead.dialects.reading import invalid
from fairlead.dialects.statics import special
from fairlead.model.addresses import parse_address
from fairlead.model.ledger import Spot
from fairlead.model.names import Ref
from fairlead.model.verdict import Reason
from fairlead.model.virtualip import VirtualIP, object_name

parse_once = parse_address.__wrapped__
"""Without its cache: of 50 000 addresses none comes twice."""


def spot_of(one: VirtualIP) -> Spot | Reason:
    """The address of an object, or why it has none that could be served."""
    spec = one.spec
    try:
        address = parse_once(spec.address)
    except ValueError:
        return invalid("spec.address", spec.address, "is not an IP address")
    why = special(address.version, int(address))
    if why:
        return invalid("spec.address", spec.address, f"is {why}, which no VIP can have")
    spot = Spot(spec.space, address)
    name = object_name(spot)
    if name != one.name:
        return invalid("metadata.name", one.name, f"is not the name of its address, {name}")
    return spot


def is_served(one: VirtualIP) -> bool:
    """Whether anybody shall serve it."""
    spec = one.spec
    return not (spec.reserve or spec.suspended or spec.released)


def service_of(text: str) -> Ref | None:
    """The Service that a listener names; None when it names none."""
    namespace, slash, name = text.partition("/")
    if not (namespace and slash and name) or "/" in name:
        return None
    return Ref("Service", namespace, name)
