"""Forgetting the flows of a released VIP.

A flow that stays in the connection tracking of a former holder keeps being translated there: late
packets of its backends leave with the VIP as source. The table is read once for all addresses, in
userspace, because the kernel filters a dump by one address at a time and a deletion not at all
before 6.8; the tuple that names an entry is sent back as it came.
"""

import errno
import socket
import struct
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from fairlead.drivers.l2.netlink import NETFILTER, Message, Netlink, attribute, attributes
from fairlead.model.addresses import IPAddress

COUNT = Path("/proc/sys/net/netfilter/nf_conntrack_count")
"""Entries in this namespace; not there when nothing tracks connections on this machine."""

FEW = 8
"""Up to so many addresses, looking for their bytes first is three times faster than parsing."""

NFNL_SUBSYS_CTNETLINK = 1 << 8
IPCTNL_MSG_CT_GET, IPCTNL_MSG_CT_DELETE = 1, 2

CTA_TUPLE_ORIG, CTA_TUPLE_REPLY, CTA_ID, CTA_ZONE = 1, 2, 12, 18
CTA_TUPLE_IP = 1
NLA_F_NESTED = 0x8000

_NFGENMSG = struct.Struct("=BBH")
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


def forget_flows(addresses: Collection[IPAddress]) -> int:
    """Delete the entries with one of the addresses at any end; how many. Raises OSError.

    Does nothing, and loads no kernel module, where no connection is tracked.
    """
    if not addresses or not _tracking():
        return 0
    with Netlink(NETFILTER) as netlink:
        return sum(
            _forget(netlink, family, {a.packed for a in addresses if a.version == version})
            for version, family in _FAMILIES.items()
        )


def _tracking() -> bool:
    try:
        return int(COUNT.read_text()) > 0
    except FileNotFoundError:
        return False


def _forget(netlink: Netlink, family: int, wanted: Collection[bytes]) -> int:
    if not wanted:
        return 0
    header = _NFGENMSG.pack(family, 0, 0)
    table = netlink.stream(NFNL_SUBSYS_CTNETLINK | IPCTNL_MSG_CT_GET, header)
    deletions = [
        Message(NFNL_SUBSYS_CTNETLINK | IPCTNL_MSG_CT_DELETE, 0, header + name)
        for name in list(_names(table, wanted))  # read to the end before the socket is used again
    ]
    results = netlink.batch(deletions)
    for code in results:
        if code not in (0, errno.ENOENT):  # ENOENT: it ended by itself meanwhile
            raise OSError(code, "cannot delete a connection tracking entry")
    return results.count(0)


def _names(table: Iterable[bytes], wanted: Collection[bytes]) -> Iterator[bytes]:
    """The attributes that name each entry with a wanted address, ready to be sent back."""
    few = len(wanted) <= FEW
    for entry in table:
        if few and not any(address in entry for address in wanted):
            continue
        attrs = attributes(entry, _NFGENMSG.size)
        if _ends(attrs[CTA_TUPLE_ORIG]).isdisjoint(wanted) and _ends(
            attrs[CTA_TUPLE_REPLY]
        ).isdisjoint(wanted):
            continue
        name = attribute(CTA_TUPLE_ORIG | NLA_F_NESTED, attrs[CTA_TUPLE_ORIG])
        name += attribute(CTA_ID, attrs[CTA_ID])
        if CTA_ZONE in attrs:
            name += attribute(CTA_ZONE, attrs[CTA_ZONE])
        yield name


def _ends(tuple_attribute: bytes) -> set[bytes]:
    return set(attributes(attributes(tuple_attribute)[CTA_TUPLE_IP]).values())
