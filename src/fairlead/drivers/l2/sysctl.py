"""The kernel's ARP settings of an interface that carries VIPs.

``arp_announce=2``: the kernel never uses a VIP as ARP sender. Otherwise a packet that leaves with
the VIP as source makes the kernel ask for its neighbour in the VIP's name, which every listener
takes for an announcement: a former holder whose flows live on would poison the caches of its
neighbours.

``arp_ignore``: 1 (kube-proxy's ``strictARP``, hardening profiles), 2 and 3 answer for an explicit
address in the subnet of the host; 8 answers nobody.

The kernel uses the larger of the interface's value and that of ``all``.
"""

from pathlib import Path

BEST_LOCAL = 2
"""Use the best local address for the target as sender, never the packet's source."""

ANSWER_NOBODY = 8
"""The value of ``arp_ignore`` with which no ARP request is answered."""

_CONF = Path("/proc/sys/net/ipv4/conf")


def arp_announce(interface: str) -> int | None:
    """The interface's own value before this call raised it; None when the setting was in force.

    Raises OSError where the kernel's settings cannot be written.
    """
    own = _read(interface, "arp_announce")
    if max(own, _read("all", "arp_announce")) >= BEST_LOCAL:
        return None
    write(interface, BEST_LOCAL)
    return own


def silenced(interface: str) -> bool:
    """Whether the kernel answers no ARP request on the interface. Raises OSError."""
    value = max(_read(interface, "arp_ignore"), _read("all", "arp_ignore"))
    return value == ANSWER_NOBODY


def write(interface: str, value: int) -> None:
    """Set the interface's own ``arp_announce``. Raises OSError."""
    (_CONF / interface / "arp_announce").write_text(f"{value}\n")


def _read(interface: str, setting: str) -> int:
    return int((_CONF / interface / setting).read_text())
