"""The echo service of one host: sockets and one loop that answers on all of them, HTTP included.

Every answer is one JSON line that says who answered and which addresses the server saw, so that a
test can tell the pod, the masquerading and the translation from one request. There is a socket per
family, bound to the wildcard, and UDP answers leave from the address they were asked on.
"""

from __future__ import annotations

import json
import secrets
import selectors
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fairlead.lab import echo_http, sctp_wire

__all__ = ["EchoSpec", "listen", "serve"]

_IP_PKTINFO: Final = 8
_FAMILIES: Final = (socket.AF_INET, socket.AF_INET6)
_WILDCARD: Final = {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::"}

Handler = Callable[[], None]
Ancillary = list[tuple[int, int, bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class EchoSpec:
    """What one echo server is called and where it listens; `bind` None is every address."""

    name: str
    tcp: Sequence[int] = ()
    udp: Sequence[int] = ()
    sctp: Sequence[int] = ()
    http: Sequence[int] = ()
    bind: str | None = None


def listen(spec: EchoSpec) -> list[tuple[str, socket.socket]]:
    """Open all sockets of the server. Raises OSError when a port is taken."""
    opened = [("tcp", _stream(family, spec, port)) for family, port in _each(spec, spec.tcp)]
    opened += [("http", _stream(family, spec, port)) for family, port in _each(spec, spec.http)]
    opened += [("udp", _datagram(family, spec, port)) for family, port in _each(spec, spec.udp)]
    if spec.sctp:
        opened += [("sctp", _raw(family, spec)) for family, _ in _each(spec, (0,))]
    return opened


def serve(spec: EchoSpec, sockets: Sequence[tuple[str, socket.socket]]) -> None:
    """Answer for ever."""
    selector = selectors.DefaultSelector()
    state = echo_http.State(spec.name)
    for protocol, sock in sockets:
        sock.setblocking(False)
        match protocol:
            case "tcp":
                handler = _accepting(spec, sock, selector)
            case "http":
                handler = echo_http.accepting(state, sock, selector)
            case "udp":
                handler = _answering_datagrams(spec, sock)
            case _:
                handler = _answering_inits(spec, sock)
        selector.register(sock, selectors.EVENT_READ, handler)
    while True:
        for key, _ in selector.select():
            key.data()


def _each(spec: EchoSpec, ports: Sequence[int]) -> Iterator[tuple[socket.AddressFamily, int]]:
    for family in _FAMILIES:
        if spec.bind is None or (":" in spec.bind) == (family is socket.AF_INET6):
            yield from ((family, port) for port in ports)


def _open(family: socket.AddressFamily, kind: int, protocol: int = 0) -> socket.socket:
    sock = socket.socket(family, kind, protocol)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family is socket.AF_INET6 and kind != socket.SOCK_RAW:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return sock


def _stream(family: socket.AddressFamily, spec: EchoSpec, port: int) -> socket.socket:
    sock = _open(family, socket.SOCK_STREAM)
    sock.bind((spec.bind or _WILDCARD[family], port))
    sock.listen(1024)
    return sock


def _datagram(family: socket.AddressFamily, spec: EchoSpec, port: int) -> socket.socket:
    sock = _open(family, socket.SOCK_DGRAM)
    _ask_for_target(sock)
    sock.bind((spec.bind or _WILDCARD[family], port))
    return sock


def _raw(family: socket.AddressFamily, spec: EchoSpec) -> socket.socket:
    sock = _open(family, socket.SOCK_RAW, sctp_wire.PROTOCOL)
    _ask_for_target(sock)
    sock.bind((spec.bind or _WILDCARD[family], 0))
    return sock


def _ask_for_target(sock: socket.socket) -> None:
    """Have the kernel say which of our addresses a packet was sent to."""
    if sock.family is socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)


def _target(ancillary: Ancillary) -> tuple[str, Ancillary]:
    """The address a packet was sent to, and the control data that answers from it."""
    for level, kind, data in ancillary:
        if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO):
            index = struct.unpack_from("@I", data, 16)[0]
            reply = data[:16] + struct.pack("@I", index)
            return socket.inet_ntop(socket.AF_INET6, data[:16]), [(level, kind, reply)]
        if (level, kind) == (socket.IPPROTO_IP, _IP_PKTINFO):
            reply = struct.pack("@I4s4s", 0, data[8:12], bytes(4))
            return socket.inet_ntop(socket.AF_INET, data[8:12]), [(level, kind, reply)]
    raise OSError("the kernel did not say which address the packet was sent to")


def _line(spec: EchoSpec, protocol: str, *, client: Any, server: Any) -> bytes:
    answer = {
        "name": spec.name,
        "client": echo_http.endpoint(client),
        "server": echo_http.endpoint(server),
        "protocol": protocol,
    }
    return json.dumps(answer).encode() + b"\n"


def _accepting(spec: EchoSpec, sock: socket.socket, selector: selectors.BaseSelector) -> Handler:
    def accept() -> None:
        try:
            connection, client = sock.accept()
        except (BlockingIOError, ConnectionError):
            return  # the client was gone before it was taken
        line = _line(spec, "tcp", client=client, server=connection.getsockname())
        connection.setblocking(False)

        def answer(lines: int) -> None:
            try:
                connection.sendall(line * lines)
            except OSError:
                hang_up()  # it was reset, or it never reads what it asked for

        def hang_up() -> None:
            selector.unregister(connection)
            connection.close()

        def read() -> None:
            try:
                data = connection.recv(65536)
            except OSError:
                data = b""
            if not data:
                hang_up()
            elif lines := data.count(b"\n"):
                answer(lines)

        selector.register(connection, selectors.EVENT_READ, read)
        answer(1)

    return accept


def _answering_datagrams(spec: EchoSpec, sock: socket.socket) -> Handler:
    port = sock.getsockname()[1]

    def answer() -> None:
        try:
            _, ancillary, _, client = sock.recvmsg(65536, 256)
            target, control = _target(ancillary)
            line = _line(spec, "udp", client=client, server=(target, port))
            sock.sendmsg([line], control, 0, client)
        except OSError:
            return  # an ICMP error for an earlier answer, or no route back: UDP may lose it

    return answer


def _answering_inits(spec: EchoSpec, sock: socket.socket) -> Handler:
    def answer() -> None:
        try:
            data, ancillary, _, client = sock.recvmsg(65536, 256)
            if sock.family is socket.AF_INET:
                data = data[(data[0] & 15) * 4 :]
            chunk = sctp_wire.parse(data)
            if chunk is None or chunk.kind != sctp_wire.INIT:
                return
            target, control = _target(ancillary)
            reply = _sctp_reply(spec, chunk, client=client[0], server=target)
            sock.sendmsg([reply], control, 0, client)
        except OSError:
            return  # no route back; the client will see a time-out, as with a real peer

    return answer


def _sctp_reply(spec: EchoSpec, chunk: sctp_wire.Chunk, *, client: str, server: str) -> bytes:
    here, there = chunk.target_port, chunk.source_port
    if here not in spec.sctp:
        return sctp_wire.abort(here, there, peer_tag=chunk.init_tag)
    cookie = _line(spec, "sctp", client=(client, there), server=(server, here))
    tag = secrets.randbits(32) or 1
    return sctp_wire.init_ack(here, there, peer_tag=chunk.init_tag, init_tag=tag, cookie=cookie)
