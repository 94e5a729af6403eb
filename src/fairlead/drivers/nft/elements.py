"""One listener as the elements of maps and sets that make it work.

A pure function of the row alone, so that a change is the difference of two sets of elements and
nobody has to count references or read the kernel back.
"""

from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import NamedTuple
from zlib import crc32

from fairlead.drivers.nft.schema import MASQUERADE, Shape
from fairlead.model.addresses import IPNetwork
from fairlead.model.desired import L4Backend, L4Key, L4Listener

NUMBERS = {"TCP": 6, "UDP": 17, "SCTP": 132}
"""Protocol numbers (IANA), because names need ``/etc/protocols``."""

_FIRST_ID = 0x4000_0000
_IDS = 0x3FFF_FFFF


class Element(NamedTuple):
    """One element: ``value`` is empty in a set."""

    name: str
    key: str
    value: str = ""


def shape(listener: L4Listener) -> Shape:
    """The shape of a listener's chain."""
    return Shape(
        len(listener.backends), listener.affinity_seconds, guarded=bool(listener.source_ranges)
    )


def elements(key: L4Key, listener: L4Listener) -> frozenset[Element]:
    """All elements of one listener."""
    family = key.address.version
    base = f"{key.address} . {NUMBERS[key.protocol]} . {key.port}"
    if listener.passes:
        return frozenset(
            (Element(f"listeners{family}", base, "accept"), Element(f"passed{family}", base))
        )
    served = _sticky if listener.affinity_seconds else _plain
    return frozenset(
        (
            Element(f"listeners{family}", base, f"goto {shape(listener).chain}"),
            *served(family, base, listener.backends),
            *_sources(family, base, listener.source_ranges),
            *_masquerade(family, base, listener),
        )
    )


def vip_element(address: object) -> Element:
    """The element that makes an address a VIP."""
    return Element("vips4" if isinstance(address, IPv4Address) else "vips6", str(address))


def network_text(network: IPNetwork) -> str:
    """A range as nft writes it: a single address has no length."""
    single = network.prefixlen == network.max_prefixlen
    return str(network.network_address) if single else str(network)


def backend_ids(backends: tuple[L4Backend, ...]) -> dict[tuple[str, int], int]:
    """A number for each backend address and port that stays the same while others come and go."""
    ids: dict[tuple[str, int], int] = {}
    taken: set[int] = set()
    for backend in sorted(backends, key=lambda one: (str(one.address), one.port)):
        where = (str(backend.address), backend.port)
        if where not in ids:
            number = crc32(f"{where[0]} {where[1]}".encode()) & _IDS
            while number in taken:
                number = (number + 1) & _IDS
            taken.add(number)
            ids[where] = _FIRST_ID | number
    return ids


def _plain(family: int, base: str, backends: tuple[L4Backend, ...]) -> Iterator[Element]:
    for slot, backend in enumerate(backends):
        where = f"{backend.address} . {backend.port}"
        yield Element(f"backends{family}", f"{base} . {slot:#x}", where)


def _sticky(family: int, base: str, backends: tuple[L4Backend, ...]) -> Iterator[Element]:
    ids = backend_ids(backends)
    for slot, backend in enumerate(backends):
        number = ids[str(backend.address), backend.port]
        yield Element(f"slots{family}", f"{base} . {slot:#x}", f"{number:#x}")
    for (address, port), number in ids.items():
        yield Element(f"backends{family}", f"{base} . {number:#x}", f"{address} . {port}")


def _sources(family: int, base: str, ranges: tuple[IPNetwork, ...]) -> Iterator[Element]:
    # Ranges of the other family match nothing here, but they are part of the row and restrict it.
    for network in ranges:
        yield Element(f"sources{family}{network.version}", f"{base} . {network_text(network)}")


def _masquerade(family: int, base: str, listener: L4Listener) -> Iterator[Element]:
    mode = listener.masquerade
    if mode != "auto":
        verdict = "accept" if mode == "never" else f"goto {MASQUERADE}"
        yield Element(f"modes{family}", base, verdict)
    for backend in listener.backends:
        if backend.direct:
            yield Element(f"direct{family}", f"{base} . {backend.address} . {backend.port}")
        if mode == "never" or (mode == "auto" and backend.direct):
            yield Element(f"hairpin{family}", f"{base} . {backend.address}")
