"""A gateway that is only in memory, with a gateway's promises and a gateway's whims.

For tests of everything above the network. :meth:`FakeGateway.dump` shows what its page would.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address

from fairlead.drivers.upnp.driver import UpnpDriver
from fairlead.drivers.upnp.gateway import (
    CONFLICT,
    NOT_AUTHORISED,
    PERMANENT_ONLY,
    Entry,
    Gateway,
    GatewayFault,
    GatewayGone,
)
from fairlead.model.addresses import IPAddress, canonical
from fairlead.model.forward import ForwardKey

OUTSIDE = IPv4Address("80.81.90.2")


class FakeGateway:
    """``external``: its outer address. ``present``: it answers. ``permanent_only``: it knows no
    leases. ``refuses``: it opens nothing. ``lists``: it can tell all mappings."""

    def __init__(self, name: str = "192.0.2.1") -> None:
        self.name = name
        self.outside: IPAddress | None = OUTSIDE
        self.present = True
        self.permanent_only = False
        self.refuses = False
        self.lists = True
        self.table: dict[tuple[str, int], Entry] = {}
        self.holes: dict[ForwardKey, int] = {}
        self.calls: list[str] = []
        self._next = 1

    async def external(self) -> IPAddress | None:
        self._called("external")
        return self.outside

    async def entries(self) -> list[Entry]:
        self._called("entries")
        if not self.lists:
            raise GatewayFault(401, "Invalid Action")
        return [*self.table.values()]

    async def entry(self, protocol: str, port: int) -> Entry | None:
        self._called("entry")
        return self.table.get((protocol, port))

    async def add(self, key: ForwardKey, *, description: str, lease: int) -> None:
        self._called(f"add {key.protocol} {key.port}")
        if self.refuses:
            raise GatewayFault(NOT_AUTHORISED, "Action not authorized")
        if self.permanent_only and lease:
            raise GatewayFault(PERMANENT_ONLY, "OnlyPermanentLeasesSupported")
        there = self.table.get((key.protocol, key.port))
        if there is not None and there.client != key.client:
            raise GatewayFault(CONFLICT, "ConflictInMappingEntry")
        self.put(key, description, lease)

    async def remove(self, key: ForwardKey) -> None:
        self._called(f"remove {key.protocol} {key.port}")
        self.table.pop((key.protocol, key.port), None)

    async def open(self, key: ForwardKey, *, lease: int) -> int:
        self._called(f"open {key.protocol} {key.port}")
        if self.refuses:
            raise GatewayFault(NOT_AUTHORISED, "Action not authorized")
        if key not in self.holes:
            self.holes[key] = self._next
            self._next += 1
        return self.holes[key]

    async def has(self, key: ForwardKey, pinhole: int) -> bool:
        self._called("has")
        return self.holes.get(key) == pinhole

    async def close(self, key: ForwardKey) -> None:
        self._called(f"close {key.protocol} {key.port}")
        self.holes.pop(key, None)

    def put(self, key: ForwardKey, description: str, lease: int = 0) -> None:
        """Have a mapping, whoever made it."""
        entry = Entry(key.protocol, key.port, key.client, key.port, description, lease)
        self.table[key.protocol, key.port] = entry

    def restart(self) -> None:
        """Forget everything, as a router that was switched off."""
        self.table.clear()
        self.holes.clear()

    def dump(self) -> str:
        """One line for each mapping and pinhole, sorted."""
        lines = [
            f"{one.protocol} {one.port} -> {one.client} {one.client_port} {one.lease} s "
            f"{one.description!r}"
            for one in self.table.values()
        ]
        lines += [f"{k.protocol} [{canonical(k.client)}]:{k.port} open" for k in self.holes]
        return "\n".join(sorted(lines))

    def _called(self, what: str) -> None:
        if not self.present:
            raise GatewayGone("it does not answer in time")
        self.calls.append(what)


class FakeUpnpDriver(UpnpDriver):
    """The driver with a gateway in memory."""

    def __init__(self, engine: str, gateway: FakeGateway | None = None) -> None:
        self.fake = gateway or FakeGateway()
        self.now = 0.0
        super().__init__(engine, search=self._find, clock=lambda: self.now)

    async def _find(self, version: int) -> tuple[Sequence[Gateway], list[str]]:
        return ([self.fake], []) if self.fake.present else ([], [])
