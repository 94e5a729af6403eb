"""The leases of a published group: what an engine is to hold, and what nobody may serve now."""

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from fairlead.dialects.leasing import FAMILIES
from fairlead.dialects.view import View
from fairlead.model.addresses import IPAddress
from fairlead.model.addresslease import AddressLease, order_of
from fairlead.model.claim import DEFAULT_ENGINES
from fairlead.model.dhcp import LeaseKey, LeaseOrder
from fairlead.model.names import GroupKey


def leases_of(group: GroupKey, view: View) -> tuple[LeaseOrder, ...]:
    """What is to be leased for a group."""
    if AddressLease.KIND not in view.world.tables:
        return ()
    return tuple(_orders(group, view))


def _orders(group: GroupKey, view: View) -> Iterator[LeaseOrder]:
    for family in FAMILIES:
        one = view.world.find(AddressLease, LeaseKey(group, family).name)
        if one is not None and one.key == (group, family):
            order = order_of(one)
            engines = view.cluster.engine_names.get(order.engine_group, DEFAULT_ENGINES)
            yield replace(order, engine_group=engines)


def leased_otherwise(address: IPAddress, leases: Iterable[LeaseOrder]) -> bool:
    """Whether the lease of an address is said to have ended, or to be of another one. Nobody may
    serve it then, whether or not whoever decides has said so yet."""
    for order in leases:
        if order.key.family == address.version and order.known is not None:
            return order.known.address != address
    return False
