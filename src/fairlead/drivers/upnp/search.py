"""SSDP search (UPnP Device Architecture 2.0, 1.3): who on the LAN says to be a gateway.

Anybody can answer, as often as they like, and name any address. So only so many answers are looked
at, in a bounded time, and an answer counts only if it sends us back to the host that it came from.
"""

import selectors
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from time import monotonic
from typing import NamedTuple
from urllib.parse import urlsplit

from fairlead.model.addresses import IPAddress

PORT = 1900
GROUPS = {4: "239.255.255.250", 6: "ff02::c"}
TARGETS = tuple(
    f"urn:schemas-upnp-org:device:InternetGatewayDevice:{version}" for version in (1, 2)
)
LONGEST = 2048
"""Octets of an answer."""
MOST = 32
"""Hosts whose answers are looked at in one search; what is no answer has no limit but time."""
_MREQN = struct.Struct("=4s4si")


class Port(NamedTuple):
    """An interface to search on, by an address of the host itself."""

    interface: str
    ifindex: int
    address: IPAddress


class Answer(NamedTuple):
    """Somebody who says to be a gateway. ``location``: where its description is, on ``host``."""

    host: IPAddress
    location: str
    port: Port


def search(ports: list[Port], *, seconds: float, more: float) -> list[Answer]:
    """Ask on every interface, twice because datagrams get lost. ``more``: how long to wait for
    others once somebody answered. One answer for each host."""
    found: dict[IPAddress, Answer] = {}
    with selectors.DefaultSelector() as selector:
        for port in ports:
            with suppress(OSError):  # an interface may go at any time; the others are asked
                selector.register(_asking(port), selectors.EVENT_READ, port)
        try:
            end = monotonic() + seconds
            for answer in _answers(selector, seconds):
                if answer is not None and found.setdefault(answer.host, answer) is answer:
                    end = min(end, monotonic() + more)
                if monotonic() > end or len(found) == MOST:
                    break
        finally:
            for entry in [*selector.get_map().values()]:
                entry.fileobj.close()  # type: ignore[union-attr]  # all of them are sockets
    return [*found.values()]


def _answers(selector: selectors.BaseSelector, seconds: float) -> Iterator[Answer | None]:
    """What comes, and None whenever some time went by without."""
    start = monotonic()
    rounds = iter((start, start + seconds / 2))
    again: float | None = next(rounds)
    while (now := monotonic()) < start + seconds:
        if again is not None and now >= again:
            _ask(selector)
            again = next(rounds, None)
        for entry, _ in selector.select(min(0.1, start + seconds - now)):
            yield _received(entry.fileobj, entry.data)  # type: ignore[arg-type]  # a socket
        yield None


def _asking(port: Port) -> socket.socket:
    """A socket that speaks on this interface, from an address of the host's own."""
    version = port.address.version
    asking = socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
    try:
        asking.setblocking(False)
        if version == 4:
            here = _MREQN.pack(bytes(4), port.address.packed, port.ifindex)
            asking.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, here)
            asking.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 2)
            asking.bind((str(port.address), 0))
        else:
            asking.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, port.ifindex)
            asking.bind((str(port.address), 0, 0, port.ifindex))
    except OSError:
        asking.close()
        raise
    return asking


def _ask(selector: selectors.BaseSelector) -> None:
    for entry in selector.get_map().values():
        asking, port = entry.fileobj, entry.data
        assert isinstance(asking, socket.socket)
        group = GROUPS[port.address.version]
        where = (group, PORT) if port.address.version == 4 else (group, PORT, 0, port.ifindex)
        for target in TARGETS:
            with suppress(OSError):  # what cannot be asked does not answer
                asking.sendto(_question(group, target), where)


def _question(group: str, target: str) -> bytes:
    host = f"[{group}]" if ":" in group else group
    lines = (
        "M-SEARCH * HTTP/1.1",
        f"HOST: {host}:{PORT}",
        'MAN: "ssdp:discover"',
        "MX: 1",
        f"ST: {target}",
        "",
        "",
    )
    return "\r\n".join(lines).encode()


def _received(asking: socket.socket, port: Port) -> Answer | None:
    try:
        data, sender = asking.recvfrom(LONGEST + 1)
    except OSError:
        return None
    return read(data, ip_address(sender[0].partition("%")[0]), port)


def read(data: bytes, host: IPAddress, port: Port) -> Answer | None:
    """An answer; None for what is none, and for one that sends us to somebody else."""
    if len(data) > LONGEST or not data.startswith(b"HTTP/1.1 200"):
        return None
    headers = _headers(data.decode("latin-1"))
    if headers.get("st") not in TARGETS:
        return None
    location = headers.get("location", "")
    return Answer(host, location, port) if leads_to(location, host) else None


def _headers(text: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in text.split("\r\n")[1:])
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def leads_to(url: str, host: IPAddress) -> bool:
    """Whether a URL is plain HTTP to exactly this host."""
    try:
        parts = urlsplit(url)
        named = ip_address((parts.hostname or "").partition("%")[0])
        port = parts.port
    except ValueError:
        return False
    plain = parts.scheme == "http" and parts.username is None and port != 0
    return plain and _same(named) == _same(host)


def _same(address: IPAddress) -> IPv4Address | IPv6Address:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
