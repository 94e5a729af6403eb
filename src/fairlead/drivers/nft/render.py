"""Text: what ``nft -f`` reads, and what people and golden files read.

Everything is sorted, so that equal states give equal text. One call of :func:`exchange` is one
transaction of the kernel's: either all of it holds for the next packet or nothing.
"""

from collections import defaultdict
from collections.abc import Iterable

from fairlead.drivers.nft.elements import Element, network_text
from fairlead.drivers.nft.schema import Shape, skeleton
from fairlead.model.addresses import IPAddress
from fairlead.model.desired import L4Backend, L4Desired, L4Key, L4Listener


def exchange(table: str, *, out: Iterable[Element], into: Iterable[Element]) -> str:
    """Delete some elements and add others. A changed value is both."""
    return _deletions(table, out) + _additions(table, into)


def rebuild(table: str, shapes: Iterable[Shape], into: Iterable[Element]) -> str:
    """Put a new table in the place of whatever is there, without a moment in between."""
    replace = f"add table inet {table}\ndelete table inet {table}\n"
    return replace + skeleton(table, shapes) + _additions(table, into)


def remove(table: str) -> str:
    """Delete a table, whether it exists or not."""
    return f"add table inet {table}\ndelete table inet {table}\n"


def _additions(table: str, items: Iterable[Element]) -> str:
    return "".join(
        f"add element inet {table} {name} {{ "
        + ", ".join(f"{one.key} : {one.value}" if one.value else one.key for one in group)
        + " }\n"
        for name, group in _grouped(items)
    )


def _deletions(table: str, items: Iterable[Element]) -> str:
    return "".join(
        f"delete element inet {table} {name} {{ {', '.join(one.key for one in group)} }}\n"
        for name, group in _grouped(items)
    )


def _grouped(items: Iterable[Element]) -> list[tuple[str, list[Element]]]:
    groups: defaultdict[str, list[Element]] = defaultdict(list)
    for one in sorted(items):
        groups[one.name].append(one)
    return sorted(groups.items())


def dump(state: L4Desired) -> str:
    """The state as text for golden files: addresses in order, under each its listeners."""
    addresses = {*state.vips, *(key.address for key in state.listeners)}
    by_address: defaultdict[IPAddress, list[L4Key]] = defaultdict(list)
    for key in state.listeners:
        by_address[key.address].append(key)
    lines: list[str] = []
    for address in sorted(addresses, key=_order):
        lines.append(f"vip {address}" if address in state.vips else f"no vip {address}")
        keys = sorted(by_address[address], key=lambda key: (key.protocol, key.port))
        lines += [_listener(key, state.listeners[key]) for key in keys]
    return "".join(f"{line}\n" for line in lines)


def _order(address: IPAddress) -> tuple[int, int]:
    return (address.version, int(address))


def _listener(key: L4Key, listener: L4Listener) -> str:
    if listener.passes:
        return f"  {key.protocol} {key.port} passes"
    parts = [f"  {key.protocol} {key.port} ->"]
    parts += [_backend(backend) for backend in listener.backends] or ["refuse"]
    if listener.affinity_seconds:
        parts.append(f"affinity={listener.affinity_seconds}s")
    if listener.source_ranges:
        parts.append("from=" + ",".join(map(network_text, listener.source_ranges)))
    if listener.masquerade != "auto":
        parts.append(f"masquerade={listener.masquerade}")
    return " ".join(parts)


def _backend(backend: L4Backend) -> str:
    host = f"[{backend.address}]" if backend.address.version == 6 else str(backend.address)
    return f"{host}:{backend.port}" + ("*" if backend.direct else "")
