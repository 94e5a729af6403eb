"""VirtualIP: the ledger. Its address never changes, and its name says the same address.

No status: whatever is decided is in the spec, and who serves it is told elsewhere.
"""

from fairlead.model.virtualip import VirtualIP, VirtualIPSpec
from fairlead.publish.crds.convert import Extras
from fairlead.publish.crds.definition import AGE, Column, Definition, Names, Shape, definition
from fairlead.publish.crds.rules import rule, rules, value_rule

_NAMED = (
    "self.spec.address.contains(':') ? "
    "self.metadata.name.matches('^[0-9a-f]{1,4}(-[0-9a-f]{1,4}){7}([.]|$)') : "
    "(self.metadata.name + '.').startsWith(self.spec.address + '.')"
)

_EXTRAS: Extras = {
    (VirtualIP, ""): rules(
        rule(_NAMED, "metadata.name must be the address, with - for : in an IPv6 one"),
    ),
    (VirtualIPSpec, "address"): {
        "description": "The address, in its canonical text. It never changes.",
    }
    | rules(
        rule("self == oldSelf", "an address never changes; create another VirtualIP"),
        value_rule("isIP(self) && ip.isCanonical(self)", "is no IP address in its canonical text"),
    ),
    (VirtualIPSpec, "space"): {"description": "The address space that the address is of."},
    (VirtualIPSpec, "pool"): {"description": "The pool it was taken from, if it was."},
    (VirtualIPSpec, "listeners"): {"description": "What is served at the address, and for whom."},
    (VirtualIPSpec, "translations"): {"description": "DNAT from this address to internal ones."},
    (VirtualIPSpec, "engine_group"): {"description": "The EngineGroup that serves it."},
    (VirtualIPSpec, "role"): {"description": "The role of its engines: engine or edge."},
    (VirtualIPSpec, "announce"): {
        "description": "How the network learns of the address: l2 (the default), bgp, or none.",
    },
    (VirtualIPSpec, "peer_labels"): {
        "description": "Only BGPPeers with one of these labels learn it; none: all do.",
    },
}

_COLUMNS = (
    Column("Address", ".spec.address"),
    Column("Pool", ".spec.pool"),
    Column("Service", ".spec.listeners[0].service", about="The Service of its first listener."),
    Column("Engine-Group", ".spec.engineGroup", about="Empty: default."),
    Column("Announce", ".spec.announce", about="Empty: l2."),
    Column("Members", ".spec.members", wide=True),
    Column("Engines", ".spec.engines", "integer", wide=True, about="How many; empty: 1."),
    Column("Home", ".spec.home", wide=True, about="The engines that hold it while they can."),
    Column("Suspended", ".spec.suspended", "boolean", wide=True),
    AGE,
)


def virtual_ips(versions: tuple[str, ...]) -> Definition:
    """The definition of VirtualIP."""
    names = Names("virtualips", short=("fvip",), categories=("fairlead",))
    return definition(names, Shape(VirtualIP, _EXTRAS, _COLUMNS), versions)
