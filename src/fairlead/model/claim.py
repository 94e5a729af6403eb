"""What objects ask for, in no dialect: the planner's input."""

from typing import Literal, NamedTuple

from immutables import Map
from msgspec import Struct

from fairlead.model.addresses import AddressRange, Family, IPAddress, IPNetwork
from fairlead.model.config import Config
from fairlead.model.desired import Masquerade
from fairlead.model.dhcp import DhcpWish
from fairlead.model.names import GroupKey, Protocol, Ref
from fairlead.model.objects import Announce, Mode, Selector
from fairlead.model.peers import BgpPeer
from fairlead.model.verdict import Reason, Verdict

FamilyPolicy = Literal["SingleStack", "PreferDualStack", "RequireDualStack"]
Role = Literal["engine", "edge"]
Via = Literal["Pods", "Nodes", "Workers", "NodePortLocal"]
"""What backends are: pods, the NodePorts of all nodes or of those without the control plane, or the
node ports that Antrea opened for pods."""
DEFAULT_SPACE = "default"
DEFAULT_ENGINES = "default"


class Backend(NamedTuple):
    """Where a listener's traffic may go. ``node`` runs it; empty when that is not known.

    ``node_port``: the port is a NodePort, which the node itself translates once more.
    """

    address: IPAddress
    port: int
    node: str = ""
    node_port: bool = False


class ListenerClaim(NamedTuple):
    """One port that a claim wants on its VIP, with the backends that are ready for it.

    ``pods``: the pods on nodes that are engines themselves, which cannot use their own NodePort.
    """

    protocol: Protocol
    port: int
    backends: tuple[Backend, ...]
    pods: tuple[Backend, ...] = ()


class InternalTier(Struct, frozen=True, gc=False):
    """A second tier of addresses behind the VIP (the one-arm range of the VCD provider).

    ``per_listener``: one internal address for each listener instead of one for all of them.
    """

    pool: str
    per_listener: bool


class ClaimKey(NamedTuple):
    """A claim's identity: its object, and which of the object's claims it is."""

    ref: Ref
    part: str = ""


class Claim(Struct, frozen=True, gc=False, kw_only=True):
    """What one object asks for.

    ``part`` tells the claims of one object apart. ``group`` is None where the wanted addresses
    themselves are the group (kube-vip). ``addresses``: the static wish, at most one per family.
    ``families``: in order of preference; ``family_policy`` says whether a second one is wanted.
    ``pools``: names or networks to allocate from, empty = any pool that allows it. ``setting``: the
    infra setting whose equality a shared VIP demands. ``local``: externalTrafficPolicy Local.
    ``outside_pools``: its language uses static addresses outside every pool.
    ``via``: what its backends are. ``peer_labels``: only BGP routers with one of these learn it.
    ``foreign_class``: it carries our sharing key but names somebody else's class.
    ``scale``: how many engines are to hold the VIP; 0: as their group has it. ``interface``: which
    interface of an engine is to have it; empty: the one whose subnet holds it. ``dhcp``: what it
    wants from a DHCP server; what is leased for it is among ``addresses``. ``forward``: have its
    ports open on the gateway too, with a lease of so many seconds (0: for ever); None: no.
    """

    ref: Ref
    dialect: str
    group: GroupKey | None
    part: str = ""
    created: str = ""
    addresses: tuple[IPAddress, ...] = ()
    families: tuple[Family, ...] = ()
    family_policy: FamilyPolicy = "SingleStack"
    listeners: tuple[ListenerClaim, ...] = ()
    pools: tuple[str, ...] = ()
    space: str = DEFAULT_SPACE
    setting: str = ""
    engine_group: str = DEFAULT_ENGINES
    announce: Announce | None = None
    peer_labels: tuple[str, ...] = ()
    local: bool = False
    affinity_seconds: int = 0
    source_ranges: tuple[IPNetwork, ...] = ()
    internal: InternalTier | None = None
    outside_pools: bool = False
    via: Via = "Pods"
    foreign_class: str = ""
    scale: int = 0
    interface: str = ""
    dhcp: DhcpWish | None = None
    forward: int | None = None
    labels: dict[str, str] = {}
    namespace_labels: dict[str, str] = {}
    hostname: str = ""
    warnings: tuple[Reason, ...] = ()

    @property
    def key(self) -> ClaimKey:
        """Its identity."""
        return ClaimKey(self.ref, self.part)

    @property
    def order(self) -> tuple[str, Ref, str]:
        """Older first; ties by namespace/name (DESIGN, "Order")."""
        return self.created, self.ref, self.part


