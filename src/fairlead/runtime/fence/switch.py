"""The dead man's switch: an nft table that lets held VIPs speak ARP and neighbour discovery only
while a set element lasts, which the kernel lets lapse by itself.

So a fence that hangs or dies darkens its VIPs within :data:`LASTS` seconds, whatever state the rest
of the machine is in; host addresses are never touched. IPv6 targets lie 64 bits into the ICMPv6
message and are matched as numbers, because nft 1.0.6 has no name for them.
"""

from collections.abc import Collection, Iterable
from typing import Protocol

import msgspec

from fairlead.drivers.base import DriverError
from fairlead.model.addresses import IPAddress

LASTS = 2.0
"""Seconds for which one refresh keeps the switch on."""
ARP, ND = "table arp fairlead_fence", "table inet fairlead_fence"
ALIVE = "alive"

_TABLES = f"""
{ARP} {{}}
delete {ARP}
{ND} {{}}
delete {ND}
{ARP} {{
    set held {{ type ipv4_addr; }}
    set alive {{ type mark; flags timeout; }}
    chain input {{
        type filter hook input priority 0; policy accept;
        arp daddr ip @held meta mark set 1 meta mark != @alive drop
    }}
    chain output {{
        type filter hook output priority 0; policy accept;
        arp saddr ip @held meta mark set 1 meta mark != @alive drop
    }}
}}
{ND} {{
    set held {{ typeof @th,64,128; }}
    set alive {{ type mark; flags timeout; }}
    chain input {{
        type filter hook prerouting priority -300; policy accept;
        icmpv6 type nd-neighbor-solicit @th,64,128 @held meta mark set 1 meta mark != @alive drop
    }}
    chain output {{
        type filter hook output priority 0; policy accept;
        icmpv6 type nd-neighbor-advert @th,64,128 @held meta mark set 1 meta mark != @alive drop
    }}
}}
"""


class Nft(Protocol):
    """Runs nft input as one transaction."""

    def run(self, text: str, *, json: bool = False) -> bytes: ...


class Switch:
    """The switch of one host. Its methods raise :class:`DriverError`."""

    def __init__(self, nft: Nft) -> None:
        self._nft = nft
        self._held: frozenset[IPAddress] = frozenset()
        self._installed = False

    def install(self, held: Collection[IPAddress]) -> None:
        """Begin, off; what is ``held`` is gated from the first moment on."""
        self._nft.run(_TABLES + _elements("add", held))
        self._held, self._installed = frozenset(held), True

    def on(self) -> bool:
        """Whether it lasts yet, by whomever it was refreshed. No table, no switch: false."""
        try:
            listed = self._nft.run(f"list set {_set(ARP, ALIVE)}\n", json=True)
        except DriverError:
            return False
        return any("elem" in entry.get("set", ()) for entry in _entries(listed))

    def hold(self, addresses: Collection[IPAddress]) -> None:
        """Gate exactly these."""
        now = frozenset(addresses)
        text = _elements("add", now - self._held) + _elements("delete", self._held - now)
        if text:
            self._nft.run(text)
        self._held = now

    def refresh(self) -> None:
        """Stay on for :data:`LASTS` seconds more. A table that somebody deleted is made anew."""
        try:
            self._nft.run(_refresh())
        except DriverError:
            if not self._installed:
                raise
            self.install(self._held)
            self._nft.run(_refresh())

    def off(self) -> None:
        """Silence what is held, at once."""
        self._nft.run(f"flush set {_set(ARP, ALIVE)}\nflush set {_set(ND, ALIVE)}\n")

    def remove(self) -> None:
        """Leave nothing behind."""
        self._nft.run(f"{ARP} {{}}\ndelete {ARP}\n{ND} {{}}\ndelete {ND}\n")
        self._installed = False


def _refresh() -> str:
    """Add, delete, add: kernels before 6.x do not refresh an element that is there."""
    lines = []
    for table in (ARP, ND):
        where, element = _set(table, ALIVE), f"{{ 1 timeout {round(LASTS * 1000)}ms }}"
        lines += [f"add element {where} {element}", f"delete element {where} {{ 1 }}"]
        lines.append(f"add element {where} {element}")
    return "\n".join(lines) + "\n"


def _entries(listed: bytes) -> list[dict[str, dict[str, object]]]:
    entries: list[dict[str, dict[str, object]]] = msgspec.json.decode(listed)["nftables"]
    return entries


def _set(table: str, name: str) -> str:
    return f"{table.removeprefix('table ')} {name}"


def _elements(action: str, addresses: Iterable[IPAddress]) -> str:
    v4 = sorted(str(a) for a in addresses if a.version == 4)
    v6 = sorted(f"0x{int(a):032x}" for a in addresses if a.version == 6)
    lines = [
        f"{action} element {_set(table, 'held')} {{ {', '.join(found)} }}\n"
        for table, found in ((ARP, v4), (ND, v6))
        if found
    ]
    return "".join(lines)
