"""What fences tell each other: one datagram, ten times a second and at once when something changed.

Each carries the newest row of everybody its sender knows of, so that news travels around a broken
cable, and the sender's own word about its berths; the words of others only where somebody alive may
not have heard them. With a key, datagrams are authenticated
(HMAC-SHA256); what does not fit is dropped. Ages instead of times: clocks are not compared.
"""

import asyncio
import hmac
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from fairlead.model.addresses import IPAddress, canonical
from fairlead.model.cell import Roster, Row
from fairlead.planner.berth import Word

PORT = 9442
SIGNATURE = 32
LARGEST = 60000


class Said(Struct, frozen=True, array_like=True):
    """A row as it travels: how old it is in milliseconds instead of when it was heard."""

    age: int
    links: frozenset[str]
    roster: Roster
    agreed: Roster
    serving: bool


class Message(Struct, frozen=True, array_like=True):
    """One datagram. ``life`` and ``number`` order the messages of one sender: a restarted one
    counts from one again, in a later life. ``words``: what others said, with their rows.
    ``blind``: its bfdd has ended, and is not back yet."""

    sender: str
    life: int
    number: int
    rows: dict[str, Said]
    word: Word
    words: dict[str, Word] = {}
    blind: bool = False


_DECODER = msgspec.msgpack.Decoder(Message)
_ENCODER = msgspec.msgpack.Encoder()


class Voice(asyncio.DatagramProtocol):
    """The UDP socket of a fence. ``heard`` gets each message that is valid and newer than the last
    of its sender."""

    def __init__(self, *, key: bytes, heard: Callable[[Message], None]) -> None:
        self._key, self._heard = key, heard
        self._transport: asyncio.DatagramTransport | None = None
        self._last: dict[str, tuple[int, int]] = {}
        self.dropped = 0

    async def open(self, own: IPAddress, port: int = PORT) -> None:
        """Listen on this engine's own address."""
        loop = asyncio.get_running_loop()
        where = (canonical(own), port)
        await loop.create_datagram_endpoint(lambda: self, local_addr=where)

    def close(self) -> None:
        """Stop listening."""
        if self._transport is not None:
            self._transport.close()

    def say(self, message: Message, to: Mapping[str, IPAddress], port: int = PORT) -> None:
        """Send to all; what the network refuses is lost, as a datagram may be."""
        if self._transport is None:
            return
        text = _ENCODER.encode(message)
        packet = self._sign(text) + text
        for address in to.values():
            self._transport.sendto(packet, (canonical(address), port))

    def _sign(self, text: bytes) -> bytes:
        return hmac.digest(self._key, text, "sha256")

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def error_received(self, exc: Exception) -> None:
        self.dropped += 1  # a peer that is down refuses; its silence says enough

    def datagram_received(self, data: bytes, addr: Any) -> None:
        signature, text = data[:SIGNATURE], data[SIGNATURE:LARGEST]
        if not hmac.compare_digest(signature, self._sign(text)):
            self.dropped += 1
            return
        try:
            message = _DECODER.decode(text)
        except msgspec.MsgspecError:
            self.dropped += 1
            return
        count = (message.life, message.number)
        if count > self._last.get(message.sender, (0, 0)):
            self._last[message.sender] = count
            self._heard(message)


def said_of(row: Row, now: float) -> Said:
    """A row, ready to travel."""
    age = max(0, round((now - row.heard) * 1000))
    return Said(age, row.links, row.roster, row.agreed, row.serving)


def row_of(said: Said, now: float) -> Row:
    """A row that came."""
    return Row(now - said.age / 1000, said.links, said.roster, said.agreed, said.serving)
