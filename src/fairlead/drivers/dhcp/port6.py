"""The DHCPv6 traffic of one interface: one socket for all leases on it.

A client is its DUID, not its MAC, so the engine's own link-local address is as good as any. What is
sent leaves from UDP port 546, as servers expect; what comes is taken from a packet socket, so that
a DHCPv6 client of the host itself has the port for its own.
"""

import asyncio
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import addressof, create_string_buffer
from secrets import randbits

from fairlead.drivers.dhcp.exchange import Parent
from fairlead.drivers.dhcp.wire6 import Reply, read

ALL_SERVERS = "ff02::1:2"
ALL_SERVERS_MAC = bytes.fromhex("333300010002")
CLIENT_PORT, SERVER_PORT = 546, 547
ETHERTYPE = 0x86DD
HEADERS = 14 + 40 + 8
MOST = 64
"""Answers to one question that wait to be read."""
SO_ATTACH_FILTER = 26
FILTER = (
    (0x28, 0, 0, 12),
    (0x15, 0, 5, ETHERTYPE),
    (0x30, 0, 0, 20),
    (0x15, 0, 3, socket.IPPROTO_UDP),
    (0x28, 0, 0, 56),
    (0x15, 0, 1, CLIENT_PORT),
    (0x06, 0, 0, 0xFFFF),
    (0x06, 0, 0, 0),
)
"""Classic BPF: IPv6, UDP right behind it, to the client's port."""
Inbox = asyncio.Queue[Reply]


class Port6:
    """Opens with the first lease on an interface. Errors are OSError."""

    def __init__(self, parent: Parent) -> None:
        self.error: OSError | None = None
        self._parent = parent
        self._waiting: dict[int, tuple[bytes, int, Inbox]] = {}
        self._listening: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Listen from now on."""
        self._socket = made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0))
        try:
            made.setblocking(False)
            program = create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in FILTER))
            made.setsockopt(
                socket.SOL_SOCKET,
                SO_ATTACH_FILTER,
                struct.pack("HL", len(FILTER), addressof(program)),
            )
            made.bind((self._parent.name, ETHERTYPE))
        except OSError:
            made.close()
            raise
        self._listening = asyncio.create_task(self._listen())

    async def close(self) -> None:
        """Listen no more."""
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait([self._listening])
            self._socket.close()

    async def send(self, payload: bytes) -> None:
        """Send to all servers and relays on the link."""
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self._socket, _frame(self._parent, payload))

    @contextmanager
    def conversation(self, duid: bytes, number: int) -> Iterator[tuple[int, Inbox]]:
        """A transaction id, and what is answered to it for that client."""
        xid = randbits(24)
        while xid in self._waiting:
            xid = randbits(24)
        inbox: Inbox = asyncio.Queue(MOST)
        self._waiting[xid] = (duid, number, inbox)
        try:
            yield xid, inbox
        finally:
            del self._waiting[xid]

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while True:
                self._deliver(await loop.sock_recv(self._socket, 4096))
        except OSError as error:  # the interface went away: whoever sends next hears of it
            self.error = error

    def _deliver(self, frame: bytes) -> None:
        data = frame[HEADERS:]
        xid = int.from_bytes(data[1:4], "big")
        duid, number, inbox = self._waiting.get(xid, (b"", 0, None))
        if inbox is None or inbox.full():
            return
        reply = read(data, number)
        if reply is not None and reply.client == duid:
            source = socket.inet_ntop(socket.AF_INET6, frame[22:38])
            inbox.put_nowait(reply._replace(source=source))


def _frame(parent: Parent, payload: bytes) -> bytes:
    source = socket.inet_pton(socket.AF_INET6, parent.link_local)
    target = socket.inet_pton(socket.AF_INET6, ALL_SERVERS)
    length = 8 + len(payload)
    pseudo = source + target + struct.pack("!IxxxB", length, socket.IPPROTO_UDP)
    head = struct.pack("!HHH", CLIENT_PORT, SERVER_PORT, length)
    check = _checksum(pseudo + head + b"\0\0" + payload)
    ip = struct.pack("!IHBB", 6 << 28, length, socket.IPPROTO_UDP, 1) + source + target
    mac = bytes.fromhex(parent.mac.replace(":", ""))
    ether = ALL_SERVERS_MAC + mac + struct.pack("!H", ETHERTYPE)
    return ether + ip + head + struct.pack("!H", check) + payload


def _checksum(data: bytes) -> int:
    """RFC 1071; in UDP over IPv6 a zero is sent as ones (RFC 8200, 8.1)."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data[: len(data) & ~1]))
    total += data[-1] << 8 if len(data) & 1 else 0
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF or 0xFFFF
