"""Requests without a pause, while something breaks."""

import threading
from collections import Counter
from types import TracebackType
from typing import Self

from fairlead.cli.demo import screen
from fairlead.cli.demo.deviation import Deviation
from fairlead.cli.demo.traffic import Target, tell
from fairlead.lab import Host
from fairlead.lab.probe import Answer, tcp_ask

PAUSE = 0.02
TIMEOUT = 2.0
"""Seconds: a machine with much to do is slow, and TCP sends a lost packet again after one."""


class Steady:
    """Asks over TCP in turn, each time on a new connection. Leaving the block raises
    :class:`Deviation` when a request was not answered in it."""

    def __init__(self, client: Host, *targets: Target) -> None:
        self._client, self._targets = client, targets
        self._stop = threading.Event()
        self._asked: Counter[Target] = Counter()
        self._failed: list[str] = []

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run, name="steady", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        if error is None:
            self._judge()

    def _judge(self) -> None:
        if self._failed or len(self._asked) < len(self._targets):
            asked = f"{self._asked.total()} requests, not answered: "
            seen = asked + ("; ".join(self._failed[:5]) or "none")
            raise Deviation(expected="every request meanwhile is answered", seen=seen)
        for target, count in self._asked.items():
            screen.request(target, f"{count} requests meanwhile, all answered")

    def _run(self) -> None:
        with self._client.entered():
            while not self._stop.wait(PAUSE):
                for target in self._targets:
                    outcome = tcp_ask(target.address, target.port, TIMEOUT)
                    self._asked[target] += 1
                    if not isinstance(outcome, Answer):
                        self._failed.append(f"{target}: {tell(outcome)}")
