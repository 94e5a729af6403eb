"""A life of the driver, step by step, as the fake and FRR both must live it."""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from fairlead.drivers.bgp.driver import BgpDriver
from fairlead.model.addresses import IPAddress
from fairlead.model.desired import BgpDesired, BgpSpeaker
from fairlead.model.objects import SecretKey
from fairlead.model.peers import BfdTimes, BgpPeer, BgpRoute
from fairlead.planner.compile_bgp import diff_bgp

SPEAKER = BgpSpeaker(5000, IPv4Address("10.10.16.193"))
KEY = SecretKey(name="routers")
PASSWORD = "a|b'\"c"
PLAIN = BgpRoute()
BLUE = BgpRoute(labels=("blue", "dark | blue"))
DRESSED = BgpRoute(
    labels=("blue",),
    communities=((65001, 7), (65001, 2, 3), (65535, 65281)),
    local_preference=70,
    prepend=1,
)
ROUTER = BgpPeer(remote=ip_address("10.10.16.250"), asn=6000, local_asn=5000)
ROUTER6 = BgpPeer(
    remote=ip_address("fd00:16::250"),
    asn=5000,
    local_asn=5000,
    local_preference=200,
    communities=((1, 2),),
    graceful_restart=False,
    bfd=None,
    password=KEY,
)
RANGE = BgpPeer(
    remote=ip_network("10.77.0.0/24"),
    asn=7000,
    local_asn=5001,
    port=1790,
    hops=3,
    keepalive=10,
    hold=30,
    bfd=BfdTimes(300, 200, 5),
    labels=frozenset({"blue"}),
    communities=((7, 7, 7), (65535, 666)),
    prepend=2,
)
A, B, C = IPv4Address("10.10.16.224"), IPv4Address("10.40.0.1"), IPv6Address("fd00:40::1")


def secrets(key: SecretKey) -> str:
    """The one password."""
    assert key == KEY
    return PASSWORD


def vips(count: int) -> list[IPAddress]:
    """Some addresses of both families."""
    half = [IPv4Address("10.41.0.0") + n for n in range(count // 2)]
    return [*half, *(IPv6Address("fd00:41::") + n for n in range(count - count // 2))]


def converge(driver: BgpDriver, desired: BgpDesired) -> None:
    """A full round, as the reconcile loop makes it."""
    changes = diff_bgp(desired, driver.observe())
    if changes:
        driver.apply(changes)
    driver.prune(desired)


STATES: tuple[BgpDesired, ...] = (
    BgpDesired(SPEAKER, {"tor": ROUTER}, {A: PLAIN}),
    BgpDesired(SPEAKER, {"tor": ROUTER, "six": ROUTER6}, {A: PLAIN, C: PLAIN}),
    BgpDesired(
        SPEAKER,
        {"tor": ROUTER, "six": ROUTER6, "a.range": RANGE},
        {A: PLAIN, B: BLUE, C: DRESSED},
    ),
    BgpDesired(SPEAKER, {"tor": ROUTER, "a.range": RANGE}, {A: DRESSED, B: PLAIN}),
    BgpDesired(SPEAKER, {"a.range": RANGE}, {B: BLUE}),
    BgpDesired(BgpSpeaker(5005, IPv4Address("10.0.0.9")), {"tor": ROUTER}, {A: PLAIN}),
)
"""Each from the one before: a family more, labels and attributes, routers that go, another AS."""

BROKEN: dict[str, tuple[str, ...]] = {
    "a VIP is gone": ("router bgp 5000", "address-family ipv4 unicast", "no network {A}/32"),
    "a foreign network": ("router bgp 5000", "address-family ipv4 unicast", "network 10.0.0.0/8"),
    "a VIP nobody asked for": (
        *("router bgp 5000", "address-family ipv4 unicast"),
        "network 10.9.9.9/32 route-map fairlead-none",
    ),
    "a neighbour is shut down": ("router bgp 5000", "neighbor 10.10.16.250 shutdown"),
    "a neighbour is gone": ("router bgp 5000", "no neighbor 10.10.16.250"),
    "a foreign neighbour": ("router bgp 5000", "neighbor 10.10.16.7 remote-as 7"),
    "other timers": ("router bgp 5000", "neighbor 10.10.16.250 timers 60 180"),
    "no BFD": ("router bgp 5000", "no neighbor 10.10.16.250 bfd"),
    "no export filter": (
        *("router bgp 5000", "address-family ipv4 unicast"),
        "neighbor 10.10.16.250 route-map fairlead-none out",
    ),
    "redistribution": ("router bgp 5000", "address-family ipv4 unicast", "redistribute connected"),
    "another router id": ("router bgp 5000", "bgp router-id 1.1.1.1"),
    "patience with sessions": ("router bgp 5000", "coalesce-time 500"),
    "no word of patience": ("router bgp 5000", "no coalesce-time 0"),
    "the import check": ("router bgp 5000", "bgp network import-check"),
    "the group of a range is gone": ("router bgp 5000", "no neighbor fairlead-a.range peer-group"),
    "the import filter is gone": ("no route-map fairlead-none",),
    "the import filter is open": ("route-map fairlead-none permit 5",),
    "all instances are gone": ("no router bgp 5000",),
    "an address list is wider": ("ip prefix-list fairlead-hosts seq 10 permit any",),
}
"""What somebody might do to FRR by hand, as commands; ``{A}`` is a VIP."""

Runs = Callable[[], dict[str, object]]
