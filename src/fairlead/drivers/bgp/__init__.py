"""VIPs by BGP: each engine that serves a VIP announces it, and routers spread the load (ECMP).

The driver (:mod:`.driver`) decides, the host (:mod:`.host`: FRR and the kernel, or the fake's
memory) obeys. FRR itself is kept by a process of its own (:mod:`.owner`).
"""

from fairlead.drivers.bgp.driver import BgpDriver, Secrets
from fairlead.drivers.bgp.house import House
from fairlead.drivers.bgp.outcome import BgpError, Failure

__all__ = ["BgpDriver", "BgpError", "Failure", "House", "Secrets"]
