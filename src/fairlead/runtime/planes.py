"""The data planes of this host: which drivers serve, and what the loop must know beyond their
contract.
"""

from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

from fairlead.drivers.base import Driver, DriverError
from fairlead.drivers.bgp import BgpDriver, BgpError, House
from fairlead.drivers.dhcp import DhcpDriver
from fairlead.drivers.l2 import Conflict, L2Driver, L2Error
from fairlead.drivers.l2.links import Links
from fairlead.drivers.l2.probe import ProbeTiming
from fairlead.drivers.nft.driver import NftDriver
from fairlead.model.addresses import IPAddress
from fairlead.model.config import Config
from fairlead.model.desired import (
    BgpChanges,
    BgpDesired,
    DhcpChanges,
    DhcpDesired,
    L2Changes,
    L2Desired,
    L4Changes,
    L4Desired,
)
from fairlead.model.dhcp import Leased, LeaseKey
from fairlead.model.forward import UpnpChanges, UpnpDesired
from fairlead.model.verdict import Forward
from fairlead.runtime.reconcile import News
from fairlead.runtime.secrets import mounted


class Announcer(Driver[L2Desired, L2Changes], Protocol):
    """A driver of LAN addresses, which can find that somebody else has one."""

    def conflicts(self) -> Collection[Conflict]:
        """The wanted addresses that somebody else uses."""
        ...

    def disputes(self) -> Collection[Conflict]:
        """The held addresses that somebody else uses as well. Cheap."""
        ...


class Speaker(Driver[BgpDesired, BgpChanges], Protocol):
    """A driver of routed addresses."""

    def disturbed(self) -> bool:
        """A cheap look whether something of it ended."""
        ...

    def close(self) -> None:
        """Free what it uses in this process; what it announces stays announced."""
        ...


class Leaser(Driver[DhcpDesired, DhcpChanges], Protocol):
    """A driver of leases from DHCP servers."""

    def listen(self, tell: Callable[[LeaseKey, Leased], None]) -> None:
        """Tell somebody, from any thread, what becomes of each lease."""
        ...

    def hush(self, quiet: bool) -> None:
        """Say nothing to anybody while ``quiet``; then go on."""
        ...

    def leases(self) -> Mapping[LeaseKey, Leased]:
        """What is known of the leases of this engine."""
        ...

    def close(self) -> None:
        """Free what it uses in this process; leases stay leased."""
        ...


class Opener(Driver[UpnpDesired, UpnpChanges], Protocol):
    """A driver of ports on the network's gateway."""

    def forwards(self) -> tuple[Forward, ...]:
        """What became of each port that is wanted."""
        ...

    def open(self) -> Mapping[IPAddress, int]:
        """How many ports of each address are open, to be asked while it works."""
        ...


class Planes(NamedTuple):
    """The drivers of one engine. ``bgp``: None where nothing is routed, ``dhcp``: where no address
    comes from a DHCP server, ``upnp``: where no gateway is asked for anything. ``disturbed``: a
    cheap look whether somebody meddled with ``l4``. ``links``: opens what tells that interfaces of
    ``l2`` changed. ``close``: frees what the drivers use in this process; the data planes stay as
    they are."""

    l4: Driver[L4Desired, L4Changes]
    l2: Announcer
    bgp: Speaker | None = None
    dhcp: Leaser | None = None
    upnp: Opener | None = None
    disturbed: Callable[[], bool] | None = None
    links: Callable[[], News] | None = None
    close: Callable[[], None] = lambda: None


def kernel_planes(
    config: Config, engine: str, *, fence: Path | None = None, hands_over: bool = False
) -> Planes | None:
    """nftables, addresses and FRR in the network namespace of this process; None where somebody
    else serves. ``engine``: its name. ``fence``: the directory of a fence, whose bfdd FRR uses
    then. ``hands_over``: other engines go on when this one stops."""
    if config.dataplane == "none":
        return None
    ours = config.dataplane == "nft"
    nft = NftDriver(ends_flows=ours)
    seconds = config.probe_seconds
    timing = ProbeTiming(interval=0.3 * seconds, wait=0.4 * seconds)
    l2 = L2Driver(interfaces=config.interfaces or None, probe=timing, ends_flows=ours)
    bgp = _speaker(config, fence)
    dhcp = DhcpDriver(interfaces=tuple(config.interfaces))

    def close() -> None:
        nft.close()
        bgp.close()
        dhcp.close()

    upnp = opener(config, engine, hands_over) if config.enable_upnp else None
    return Planes(nft, l2, bgp, dhcp, upnp, disturbed=nft.disturbed, links=Links, close=close)


def opener(config: Config, engine: str, hands_over: bool) -> Opener:
    """UPnP on the LANs of this host."""
    # its library takes 10 MB, which only those pay who use it
    from fairlead.drivers.upnp import UpnpDriver, lan_gateways

    search = partial(lan_gateways, interfaces=config.interfaces or None)
    return UpnpDriver(engine, search=search, hands_over=hands_over)


def _speaker(config: Config, fence: Path | None) -> BgpDriver:
    bfdd = None
    if fence is not None:
        bfdd = fence / "bfd" if (fence / "bfd").is_dir() else fence
    return BgpDriver(house=House(bfdd=bfdd), secrets=mounted(Path(config.secrets)))


def failures_of(error: DriverError | None) -> dict[IPAddress, str]:
    """What an error says of single addresses; empty when it is about all of them."""
    match error:
        case L2Error(failures=failures):
            return {one.address: f"{one.interface}: {one.problem}" for one in failures}
        case BgpError(failures=failures):
            return {one.address: one.problem for one in failures if one.address is not None}
    return {}
