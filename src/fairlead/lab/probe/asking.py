"""A client that connects again and again while something happens: what of it a user would notice.

with Asking(lab["client"], vips, 80) as asking:
    ...
asking.failed, asking.asked
"""

from __future__ import annotations

from threading import Event, Thread
from typing import TYPE_CHECKING

from fairlead.lab.probe.outcomes import Answer
from fairlead.lab.probe.transport import tcp_ask

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Self

    from fairlead.lab.host import Host
    from fairlead.lab.topology import Address

__all__ = ["Asking"]


class Asking:
    """The context manager. ``asked`` connections were tried, one after the other, to each VIP in
    turn; ``failed`` are those of them that got no answer."""

    def __init__(self, host: Host, vips: Sequence[Address], port: int) -> None:
        self.asked = self.failed = 0
        self._host, self._vips, self._port = host, vips, port
        self._done = Event()
        self._error: BaseException | None = None
        self._thread = Thread(target=self._run, name="asking", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join()
        if self._error is not None and error is None:
            raise self._error

    def _run(self) -> None:
        try:
            self._host.call(self._ask)
        except BaseException as error:
            self._error = error

    def _ask(self) -> None:
        while True:
            for vip in self._vips:
                if self._done.is_set():
                    return
                self.asked += 1
                self.failed += not isinstance(tcp_ask(str(vip), self._port), Answer)
