"""One lease, held for as long as somebody wants it: the timers of RFC 2131 (4.4) over either
protocol.

::

    known ──> confirm ──┐ granted                 ┌────── renew, rebind ──────┐
                        ├─────────> Bound ──> keep ┤ granted: on and on        │
    nothing ──> acquire ┘                          └ refused, expired ──> Lost ──> acquire

Silence never ends a lease before its time: a server that is away for an hour costs nothing. While
an address is confirmed it is served on, because a take-over must not wait for a server.
"""

import asyncio
from collections.abc import Callable, Iterator
from time import time
from typing import NamedTuple

from fairlead.drivers.dhcp.exchange import FOREVER, Answer, Denied, Exchange, Terms
from fairlead.model.addresses import Family, IPAddress, canonical
from fairlead.model.dhcp import Leased

PATIENCE = 4.0
"""Seconds for which a new lease is waited for before somebody is told that none comes."""
LONGEST = 60.0
"""Seconds between two attempts at most."""
ATTEMPT = 3.0
"""Seconds of patience with one message about a lease that there is."""
SHORTEST = 4.0
"""Seconds between two messages at least, while a lease is renewed."""
Tell = Callable[[Leased], None]


class Client(NamedTuple):
    """As whom it is asked for, and where."""

    family: Family
    client_id: str
    interface: str


class Session:
    """``known``: what is held since before. ``tell`` hears of every change."""

    def __init__(
        self, client: Client, exchange: Exchange, *, wish: IPAddress | None, tell: Tell
    ) -> None:
        self.terms: Terms | None = None
        self._client, self._exchange = client, exchange
        self._wish, self._tell = wish, tell
        self._said: Leased | None = None

    async def run(self, known: Terms | None = None) -> None:
        """Until cancelled."""
        self.terms = known
        if known is not None:
            self.terms = await self._confirm(known)
        while True:
            if self.terms is None:
                self.terms = await self._acquire()
            self._bound(self.terms)
            self.terms = await self._keep(self.terms)

    async def release(self) -> None:
        """Give the lease back, if there is one."""
        terms, self.terms = self.terms, None
        if terms is not None and terms.server and time() < terms.expires:
            await self._exchange.release(terms)

    # -- the states ------------------------------------------------------------------------------

    async def _acquire(self) -> Terms:
        """A new lease, however long it takes."""
        for pause in _pauses():
            answer = await self._exchange.acquire(self._wish, only=False, wait=PATIENCE)
            if isinstance(answer, Terms):
                return answer
            self._refused(answer or Denied(await self._exchange.who(wait=1.0), ""))
            await asyncio.sleep(pause)
        raise AssertionError("pauses never end")

    async def _confirm(self, terms: Terms) -> Terms | None:
        """What is known is served on until a server refuses it, or until it ends. Servers that do
        not know it may still have the address to give."""
        for pause in _pauses(first=0.5, longest=10.0):
            answer = await self._exchange.confirm(terms, wait=_patience(terms.expires))
            if answer is None and time() < terms.expires:
                answer = await self._exchange.acquire(terms.address, only=True, wait=ATTEMPT)
                answer = answer if isinstance(answer, Terms) else None
            if answer is not None or time() >= terms.expires:
                return self._settled(terms, answer)
            await asyncio.sleep(min(pause, max(0.0, terms.expires - time())))
        raise AssertionError("pauses never end")

    async def _keep(self, terms: Terms) -> Terms | None:
        """Wait until it is to be renewed, and renew it; None: it is lost."""
        await _sleep_until(terms.renew)
        answer: Answer = None
        while answer is None and time() < terms.expires:
            renewing = time() < terms.rebind
            until = terms.rebind if renewing else terms.expires
            ask = self._exchange.renew if renewing else self._exchange.rebind
            asked = time()
            answer = await ask(terms, wait=min(ATTEMPT, max(0.5, until - asked)))
            if answer is None:  # after half of what is left (RFC 2131, 4.4.5)
                await _sleep_until(min(until, asked + max(SHORTEST, (until - asked) / 2)))
        return self._settled(terms, answer)

    def _settled(self, before: Terms, answer: Answer) -> Terms | None:
        if isinstance(answer, Terms):
            return answer
        self._lost(before, answer)
        return None

    # -- what is told ----------------------------------------------------------------------------

    def _bound(self, terms: Terms) -> None:
        self._wish = terms.address
        self._say(
            Leased(
                family=self._client.family,
                state="Bound",
                address=terms.address,
                server=terms.server,
                client_id=self._client.client_id,
                bound=terms.bound,
                renew=_finite(terms.renew),
                rebind=_finite(terms.rebind),
                expires=_finite(terms.expires),
            )
        )

    def _refused(self, denied: Denied) -> None:
        where = self._client.interface
        if not denied.server:
            text = f"no DHCP server answers on {where}"
        elif denied.message:
            text = f"DHCP server {denied.server} on {where} refused: {denied.message}"
        else:
            text = f"DHCP server {denied.server} on {where} offers no address; its pool may be full"
        self._unbound("Refused", denied.server, text)

    def _lost(self, terms: Terms, denied: Denied | None) -> None:
        address = canonical(terms.address)
        if denied is not None:
            why = f": {denied.message}" if denied.message else ""
            text = f"DHCP server {denied.server} took {address} back{why}"
            self._unbound("Lost", denied.server, text)
        else:
            by = f" by DHCP server {terms.server}" if terms.server else ""
            text = f"the lease of {address} ended without being renewed{by}"
            self._unbound("Lost", terms.server, text)

    def _unbound(self, state: str, server: str, text: str) -> None:
        self._say(
            Leased(
                family=self._client.family,
                state="Lost" if state == "Lost" else "Refused",
                server=server,
                message=text,
                client_id=self._client.client_id,
            )
        )

    def _say(self, leased: Leased) -> None:
        if leased != self._said:
            self._said = leased
            self._tell(leased)


def _pauses(first: float = 1.0, longest: float = LONGEST) -> Iterator[float]:
    pause = first
    while True:
        yield pause
        pause = min(pause * 2, longest)


def _patience(expires: float) -> float:
    return max(0.5, min(ATTEMPT, expires - time()))


def _finite(when: float) -> float | None:
    return None if when == FOREVER else when


async def _sleep_until(when: float) -> None:
    """Until that time of the day, also when the clock is set meanwhile."""
    while (left := when - time()) > 0:  # noqa: ASYNC110  # a clock tells nobody that it is set
        await asyncio.sleep(min(left, 30.0))
