"""The pure planner: claims and ledger in, plan out. One rule, one module.

``group`` decides who shares a VIP, ``admit`` who of them is served, ``want`` and ``allocate`` which
addresses they get (``book`` keeps the ledger meanwhile), ``outcome`` what comes of it, ``place``
which engines hold it, ``compile`` and ``diff`` what an engine must do, ``explain``, ``verdicts``
and ``reasons`` what is said about it, ``guard`` what is refused. ``serve`` is all of it for an
agent, which follows what others decided.
"""

from fairlead.planner.compile import compile_l2, compile_l4, delta_l2, delta_l4
from fairlead.planner.compile_bgp import compile_bgp, delta_bgp, diff_bgp
from fairlead.planner.compile_upnp import compile_upnp, delta_upnp
from fairlead.planner.diff import diff_l2, diff_l4, diff_upnp
from fairlead.planner.differences import PlanChange, differences
from fairlead.planner.explain import Candidate, Explanation, explain
from fairlead.planner.guard import GuardRefusal, guard
from fairlead.planner.lease import compile_dhcp, delta_dhcp, diff_dhcp
from fairlead.planner.place import placed
from fairlead.planner.plan import plan
from fairlead.planner.serve import serve
from fairlead.planner.verdicts import every_verdict, message, verdict

__all__ = [
    "Candidate",
    "Explanation",
    "GuardRefusal",
    "PlanChange",
    "compile_bgp",
    "compile_dhcp",
    "compile_l2",
    "compile_l4",
    "compile_upnp",
    "delta_bgp",
    "delta_dhcp",
    "delta_l2",
    "delta_l4",
    "delta_upnp",
    "diff_bgp",
    "diff_dhcp",
    "diff_l2",
    "diff_l4",
    "diff_upnp",
    "differences",
    "every_verdict",
    "explain",
    "guard",
    "message",
    "placed",
    "plan",
    "serve",
    "verdict",
]