class Pool(Struct, frozen=True, gc=False, kw_only=True):
    """Address ranges to allocate from. ``ranges`` hold only what may be handed out.

    ``namespaces`` empty and no selector = for everybody.
    """

    name: str
    ranges: tuple[AddressRange, ...]
    space: str = DEFAULT_SPACE
    networks: tuple[str, ...] = ()
    namespaces: frozenset[str] = frozenset()
    namespace_selector: Selector | None = None
    service_selector: Selector | None = None
    priority: int = 0
    auto_assign: bool = True
    cross_namespace: bool = True
    announce: Announce = "l2"

    def __contains__(self, address: object) -> bool:
        """Whether the address lies in one of its ranges."""
        return any(address in span for span in self.ranges)

    def size(self, family: Family) -> int:
        """How many addresses of a family it can hand out."""
        return sum(span.size for span in self.ranges if span.family == family)

    def answers_to(self, name: str) -> bool:
        """Whether a claim that names a pool or network means this one."""
        return name == self.name or name in self.networks


class Engine(NamedTuple):
    """A node that may serve VIPs. ``node``: it is also a node of the cluster and may run
    backends. ``leaving``: it is to keep only what nobody else can hold."""

    name: str
    ready: bool = True
    role: Role = "engine"
    node: bool = False
    leaving: bool = False


class EngineRule(Struct, frozen=True, gc=False, kw_only=True):
    """An engine group: its members and how many of them hold a VIP at once. ``buffer``: how many
    of its engines hold nothing while the others are able."""

    name: str
    engines: tuple[Engine, ...]
    mode: Mode = "ActiveStandby"
    min_scale: int = 1
    max_scale: int = 0
    buffer: int = 0
    max_vips: int = 0
    failback: bool = True


class PeerRule(NamedTuple):
    """A router, by the name of its object, and the engines that speak to it; None: all of them."""

    name: str
    peer: BgpPeer
    engines: frozenset[str] | None = None


class Claims(Struct, frozen=True, kw_only=True):
    """Everything the planner needs to know of one World.

    ``verdicts`` are what dialects decided by themselves (ignored, invalid); ``held`` are objects
    that exist but cannot be read, whose addresses stay reserved. ``touched``: the objects whose
    claims differ from those of revision ``base``; None = compare with nothing, plan in full.
    """

    config: Config = Config()
    host: str = ""
    by_ref: Map[Ref, tuple[Claim, ...]] = Map()
    verdicts: Map[Ref, Verdict] = Map()
    pools: tuple[Pool, ...] = ()
    engine_rules: Map[str, EngineRule] = Map()
    peers: tuple[PeerRule, ...] = ()
    node_addresses: Map[IPAddress, Ref] = Map()
    held: frozenset[Ref] = frozenset()
    revision: int = 0
    base: int = -1
    touched: frozenset[Ref] | None = None

    @property
    def masquerade(self) -> Masquerade:
        """The configured masquerade rule."""
        return self.config.masquerade

    def pools_named(self, name: str) -> tuple[Pool, ...]:
        """The pools that a name or network means; more than one when a network spans pools."""
        return tuple(pool for pool in self.pools if pool.answers_to(name))
