"""The DHCPv4 traffic of one interface: one packet socket for all leases on it.

A packet socket on the parent hears everything that arrives there: what is for the MAC of a lease,
what is broadcast, and what a server sends to the VIP itself when a lease is renewed, which goes to
the MAC of the parent. So no lease needs a socket of its own, and the macvlan needs no address.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from secrets import randbits

from pyroute2.dhcp.dhcp4socket import AsyncDHCP4Socket
from pyroute2.dhcp.messages import ReceivedDHCPMessage, SentDHCPMessage

MOST = 64
"""Answers to one question that wait to be read; a flood of them is dropped."""
Inbox = asyncio.Queue[ReceivedDHCPMessage]


class _Socket(AsyncDHCP4Socket):  # type: ignore[misc]  # pyroute2 ships no types
    async def get(self) -> ReceivedDHCPMessage:
        """The next message that can be read; a stranger's nonsense is passed over."""
        while True:
            raw = await self.loop.sock_recv(self, 4096)
            try:
                message = self._decode_msg(raw)
                if message.dhcp["options"].get("message_type") is not None:
                    return message
            except Exception:  # the decoder raises anything on hostile input
                continue


class Port4:
    """Opens with the first lease on an interface. Errors are OSError."""

    def __init__(self, interface: str) -> None:
        self._socket = _Socket(interface)
        self._waiting: dict[int, tuple[str, Inbox]] = {}
        self._listening: asyncio.Task[None] | None = None
        self.error: OSError | None = None

    async def open(self) -> None:
        """Listen from now on."""
        await self._socket.__aenter__()
        self._listening = asyncio.create_task(self._listen())

    async def close(self) -> None:
        """Listen no more."""
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait([self._listening])
            await self._socket.__aexit__(None, None, None)

    async def send(self, message: SentDHCPMessage) -> None:
        """Send; who it is from is in the message."""
        await self._socket.put(message)

    @contextmanager
    def conversation(self, mac: str) -> Iterator[tuple[int, Inbox]]:
        """A transaction id, and what is answered to it for that hardware address."""
        xid = randbits(32)
        while xid in self._waiting:
            xid = randbits(32)
        inbox: Inbox = asyncio.Queue(MOST)
        self._waiting[xid] = (mac, inbox)
        try:
            yield xid, inbox
        finally:
            del self._waiting[xid]

    async def _listen(self) -> None:
        try:
            while True:
                self._deliver(await self._socket.get())
        except OSError as error:  # the interface went away: whoever sends next hears of it
            self.error = error

    def _deliver(self, message: ReceivedDHCPMessage) -> None:
        mac, inbox = self._waiting.get(message.dhcp["xid"], ("", None))
        if inbox is not None and message.dhcp["chaddr"] == mac and not inbox.full():
            inbox.put_nowait(message)


async def answers(inbox: Inbox, seconds: float) -> AsyncIterator[ReceivedDHCPMessage]:
    """What comes within that time."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while (left := until - loop.time()) > 0:
        try:
            async with asyncio.timeout(left):
                message = await inbox.get()
        except TimeoutError:
            return
        yield message
