"""DHCPv6 as one client of it (RFC 8415), with a DUID of its own for each VIP."""

import asyncio
from collections.abc import AsyncIterator
from time import time
from typing import NamedTuple

from fairlead.drivers.dhcp import wire6
from fairlead.drivers.dhcp.client4 import AGAIN
from fairlead.drivers.dhcp.exchange import FOREVER, Answer, Denied, Terms, timed
from fairlead.drivers.dhcp.port6 import Inbox, Port6
from fairlead.drivers.dhcp.wire6 import INFINITE, Lease6, Reply
from fairlead.model.addresses import IPAddress
from fairlead.model.desired import DhcpRow

NUMBER = 1
"""The IAID; a client has one address."""
ASKED = wire6.option(wire6.OPTION_REQUEST, wire6.DNS_SERVERS.to_bytes(2, "big"))
NO = {
    wire6.NO_ADDRESSES: "it has no address to give",
    wire6.NO_BINDING: "it knows nothing of the lease",
    wire6.NOT_ON_LINK: "the address is not of this link",
}


class Heard(NamedTuple):
    """An answer, and when what it answers was sent."""

    reply: Reply
    sent: float


class Client6:
    """One lease's conversations over a port."""

    def __init__(self, port: Port6, row: DhcpRow) -> None:
        self._port, self._duid = port, bytes.fromhex(row.client_id)
        self._who = wire6.option(wire6.CLIENT_ID, self._duid)
        self._name = wire6.fqdn(row.hostname) if row.hostname else b""

    async def acquire(self, wish: IPAddress | None, *, only: bool, wait: float) -> Answer:
        """SOLICIT, ADVERTISE, REQUEST, REPLY (18.2.1, 18.2.2)."""
        refusal: Denied | None = None
        offer: Reply | None = None
        async for heard in self._exchange(wire6.SOLICIT, self._ia(wish), wait=wait):
            reply = heard.reply
            if reply.kind != wire6.ADVERTISE:
                continue
            if reply.lease is None or not reply.lease.valid:
                refusal = _denied(reply)
            elif not only or reply.lease.address == wish:
                offer = reply
                break
        if offer is None or offer.lease is None:
            return refusal
        options = self._server(offer.server.hex()) + self._ia(offer.lease.address)
        return await self._ask(wire6.REQUEST, options, wait=wait)

    async def confirm(self, terms: Terms, *, wait: float) -> Answer:
        """REBIND rather than CONFIRM: a take-over has to know whether the binding lasts, not only
        whether the link is right (18.2.5)."""
        return await self.rebind(terms, wait=wait)

    async def renew(self, terms: Terms, *, wait: float) -> Answer:
        """RENEW with the server (18.2.4)."""
        if not terms.server:
            return await self.rebind(terms, wait=wait)
        options = self._server(terms.server) + self._ia(terms.address)
        return await self._ask(wire6.RENEW, options, wait=wait)

    async def rebind(self, terms: Terms, *, wait: float) -> Answer:
        """REBIND with any server (18.2.5)."""
        return await self._ask(wire6.REBIND, self._ia(terms.address), wait=wait)

    async def release(self, terms: Terms) -> None:
        """RELEASE (18.2.7), said once."""
        options = self._server(terms.server) + self._ia(terms.address)
        with self._port.conversation(self._duid, NUMBER) as (xid, _):
            await self._port.send(self._message(wire6.RELEASE, xid, options, 0))

    async def who(self, *, wait: float) -> str:
        """INFORMATION-REQUEST (18.2.6): a server without addresses answers that too."""
        async for heard in self._exchange(wire6.INFORMATION_REQUEST, b"", wait=wait):
            if heard.reply.kind == wire6.REPLY:
                return heard.reply.source
        return ""

    # -- conversations ---------------------------------------------------------------------------

    async def _ask(self, kind: int, options: bytes, *, wait: float) -> Answer:
        async for heard in self._exchange(kind, options, wait=wait):
            reply = heard.reply
            if reply.kind != wire6.REPLY:
                continue
            if reply.lease is not None and reply.lease.valid:
                return _terms(reply.lease, reply.server.hex(), heard.sent)
            return _denied(reply)
        return None

    async def _exchange(self, kind: int, options: bytes, *, wait: float) -> AsyncIterator[Heard]:
        with self._port.conversation(self._duid, NUMBER) as (xid, inbox):
            started = time()
            for pause in AGAIN:
                left = started + wait - time()
                if left <= 0:
                    return
                sent = time()
                elapsed = min(int((sent - started) * 100), 0xFFFF)
                await self._port.send(self._message(kind, xid, options, elapsed))
                async for reply in _within(inbox, min(pause, left)):
                    yield Heard(reply, sent)

    def _message(self, kind: int, xid: int, options: bytes, elapsed: int) -> bytes:
        waited = wire6.option(wire6.ELAPSED, elapsed.to_bytes(2, "big"))
        name = self._name if kind != wire6.RELEASE else b""
        return wire6.message(kind, xid, self._who, waited, name, ASKED, options)

    def _ia(self, address: IPAddress | None) -> bytes:
        return wire6.association(NUMBER, address if address and address.version == 6 else None)

    def _server(self, text: str) -> bytes:
        return wire6.option(wire6.SERVER_ID, bytes.fromhex(text))


async def _within(inbox: Inbox, seconds: float) -> AsyncIterator[Reply]:
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while (left := until - loop.time()) > 0:
        try:
            async with asyncio.timeout(left):
                reply = await inbox.get()
        except TimeoutError:
            return
        yield reply


def _denied(reply: Reply) -> Denied:
    text = reply.text or NO.get(reply.status, "it gave no address")
    return Denied(reply.source, text)


def _terms(lease: Lease6, server: str, sent: float) -> Terms:
    seconds = FOREVER if lease.valid == INFINITE else float(lease.valid)
    renew = float(lease.renew) if 0 < lease.renew < INFINITE else None
    rebind = float(lease.rebind) if 0 < lease.rebind < INFINITE else None
    times = timed(now=sent, lease=seconds, renew=renew, rebind=rebind)
    return Terms(lease.address, server, sent, *times)
