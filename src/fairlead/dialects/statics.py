"""Static addresses: the text that people write in a Service, and the addresses no VIP can be.

Loopback, multicast and reserved addresses are refused here, because an engine that took one would
break its own host. ``0.0.0.0`` and ``::`` are parsed, since kube-vip gives them a meaning; every
other language refuses them through :func:`one_per_family`.
"""

from collections.abc import Iterable

from fairlead.dialects.reading import invalid, shown
from fairlead.model.addresses import Family, IPAddress, parse_address
from fairlead.model.verdict import Reason

LONGEST_LIST = 4096
"""Characters of an address list; a VIP has at most two addresses."""
FAMILY_NAMES: dict[Family, str] = {4: "IPv4", 6: "IPv6"}


def special(family: Family, number: int) -> str:
    """What makes an address unfit to be a VIP or a backend; empty for a common one (RFC 6890)."""
    if family == 4:
        top = number >> 24
        # Every endpoint passes here, so the common case takes one comparison.
        return "" if 0 < top < 127 or 169 < top < 224 else _special4(number)
    if number >> 120 == 0xFF:
        return "a multicast address"
    if number >> 118 == 0x3FA:
        return "a link-local address"
    if number >> 32 == 0xFFFF:
        return "an IPv4 address in IPv6 clothes"
    return {0: "unspecified", 1: "the loopback address"}.get(number, "")


def _special4(number: int) -> str:
    match number >> 24:
        case 0:
            return "unspecified" if number == 0 else "an address of this network (0.0.0.0/8)"
        case 127:
            return "a loopback address"
        case top if top >= 224:
            return "a multicast address" if top < 240 else "a reserved address"
    return "a link-local address" if number >> 16 == 0xA9FE else ""


def read_address(field: str, text: str) -> IPAddress | Reason:
    """One address, perhaps the unspecified one."""
    try:
        address = parse_address(text.strip())
    except ValueError:
        return invalid(field, text, "is not an IP address; write an IPv4 or IPv6 address")
    why = special(address.version, int(address))
    if why and int(address):
        return invalid(field, text, f"is {why}, which no VIP can have; write another address")
    return address


def read_list(field: str, text: str) -> tuple[IPAddress, ...] | Reason:
    """A comma list of addresses, spaces trimmed, duplicates dropped, empty entries skipped."""
    if len(text) > LONGEST_LIST:
        return invalid(field, text, f"is longer than {LONGEST_LIST} characters; name two addresses")
    found: dict[IPAddress, None] = {}
    for entry in text.split(","):
        if entry := entry.strip():
            address = read_address(field, entry)
            if isinstance(address, Reason):
                return address
            found[address] = None
    return tuple(found)


def one_per_family(field: str, addresses: Iterable[IPAddress]) -> tuple[IPAddress, ...] | Reason:
    """The addresses by family, IPv4 first; refused when one is unspecified or two are of one
    family."""
    chosen: dict[Family, IPAddress] = {}
    for address in addresses:
        if not int(address):
            why = "is no address; only kube-vip gives it a meaning (DHCP). Write an address"
            return invalid(field, address, why)
        other = chosen.setdefault(address.version, address)
        if other != address:
            name = FAMILY_NAMES[address.version]
            why = f"and {shown(address)} are both {name}; name one address of each family"
            return invalid(field, other, why)
    return tuple(chosen[family] for family in sorted(chosen))
