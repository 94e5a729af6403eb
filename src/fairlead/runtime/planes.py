"""The data planes of this host: which drivers serve, and what the loop must know beyond their
contract.
"""

from collections.abc import Callable, Collection
from typing import NamedTuple, Protocol

from fairlead.drivers.base import Driver, DriverError
from fairlead.drivers.l2 import Conflict, Failure, L2Driver, L2Error
from fairlead.drivers.l2.probe import ProbeTiming
from fairlead.drivers.nft.driver import NftDriver
from fairlead.model.config import Config
from fairlead.model.desired import L2Changes, L2Desired, L4Changes, L4Desired


class Announcer(Driver[L2Desired, L2Changes], Protocol):
    """A driver of LAN addresses, which can find that somebody else has one."""

    def conflicts(self) -> Collection[Conflict]:
        """The wanted addresses that somebody else uses."""
        ...


class Planes(NamedTuple):
    """The drivers of one engine. ``disturbed``: a cheap look whether somebody meddled with ``l4``.
    ``close``: frees what the drivers use in this process; the data planes stay as they are."""

    l4: Driver[L4Desired, L4Changes]
    l2: Announcer
    disturbed: Callable[[], bool] | None = None
    close: Callable[[], None] = lambda: None


def kernel_planes(config: Config) -> Planes | None:
    """nftables and addresses in the network namespace of this process; None where somebody else
    serves."""
    if config.dataplane == "none":
        return None
    ours = config.dataplane == "nft"
    nft = NftDriver(ends_flows=ours)
    seconds = config.probe_seconds
    timing = ProbeTiming(interval=0.3 * seconds, wait=0.4 * seconds)
    l2 = L2Driver(interfaces=config.interfaces or None, probe=timing, ends_flows=ours)
    return Planes(nft, l2, disturbed=nft.disturbed, close=nft.close)


def failures_of(error: DriverError | None) -> tuple[Failure, ...]:
    """The addresses that an error is about; empty when it is about all of them."""
    return error.failures if isinstance(error, L2Error) else ()
