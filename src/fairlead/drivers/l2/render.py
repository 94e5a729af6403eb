"""What this engine holds on its LANs as text, one address a line, for golden files and people."""

from fairlead.model.addresses import IPAddress, canonical
from fairlead.model.desired import L2Desired


def dump(desired: L2Desired) -> str:
    """``ADDRESS`` or ``ADDRESS probe``, IPv4 first, ascending; "" when there is none."""
    return "".join(
        f"{canonical(address)}{' probe' if address in desired.fresh else ''}\n"
        for address in sorted(desired.owned | desired.fresh, key=order)
    )


def order(address: IPAddress) -> tuple[int, int]:
    """Sorts addresses of both families: IPv4 first, ascending."""
    return address.version, int(address)
