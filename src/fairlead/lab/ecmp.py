"""What equal-cost paths do to flows: who stays where he is when next hops come and go.

    spread_by_ports(lab["router"])
    with Flows(lab["client"], vip, count=60) as flows:
        ...  # another engine announces the VIP
        flows.ask()

What counts is what becomes of real connections. A look-up (`ip route get`) may say something else:
between namespaces a packet keeps the hash of its socket, and the router chooses by that.

`Resilient` is what routers call resilient hashing, and FRR makes of no BGP route: a next-hop group
of the kernel that moves only those buckets that nobody uses (`ip nexthop … type resilient`). Linux
keeps no account of a group of one.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from fairlead.lab.errors import LabError, LabUnavailable
from fairlead.lab.probe.outcomes import Answer, Refused, TimedOut
from fairlead.lab.probe.transport import TcpConnection, tcp_connect

if TYPE_CHECKING:
    from collections.abc import Collection
    from types import TracebackType
    from typing import Self

    from fairlead.lab.host import Host

__all__ = ["Flows", "Outcomes", "Resilient", "spread_by_ports"]

_FIRST_PORT: Final = 20000
_LAST_PORT: Final = 60000
_GROUP: Final = 100
_METRIC: Final = "10"
"""Better than what FRR installs for BGP (20)."""


def spread_by_ports(router: Host) -> None:
    """Have a host choose among paths by addresses and ports, as most routers do."""
    for family in ("ipv4", "ipv6"):
        router.run(["sysctl", "-qw", f"net.{family}.fib_multipath_hash_policy=1"], check=True)


class Outcomes(NamedTuple):
    """What became of connections when they were used, by the engine that they went through."""

    answered: Counter[str]
    reset: Counter[str]
    silent: Counter[str]

    @property
    def stayed(self) -> float:
        """The share that was answered."""
        count = self.answered.total() + self.reset.total() + self.silent.total()
        return self.answered.total() / count if count else 1.0


class Flows:
    """TCP connections from a client to a VIP, each with a source port of its own, kept open. An
    engine is known by the address that the server sees, so it must masquerade."""

    def __init__(self, client: Host, vip: str, *, count: int) -> None:
        self._client, self._vip, self._count = client, vip, count
        self._open: list[TcpConnection] = []
        self._ports = iter(range(_FIRST_PORT, _LAST_PORT))

    def __enter__(self) -> Self:
        self.refill()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for connection in self._open:
            connection.close()

    def refill(self) -> None:
        """Open as many as are missing. LabError when one cannot be opened."""
        with self._client.entered():
            while len(self._open) < self._count:
                port = next(self._ports)
                made = tcp_connect(self._vip, 80, 2.0, source_port=port)
                if not isinstance(made, TcpConnection):
                    raise LabError(f"no connection from port {port} to {self._vip}: {made}")
                self._open.append(made)

    def engines(self) -> Counter[str]:
        """How many go through each engine."""
        return Counter(map(_engine, self._open))

    def ask(self) -> Outcomes:
        """Use each; those that broke are closed."""
        found = Outcomes(Counter(), Counter(), Counter())
        kept = []
        for connection in self._open:
            match connection.ask(1.0):
                case Answer():
                    found.answered[_engine(connection)] += 1
                    kept.append(connection)
                    continue
                case Refused():
                    found.reset[_engine(connection)] += 1
                case TimedOut():
                    found.silent[_engine(connection)] += 1
            connection.close()
        self._open = kept
        return found


def _engine(connection: TcpConnection) -> str:
    return str(connection.greeting.client.address)


class Resilient:
    """A route to one host whose flows stay where they are while next hops come and go.

    `idle`: seconds after which a bucket counts as unused. LabUnavailable on a kernel without
    resilient groups.
    """

    def __init__(
        self, router: Host, vip: str, *, buckets: int = 256, idle: int = 60, device: str = "lan"
    ) -> None:
        self._router, self._vip, self._device = router, vip, device
        self._how = ["type", "resilient", "buckets", str(buckets)]
        self._how += ["idle_timer", str(idle), "unbalanced_timer", "0"]
        self._ids: dict[str, int] = {}

    def follow(self, hops: Collection[str]) -> None:
        """Have exactly these next hops, at least one."""
        for hop in sorted(set(hops) - self._ids.keys()):
            number = _GROUP + 1 + max((one - _GROUP for one in self._ids.values()), default=0)
            self._router.ip("nexthop", "add", "id", str(number), "via", hop, "dev", self._device)
            self._ids[hop] = number
        members = "/".join(str(self._ids[hop]) for hop in sorted(hops))
        done = self._router.run(
            ["ip", "nexthop", "replace", "id", str(_GROUP), "group", members, *self._how]
        )
        if done.returncode:
            raise LabUnavailable(f"no resilient next-hop groups here: {done.stderr.strip()}")
        route = (f"{self._vip}/32", "nhid", str(_GROUP), "metric", _METRIC)
        self._router.ip("route", "replace", *route)
        for hop in self._ids.keys() - set(hops):
            self._router.ip("nexthop", "delete", "id", str(self._ids.pop(hop)))

    def shares(self) -> Counter[str]:
        """How many buckets each next hop has."""
        names = {number: hop for hop, number in self._ids.items()}
        rows = json.loads(self._router.ip("-j", "nexthop", "bucket", "show", "id", str(_GROUP)))
        return Counter(names[row["bucket"]["nhid"]] for row in rows)

    def remove(self) -> None:
        """Leave the router's own route, and nothing of this."""
        self._router.run(["ip", "route", "delete", f"{self._vip}/32", "metric", _METRIC])
        for number in (_GROUP, *self._ids.values()):
            self._router.run(["ip", "nexthop", "delete", "id", str(number)])
        self._ids.clear()
