"""VIPs on a LAN: only the holder has the address, and says so by gratuitous ARP and unsolicited NA.

The driver (:mod:`.driver`) decides, the host (:mod:`.host`: the kernel, or the fake's memory)
obeys.
"""

from fairlead.drivers.l2.announce import REPEATS
from fairlead.drivers.l2.driver import L2Driver
from fairlead.drivers.l2.fake import FakeL2Driver
from fairlead.drivers.l2.host import Conflict
from fairlead.drivers.l2.outcome import Failure, L2Error
from fairlead.drivers.l2.probe import ProbeTiming

__all__ = [
    "REPEATS",
    "Conflict",
    "Failure",
    "FakeL2Driver",
    "L2Driver",
    "L2Error",
    "ProbeTiming",
]
