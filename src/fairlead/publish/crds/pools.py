"""AddressPool: the schema's part of what an entry may be.

It reads each entry for itself. Which addresses no VIP can have, and ranges over two families, are
the admission policy's business; order and overlap are said in the status.
"""

from fairlead.model.objects import AddressPool, AddressPoolSpec, Sharing
from fairlead.publish.crds.conditions import IN_USE, WHY_NOT, status
from fairlead.publish.crds.convert import Extras
from fairlead.publish.crds.definition import AGE, Column, Definition, Names, Shape, definition
from fairlead.publish.crds.rules import ADDRESS, NAMESPACE, SELECTORS, rules, value_rule

_ENTRY = (
    "isIP(self.trim()) || isCIDR(self.trim()) || (self.split('-').size() == 2"
    " && isIP(self.split('-')[0].trim()) && isIP(self.split('-')[1].trim()))"
)

_EXTRAS: Extras = {
    **SELECTORS,
    (AddressPoolSpec, "addresses"): {"maxItems": 1024},
    (AddressPoolSpec, "addresses[]"): {"maxLength": 2 * ADDRESS + 3}
    | rules(value_rule(_ENTRY, "is no CIDR, address or range (first-last)")),
    (AddressPoolSpec, "networks"): {
        "description": "Other names of the pool, for instance an Avi network.",
    },
    (AddressPoolSpec, "namespaces"): {
        "description": "Only for Services of these namespaces.",
        "maxItems": 1024,
    },
    (AddressPoolSpec, "namespaces[]"): {"maxLength": 63, "pattern": NAMESPACE},
    (AddressPoolSpec, "namespace_selector"): {
        "description": "Or for Services of namespaces with these labels.",
    },
    (AddressPoolSpec, "service_selector"): {
        "description": "And only for Services with these labels.",
    },
    (AddressPoolSpec, "priority"): {
        "description": "Pools with a higher one are tried first, then by name. 0 by default.",
    },
    (AddressPoolSpec, "auto_assign"): {
        "description": "True by default; false: used only when named, or for static addresses.",
    },
    (AddressPoolSpec, "avoid_first_last"): {
        "description": "True by default: network and broadcast address of an IPv4 CIDR of /30 or "
        "larger are left out. Ranges are used whole.",
    },
    (Sharing, "cross_namespace"): {
        "description": "True by default; false: an address is not shared between namespaces.",
    },
    (AddressPoolSpec, "announce"): {
        "description": "How the network learns of the addresses: l2 (the default), bgp, or none.",
    },
}

_STATUS = status(
    assigned={
        "description": "How many of its addresses are assigned.",
        "type": "integer",
        "format": "int64",
        "minimum": 0,
    },
    size={
        "description": "How many addresses it has: a number as text, since IPv6 has so many.",
        "type": "string",
        "maxLength": 40,
    },
)

_COLUMNS = (
    Column("Addresses", ".spec.addresses"),
    Column("Auto-Assign", ".spec.autoAssign", "boolean", about="Empty: true."),
    Column("Assigned", ".status.assigned", "integer"),
    Column("Size", ".status.size"),
    IN_USE,
    Column("Priority", ".spec.priority", "integer", wide=True),
    Column("Announce", ".spec.announce", wide=True, about="Empty: l2."),
    WHY_NOT,
    AGE,
)


def pools(versions: tuple[str, ...]) -> Definition:
    """The definition of AddressPool."""
    names = Names("addresspools", short=("pool",), categories=("fairlead",))
    return definition(names, Shape(AddressPool, _EXTRAS, _COLUMNS, _STATUS), versions)
