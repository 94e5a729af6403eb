"""Ledgers for tests, small and large."""

from ipaddress import IPv4Address

from fairlead.model.addresses import IPAddress, parse_address
from fairlead.model.ledger import Assignment, Holding, Ledger, Owner, Spot, ledger_of
from fairlead.model.names import GroupKey, Protocol, Ref

PORTS: tuple[tuple[Protocol, int], ...] = (("TCP", 80), ("UDP", 53))
FIRST = IPv4Address("10.64.0.0")


def key(name: str, namespace: str = "default") -> GroupKey:
    return GroupKey("fairlead", "service", namespace, name)


def spot(address: str | IPAddress, space: str = "default") -> Spot:
    return Spot(space, parse_address(address) if isinstance(address, str) else address)


def holding(name: str, *addresses: str | IPAddress, pool: str = "pool") -> Holding:
    group = key(name)
    owners = tuple(
        Owner(protocol, port, Ref("Service", group.namespace, name)) for protocol, port in PORTS
    )
    return Holding(group, tuple(Assignment(spot(a), pool) for a in addresses), "", owners)


def ledger(*holdings: Holding, released: tuple[str, ...] = ()) -> Ledger:
    return ledger_of({h.group: h for h in holdings}, [spot(a) for a in released])


def numbered(*numbers: int) -> Ledger:
    """One group for each number, each with one address."""
    return ledger(*(holding(f"svc-{n}", FIRST + n) for n in numbers))
