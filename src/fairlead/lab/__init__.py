"""Real networks in Linux network namespaces, for the demo, the tests and the benchmarks alike.

`Lab(topology)` is a context manager over clients, engines, an edge, nodes and pods on two bridges,
with no way out; `fairlead.lab.probe` asks questions from inside, `Capture` records what was said,
`up`, `down`, `exec_` and `attach` handle a lab that stays.
"""

from fairlead.lab.capture import Capture
from fairlead.lab.commands import LabInfo, attach, down, exec_, list_labs, up
from fairlead.lab.errors import LabError, LabUnavailable
from fairlead.lab.frames import Arp, Frame, Neighbour, Packet
from fairlead.lab.host import Host
from fairlead.lab.lab import Hosts, Lab
from fairlead.lab.layout import Subnet, cluster
from fairlead.lab.topology import HostSpec, Role, Route, Topology

__all__ = [
    "Arp",
    "Capture",
    "Frame",
    "Host",
    "HostSpec",
    "Hosts",
    "Lab",
    "LabError",
    "LabInfo",
    "LabUnavailable",
    "Neighbour",
    "Packet",
    "Role",
    "Route",
    "Subnet",
    "Topology",
    "attach",
    "cluster",
    "down",
    "exec_",
    "list_labs",
    "up",
]
