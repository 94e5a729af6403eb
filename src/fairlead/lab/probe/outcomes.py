"""What became of a question: `Answer | Refused | TimedOut`, to be told apart with `match`.

A refusal says what refused: a TCP reset, an ICMP message (and from whom), the local routing table,
an SCTP ABORT. For a load balancer these differ: a reset says that a machine was reached and nobody
listens, an ICMP message may come from the engine's own rules, silence may be a firewall.
"""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass
from enum import StrEnum

from fairlead.lab.topology import Address

__all__ = ["Answer", "Endpoint", "Outcome", "Reason", "Refused", "TimedOut"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address and a port; written `192.0.2.1:80` or `[fd00::1]:80`."""

    address: Address
    port: int

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        host, _, port = text.rpartition(":")
        return cls(ipaddress.ip_address(host.strip("[]")), int(port))

    def __str__(self) -> str:
        host = f"[{self.address}]" if self.address.version == 6 else str(self.address)
        return f"{host}:{self.port}"


class Reason(StrEnum):
    """Why a question was refused; the part after `icmp-` is the kind of ICMP(v6) message."""

    RESET = "reset"
    ABORT = "abort"
    CLOSED = "closed"
    NO_ROUTE = "no-route"
    NET_UNREACHABLE = "icmp-net-unreachable"
    HOST_UNREACHABLE = "icmp-host-unreachable"
    PROTOCOL_UNREACHABLE = "icmp-protocol-unreachable"
    PORT_UNREACHABLE = "icmp-port-unreachable"
    PROHIBITED = "icmp-prohibited"
    HOP_LIMIT = "icmp-hop-limit"
    OTHER_ICMP = "icmp-other"


@dataclass(frozen=True, slots=True)
class Answer:
    """An echo server answered: who, and which client and server addresses *it* saw.

    `local` is the client's own end, so `client != local` means that something translated the
    source. `elapsed` is in seconds, from before the first packet to the answer.
    """

    name: str
    client: Endpoint
    server: Endpoint
    protocol: str
    local: Endpoint
    elapsed: float

    @classmethod
    def parse(cls, line: bytes, *, local: Endpoint, elapsed: float) -> Answer:
        raw = json.loads(line)
        return cls(
            name=raw["name"],
            client=Endpoint.parse(raw["client"]),
            server=Endpoint.parse(raw["server"]),
            protocol=raw["protocol"],
            local=local,
            elapsed=elapsed,
        )


@dataclass(frozen=True, slots=True)
class Refused:
    """Somebody said no. `by` is who sent the ICMP message, None for the other reasons."""

    reason: Reason
    elapsed: float
    by: Address | None = None


@dataclass(frozen=True, slots=True)
class TimedOut:
    """Nothing came. `connected` tells a TCP connection that was made but never answered."""

    elapsed: float
    connected: bool = False


Outcome = Answer | Refused | TimedOut
