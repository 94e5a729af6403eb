"""VirtualIP of ``fairlead.dev/v1alpha1``: the published ledger, one object per address.

An object is named by its address, so that creating it is the atomic claim of that address (two
writers cannot both succeed). It holds the decision whole but for what changes with every pod: the
backends, which each agent joins from EndpointSlices itself. So an agent needs no pools, no
settings and no dialect to serve, and an endpoint that comes or goes costs no write.
"""

from hashlib import blake2b
from ipaddress import IPv6Address
from re import fullmatch
from typing import Annotated

from msgspec import Meta as Check
from msgspec import Struct

from fairlead.model.claim import DEFAULT_ENGINES, DEFAULT_SPACE, Role, Via
from fairlead.model.forward import LONGEST_LEASE
from fairlead.model.kube import KubeObject, Port
from fairlead.model.ledger import Spot
from fairlead.model.names import GroupKey, Protocol
from fairlead.model.objects import Announce

GROUP_LABEL = "fairlead.dev/engine-group"
"""The label by which an agent watches only the VIPs of its engine groups."""


class VirtualIPGroup(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """The group whose address it is, in the parts of :class:`~fairlead.model.names.GroupKey`."""

    dialect: str
    scope: str
    name: str
    namespace: str = ""

    @property
    def key(self) -> GroupKey:
        """The typed key."""
        return GroupKey(self.dialect, self.scope, self.namespace, self.name)


class VirtualIPListener(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """One (protocol, port) and the Service (``namespace/name``) it leads to.

    ``via`` says what its backends are. ``local``: externalTrafficPolicy Local. ``forward``: its
    port is open on the network's gateway too, with a lease of so many seconds (0: for ever).
    """

    protocol: Protocol
    port: Port
    service: str
    via: Via = "Pods"
    local: bool = False
    affinity_seconds: int = 0
    source_ranges: tuple[str, ...] = ()
    forward: Annotated[int, Check(ge=0, le=LONGEST_LEASE)] | None = None


class VirtualIPTranslation(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """A DNAT from this address to an internal one; the port stays."""

    protocol: Protocol
    port: Port
    internal: str


class VirtualIPSpec(
    Struct, frozen=True, gc=False, rename="camel", omit_defaults=True, kw_only=True
):
    """What was decided for one address.

    ``slot``: empty for the address clients use, else which internal one it is. ``setting``: the
    infra setting the group was served under. ``members``: ``Kind/namespace/name`` of who is
    served. ``engines``: how many hold it at once; ``home``: those that should, while they can;
    others follow in the order that every agent works out alike. ``peer_labels``: only BGP routers
    with one of these learn it. ``interface``: which interface of an engine is to have it; by
    default the one whose subnet holds it. ``reserve``: an address that nobody may have.
    ``suspended``: nobody serves it now, and it stays its group's. ``released``: when its last
    member went (RFC 3339), while it is kept for that member's return; it is suspended then.
    """

    address: Annotated[str, Check(min_length=2, max_length=45)]
    group: VirtualIPGroup
    space: str = DEFAULT_SPACE
    slot: str = ""
    pool: str = ""
    setting: str = ""
    members: tuple[str, ...] = ()
    listeners: tuple[VirtualIPListener, ...] = ()
    translations: tuple[VirtualIPTranslation, ...] = ()
    engine_group: str = DEFAULT_ENGINES
    engines: Annotated[int, Check(ge=1)] = 1
    home: tuple[str, ...] = ()
    role: Role = "engine"
    announce: Announce = "l2"
    peer_labels: tuple[str, ...] = ()
    interface: str = ""
    reserve: bool = False
    suspended: bool = False
    released: str = ""


class VirtualIP(KubeObject, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """One address of the ledger."""

    KIND = "VirtualIP"
    GROUP = "fairlead.dev"
    CLUSTER = True

    spec: VirtualIPSpec


def object_name(spot: Spot) -> str:
    """The one name of the object of an address: the address, IPv6 as its eight groups joined by
    ``-`` (a name may hold no colon), with the address space behind it unless that is the default
    one."""
    address = spot.address
    if isinstance(address, IPv6Address):
        number = int(address)
        text = "-".join(f"{number >> shift & 0xFFFF:x}" for shift in range(112, -1, -16))
    else:
        text = str(address)
    return text if spot.space == DEFAULT_SPACE else f"{text}.{_label(spot.space)}"


def _label(space: str) -> str:
    """A space as a part of a name; one that cannot be is hashed."""
    if fullmatch(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?", space):
        return space
    return "x-" + blake2b(space.encode(), digest_size=8).hexdigest()
