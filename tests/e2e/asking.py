"""A user of VIPs: asks, keeps connections open, and watches a service without a pause."""

import threading
import time
from collections import Counter
from types import TracebackType
from typing import Self

from fairlead.lab import Host
from fairlead.lab.probe import (
    Answer,
    Outcome,
    Pong,
    Refused,
    TcpConnection,
    TimedOut,
    arp_ask,
    ndp_ask,
    ping,
    sctp_init,
    tcp_ask,
    tcp_connect,
    udp_ask,
)

RESET = "reset"
UNREACHABLE = "icmp-port-unreachable"
SILENCE = "silence"
SOON = 0.9
"""Seconds to wait for an answer: less than the second after which TCP sends a lost SYN again, so
that a lost one counts."""


def name_of(outcome: Outcome) -> str:
    """Who answered, how it was refused, or silence."""
    match outcome:
        case Answer(name=name):
            return name
        case Refused(reason=reason):
            return reason.value
        case TimedOut():
            return SILENCE


def answer_on(connection: TcpConnection) -> str:
    """Who answers on an open connection."""
    return name_of(connection.ask(SOON))


class User:
    """Somebody on a host."""

    def __init__(self, host: Host) -> None:
        self.host = host

    def tcp(self, vip: str, port: int = 80) -> str:
        """Who answers a new connection."""
        return name_of(self.host.call(tcp_ask, vip, port, SOON))

    def udp(self, vip: str, port: int = 80, *, source_port: int = 0) -> str:
        """Who answers a datagram."""
        return name_of(self.host.call(udp_ask, vip, port, SOON, source_port=source_port))

    def sctp(self, vip: str, port: int) -> str:
        """Who answers a (crafted) INIT."""
        return name_of(self.host.call(sctp_init, vip, port, SOON))

    def pings(self, vip: str) -> bool:
        """Whether an echo request is answered."""
        return isinstance(self.host.call(ping, vip, SOON), Pong)

    def crowd(self, vip: str, port: int = 80, times: int = 40) -> set[str]:
        """Everybody who answers many new connections."""
        return {self.tcp(vip, port) for _ in range(times)}

    def seen_as(self, vip: str, port: int = 80) -> str:
        """Which client address the server sees."""
        outcome = self.host.call(tcp_ask, vip, port, SOON)
        return str(outcome.client.address) if isinstance(outcome, Answer) else name_of(outcome)

    def open(self, vip: str, port: int = 80) -> TcpConnection:
        """A connection that stays."""
        opened = self.host.call(tcp_connect, vip, port, SOON)
        assert isinstance(opened, TcpConnection), opened
        return opened

    def macs(self, vip: str) -> list[str]:
        """Who says to have an address, on the LAN."""
        ask = ndp_ask if ":" in vip else arp_ask
        return self.host.call(ask, "lan", vip)


class Steady:
    """Asks (address, port) pairs in turn, all the time, on new connections and on one kept open
    for each; `failures` are the answers that did not come. Entering needs everything to work."""

    def __init__(self, user: User, *targets: tuple[str, int]) -> None:
        self._user, self._targets = user, targets
        self._stop = threading.Event()
        self.failures: list[str] = []
        self.asked: Counter[str] = Counter()

    def __enter__(self) -> Self:
        self._kept = [self._user.open(vip, port) for vip, port in self._targets]
        self._thread = threading.Thread(target=self._run, name="steady", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends the asking; when the block itself went well, fails if an answer did not come."""
        self._stop.set()
        self._thread.join()
        for connection in self._kept:
            connection.close()
        if error is None:
            assert not self.failures, self.failures
            assert all(self.asked[f"{vip} {port}"] > 2 for vip, port in self._targets), self.asked

    def _run(self) -> None:
        started = time.monotonic()
        with self._user.host.entered():
            while not self._stop.wait(0.005):
                for (vip, port), kept in zip(self._targets, self._kept, strict=True):
                    self.asked[f"{vip} {port}"] += 1
                    for what, outcome in (
                        ("new", tcp_ask(vip, port, SOON)),
                        ("kept", kept.ask(SOON)),
                    ):
                        if not isinstance(outcome, Answer):
                            when = time.monotonic() - started
                            text = f"{when:.2f} s: {what} to {vip} {port}: {name_of(outcome)}"
                            self.failures.append(text)
