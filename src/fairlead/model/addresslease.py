"""AddressLease of ``fairlead.dev/v1alpha1``: a lease from a DHCP server, one object per group and
family.

Who decides writes the ``spec`` (who is to be leased for), the engine that asks writes the
``status`` (what the server said). So an address from DHCP is an input of the next plan like any
other observation, and a lease survives whoever holds it.
"""

from datetime import UTC, datetime
from typing import Annotated, Literal

from msgspec import Meta as Check
from msgspec import Struct

from fairlead.model.addresses import canonical, parse_address
from fairlead.model.claim import DEFAULT_ENGINES, Role
from fairlead.model.dhcp import FAMILY_NAMES, Leased, LeaseKey, LeaseOrder, LeaseState
from fairlead.model.kube import KubeObject, Metadata
from fairlead.model.virtualip import VirtualIPGroup

NUMBERS: dict[str, Literal[4, 6]] = {"IPv4": 4, "IPv6": 6}
TEXT = Annotated[str, Check(max_length=253)]
Mac = Annotated[str, Check(pattern="^[0-9a-f]{2}(:[0-9a-f]{2}){5}$")]


class AddressLeaseSpec(
    Struct, frozen=True, gc=False, rename="camel", omit_defaults=True, kw_only=True
):
    """As which client an address is asked for.

    ``mac``: the hardware address of the lease. ``client_id``: the client identifier, empty for
    none; ``hostname``: what the server is told. ``requested``: the address that is asked for.
    ``broadcast``: the server shall answer by broadcast. ``interface``: on which interface of an
    engine; by default where the address belongs. ``engine_group`` and ``role``: who may ask; the
    holder of the VIP does as soon as there is one.
    """

    group: VirtualIPGroup
    family: Literal["IPv4", "IPv6"]
    mac: Mac
    client_id: TEXT = ""
    hostname: TEXT = ""
    requested: Annotated[str, Check(max_length=45)] = ""
    broadcast: bool = False
    engine_group: str = DEFAULT_ENGINES
    role: Role = "engine"
    interface: Annotated[str, Check(max_length=15)] = ""


class AddressLeaseStatus(
    Struct, frozen=True, gc=False, rename="camel", omit_defaults=True, kw_only=True
):
    """What became of it, by the engine that asked. Times are RFC 3339; without ``expires_at`` the
    lease never ends. ``server``: who gave the address, or said no."""

    state: LeaseState
    address: Annotated[str, Check(max_length=45)] = ""
    server: TEXT = ""
    message: Annotated[str, Check(max_length=1024)] = ""
    client_id: TEXT = ""
    engine: TEXT = ""
    bound_at: TEXT = ""
    renew_at: TEXT = ""
    rebind_at: TEXT = ""
    expires_at: TEXT = ""


class AddressLease(KubeObject, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """One lease."""

    KIND = "AddressLease"
    GROUP = "fairlead.dev"
    CLUSTER = True

    spec: AddressLeaseSpec
    status: AddressLeaseStatus | None = None

    @property
    def key(self) -> LeaseKey:
        """Whose lease it is."""
        return LeaseKey(self.spec.group.key, NUMBERS[self.spec.family])


def spec_of(order: LeaseOrder) -> AddressLeaseSpec:
    """The object's part of whoever decides."""
    group = order.key.group
    return AddressLeaseSpec(
        group=VirtualIPGroup(group.dialect, group.scope, group.name, group.namespace),
        family="IPv4" if order.key.family == 4 else "IPv6",
        mac=order.mac,
        client_id=order.client_id,
        hostname=order.hostname,
        requested=canonical(order.requested) if order.requested else "",
        broadcast=order.broadcast,
        engine_group=order.engine_group,
        role=order.role,
        interface=order.interface,
    )


def status_of(leased: Leased) -> AddressLeaseStatus:
    """The object's part of the engine that asks."""
    return AddressLeaseStatus(
        state=leased.state,
        address=canonical(leased.address) if leased.address else "",
        server=leased.server[:253],
        message=leased.message[:1024],
        client_id=leased.client_id,
        engine=leased.engine,
        bound_at=_text(leased.bound),
        renew_at=_text(leased.renew),
        rebind_at=_text(leased.rebind),
        expires_at=_text(leased.expires),
    )


def lease_object(order: LeaseOrder, leased: Leased | None) -> AddressLease:
    """Both parts together, where no API server has them."""
    status = status_of(leased) if leased is not None else None
    return AddressLease(metadata=Metadata(name=order.key.name), spec=spec_of(order), status=status)


def leased_of(one: AddressLease) -> Leased | None:
    """What an object says of its lease; None: nothing, or nothing that can be read.

    A lease that is bound to an address of another family, or to none, says nothing.
    """
    status, family = one.status, NUMBERS[one.spec.family]
    if status is None:
        return None
    address = None
    if status.state == "Bound":
        try:
            address = parse_address(status.address)
        except ValueError:
            return None
        if address.version != family:
            return None
    return Leased(
        family=family,
        state=status.state,
        address=address,
        server=status.server,
        message=status.message,
        client_id=status.client_id,
        bound=_seconds(status.bound_at),
        renew=_seconds(status.renew_at),
        rebind=_seconds(status.rebind_at),
        expires=_seconds(status.expires_at),
        engine=status.engine,
    )


def order_of(one: AddressLease) -> LeaseOrder:
    """What an object orders. A requested address that cannot be read is left out."""
    spec = one.spec
    try:
        requested = parse_address(spec.requested) if spec.requested else None
    except ValueError:
        requested = None
    return LeaseOrder(
        key=one.key,
        mac=spec.mac,
        client_id=spec.client_id,
        hostname=spec.hostname,
        requested=requested,
        broadcast=spec.broadcast,
        engine_group=spec.engine_group,
        role=spec.role,
        interface=spec.interface,
        known=leased_of(one),
    )


def family_name(key: LeaseKey) -> str:
    """``IPv4`` or ``IPv6``."""
    return FAMILY_NAMES[key.family]


def _text(when: float | None) -> str:
    """A time as the API has it, in whole seconds."""
    if when is None:
        return ""
    return datetime.fromtimestamp(int(when), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _seconds(text: str) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp() if text else None
    except ValueError:
        return None
