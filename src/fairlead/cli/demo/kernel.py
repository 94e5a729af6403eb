"""What is really in the kernel of a host: its listeners in nftables, and its VIPs.

Only read: the nft driver's own look compares with a reference table, which a second process must
not make in the namespace of a running ``up``.
"""

import json
import time
from typing import NamedTuple

from fairlead.drivers.base import DriverError
from fairlead.drivers.nft.client import NftClient
from fairlead.drivers.nft.netlink import Netlink
from fairlead.drivers.nft.observe import assemble, parse_listing
from fairlead.drivers.nft.schema import stores
from fairlead.drivers.nft.structure import exists
from fairlead.lab import Host
from fairlead.model.desired import L4Key
from fairlead.publish.document import endpoint

TABLE = "fairlead"
ATTEMPTS = 10
PAUSE = 0.2
"""Seconds between two attempts to read a table that is replaced at that moment."""
Rows = dict[str, tuple[str, ...]]
"""``address:port/protocol`` -> where that leads to, sorted."""


class Kernel(NamedTuple):
    """One look. ``addresses``: those that the host was not built with."""

    table: bool
    rows: Rows
    addresses: frozenset[str]

    def __str__(self) -> str:
        rows = ", ".join(f"{key} → {' '.join(to) or 'nothing'}" for key, to in self.rows.items())
        table = f"table {TABLE} with {rows or 'no listener'}" if self.table else "no table"
        return f"{table}; addresses {', '.join(sorted(self.addresses)) or 'none'}"


class KernelView:
    """Looks into one host; to be closed."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._client = NftClient(netns=host.namespace)
        self._link = Netlink(netns=host.namespace)
        self._own = {str(one.ip) for one in (*host.spec.lan, *host.spec.pods)}

    def look(self) -> Kernel:
        """What is there now."""
        rows = self._rows()
        return Kernel(rows is not None, rows or {}, self._addresses())

    def tables(self) -> str:
        """All tables of the host, as nft lists them."""
        return self._client.run("list tables\n").decode().strip()

    def close(self) -> None:
        """Free what this process holds of it."""
        self._client.close()
        self._link.close()

    def _rows(self) -> Rows | None:
        """The listeners; None without a table."""
        for attempt in range(ATTEMPTS):
            if not exists(self._link, TABLE):
                return None
            try:
                listed = [parse_listing(name, self._list(kind, name)) for kind, name in stores()]
                break
            except DriverError:  # it went while it was read, and another may have come
                if attempt + 1 == ATTEMPTS:
                    raise
                time.sleep(PAUSE)
        seen = assemble(one for part in listed for one in part)
        return {
            f"{endpoint(key.address, key.port)}/{key.protocol}": tuple(
                sorted(endpoint(one.address, one.port) for one in row.backends)
            )
            for key, row in sorted(seen.rows.items(), key=lambda item: _order(item[0]))
        }

    def _list(self, kind: str, name: str) -> bytes:
        return self._client.run(f"list {kind} inet {TABLE} {name}\n", json=True)

    def _addresses(self) -> frozenset[str]:
        found = {
            address["local"]
            for link in json.loads(self._host.ip("-json", "address", "show"))
            for address in link["addr_info"]
            if address["scope"] == "global"
        }
        return frozenset(found - self._own)


def _order(key: L4Key) -> tuple[int, L4Key]:
    """IPv4 first: addresses of two families do not compare."""
    return key.address.version, key
