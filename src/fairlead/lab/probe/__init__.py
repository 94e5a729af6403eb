"""Questions a client asks, to be called inside its namespace: `host.call(tcp_ask, address, port)`.

Each returns what became of it as a value (see `outcomes`) and raises only when it could not be
asked at all, such as for a source address the host does not have.
"""

from fairlead.lab.probe.asking import Asking
from fairlead.lab.probe.holders import Holders
from fairlead.lab.probe.neighbours import arp_ask, ndp_ask
from fairlead.lab.probe.outcomes import Answer, Endpoint, Outcome, Reason, Refused, TimedOut
from fairlead.lab.probe.ping import Pong, ping
from fairlead.lab.probe.sctp import sctp_init
from fairlead.lab.probe.sightings import Answered, Claimed, Sightings
from fairlead.lab.probe.transport import TcpConnection, tcp_ask, tcp_connect, udp_ask

__all__ = [
    "Answer",
    "Answered",
    "Asking",
    "Claimed",
    "Endpoint",
    "Holders",
    "Outcome",
    "Pong",
    "Reason",
    "Refused",
    "Sightings",
    "TcpConnection",
    "TimedOut",
    "arp_ask",
    "ndp_ask",
    "ping",
    "sctp_init",
    "tcp_ask",
    "tcp_connect",
    "udp_ask",
]
