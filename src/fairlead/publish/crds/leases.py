"""AddressLease: an address from a DHCP server."""

from fairlead.model.addresslease import AddressLease, AddressLeaseSpec, AddressLeaseStatus
from fairlead.publish.crds.convert import Extras, openapi
from fairlead.publish.crds.definition import AGE, Column, Definition, Names, Shape, definition

_EXTRAS: Extras = {
    (AddressLeaseSpec, "group"): {"description": "The group that the address is for."},
    (AddressLeaseSpec, "family"): {"description": "IPv4 (DHCPv4) or IPv6 (DHCPv6)."},
    (AddressLeaseSpec, "engine_group"): {
        "description": "The EngineGroup whose engines may ask; the holder of the VIP does.",
    },
    (AddressLeaseStatus, "state"): {
        "description": "Bound: an address is leased. Refused: none is to be had. Lost: there was "
        "one.",
    },
}

_COLUMNS = (
    Column("Family", ".spec.family"),
    Column("State", ".status.state"),
    Column("Address", ".status.address"),
    Column("Server", ".status.server"),
    Column("Engine", ".status.engine", about="The engine that asked."),
    Column("Expires", ".status.expiresAt"),
    Column("MAC", ".spec.mac", wide=True),
    Column("Client-ID", ".spec.clientId", wide=True),
    Column("Message", ".status.message", wide=True),
    AGE,
)


def leases(versions: tuple[str, ...]) -> Definition:
    """The definition of AddressLease."""
    names = Names("addressleases", short=("flease",), categories=("fairlead",))
    status = openapi(AddressLeaseStatus, _EXTRAS)
    return definition(names, Shape(AddressLease, _EXTRAS, _COLUMNS, status), versions)
