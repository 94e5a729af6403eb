"""The configuration file ``fairlead.yaml``; every key is also an environment variable."""

from typing import Annotated, Literal

from msgspec import Meta as Check
from msgspec import Struct, field

from fairlead.model.cell import Partition
from fairlead.model.desired import Masquerade

ServiceType = Literal["ClusterIP", "NodePort", "NodePortLocal"]
StaticOutsidePools = Literal["Dialect", "Allow", "Deny"]
DialectName = Literal["fairlead", "ako", "kube-vip", "vcd"]
Dataplane = Literal["cluster", "nft", "none"]
Cordoned = Literal["Serve", "Leave"]


class Config(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """All keys, with their defaults.

    ``service_type`` is AKO's backend mode. ``strict``: a conflict about a VIP itself withdraws the
    whole group, as the vendor does. ``static_outside_pools``: whether a static address may lie
    outside every pool (``Dialect``: only for kube-vip). ``default_dialect`` reads Services that
    name none.
    ``handle_unclassed``: serve Services without a class.
    ``load_balancer_class_*`` are kube-vip's. ``release_after``: seconds for which an address is
    kept for the return of a deleted Service. ``tombstones``: how many released addresses a pool
    remembers. ``secrets``: the directory with the passwords of BGP routers.
    ``dataplane``: who carries the traffic of VIPs: ``nft`` is ours; ``cluster`` is
    kube-proxy or what stands in for it, and we announce and refuse what is for no listener;
    ``none``: somebody else does both. ``partition``: what engines
    without a majority do. ``probe_seconds``: how long to ask who else has an address
    before it is taken for the first time. ``node_patience_seconds``: how long a Node must be not
    ready before its VIPs move. ``cordoned``: whether a Node that takes no new pods goes on serving,
    or leaves its VIPs to others as far as there are any. ``vip_host``: write on Services which
    engine has their address, as kube-vip does. ``enable_upnp``: open ports on the network's gateway
    for Services that ask for it; ``upnp_refresh_seconds``: how often it is asked whether they are.
    """

    service_type: ServiceType = "ClusterIP"
    strict: bool = False
    static_outside_pools: StaticOutsidePools = "Dialect"
    default_dialect: DialectName = "fairlead"
    handle_unclassed: bool = True
    load_balancer_class_legacy_handling: bool = True
    load_balancer_class_name: str = "kube-vip.io/kube-vip-class"
    load_balancer_class_only: bool = False
    masquerade: Masquerade = "auto"
    release_after: Annotated[float, Check(ge=0)] = 0.0
    tombstones: Annotated[int, Check(ge=0)] = 1024
    interfaces: tuple[str, ...] = ()
    secrets: str = "/etc/fairlead/secrets"
    dataplane: Dataplane = "nft"
    partition: Partition = "consistent"
    probe_seconds: Annotated[float, Check(ge=0.02, le=10)] = 0.5
    node_patience_seconds: Annotated[float, Check(ge=0, le=3600)] = 15.0
    cordoned: Cordoned = "Leave"
    vip_host: bool = False
    enable_upnp: bool = field(default=False, name="enableUPNP")
    upnp_refresh_seconds: Annotated[float, Check(ge=1, le=60)] = 30.0
