"""Hosts on a bridge, as network namespaces, for the announcer's tests.

A :class:`Host` runs code in its namespace: its worker thread has entered it, and sockets, netlink
and /proc/sys/net follow the thread. Names begin with ``fll2-`` and the pid of the test run, so that
a run that was killed is cleaned up by the next one, and two runs do not meet.
"""

import ctypes
import os
import re
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pytest

Result = TypeVar("Result")
PREFIX = "fll2-"
CLONE_NEWNET = 0x40000000


class Arp(NamedTuple):
    """An ARP packet as it was on the wire, with the Ethernet destination and when it was seen."""

    seen: float
    destination: str
    operation: int
    sender_mac: str
    sender: str
    target_mac: str
    target: str


class Neighbour(NamedTuple):
    """A neighbour solicitation (135) or advertisement (136) as it was on the wire."""

    seen: float
    mac: str
    source: str
    destination: str
    kind: int
    override: bool
    target: str


class Capture:
    """All frames that pass an interface, both ways, from its making to :meth:`stop`."""

    def __init__(self, interface: str) -> None:
        self.frames: list[tuple[float, bytes]] = []
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._socket.bind((interface, 3))
        self._socket.settimeout(0.02)
        self._running = True
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def stop(self) -> None:
        """Read what is there and end."""
        self._running = False
        self._thread.join()
        self._socket.close()

    def arps(self) -> list[Arp]:
        """The ARP packets so far."""
        return [_arp(seen, frame) for seen, frame in self.frames if frame[12:14] == b"\x08\x06"]

    def neighbours(self) -> list[Neighbour]:
        """The neighbour solicitations and advertisements so far."""
        return [
            _neighbour(seen, frame)
            for seen, frame in self.frames
            if frame[12:14] == b"\x86\xdd" and frame[20] == 58 and frame[54] in (135, 136)
        ]

    def sources(self, mac: str) -> set[str]:
        """The addresses in whose name a MAC address spoke: ARP senders and IP sources."""
        mine = [frame for _, frame in self.frames if frame[6:12].hex(":") == mac]
        return {str(ip_address(source)) for frame in mine if (source := _source_of(frame))}

    def _read(self) -> None:
        while True:
            try:
                self.frames.append((time.monotonic(), self._socket.recv(2048)))
            except TimeoutError:
                if not self._running:
                    return


class Host:
    """One namespace and a thread that lives in it."""

    def __init__(self, name: str) -> None:
        self.name = name
        subprocess.run(["ip", "netns", "add", name], check=True)
        self._worker = ThreadPoolExecutor(1, initializer=_enter, initargs=(name,))
        self.sysctl("net/ipv6/conf/default/accept_dad", "0")
        self.ip("link set lo up")

    def call(self, function: Callable[..., Result], *args: Any, **kwargs: Any) -> Result:
        """Run something in the namespace and wait for it."""
        return self._worker.submit(function, *args, **kwargs).result()

    def run(self, *command: str, stdin: str | None = None) -> str:
        """Run a program in the namespace; its output."""
        done = self.call(
            subprocess.run, command, input=stdin, check=True, capture_output=True, text=True
        )
        return done.stdout

    def ip(self, words: str) -> str:
        """``ip`` in the namespace."""
        return self.run("ip", *words.split())

    def sysctl(self, path: str, value: str | None = None) -> str:
        """Write, if a value is given, and read a setting of the namespace."""

        def access() -> str:
            setting = Path("/proc/sys") / path
            if value is not None:
                setting.write_text(value)
            return setting.read_text().strip()

        return self.call(access)

    def mac(self, interface: str = "eth0") -> str:
        """The interface's MAC address."""
        found = re.search(r"link/ether (\S+)", self.ip(f"link show {interface}"))
        assert found is not None
        return found[1]

    def addresses(self, interface: str) -> set[str]:
        """The global addresses of an interface, as ``address/prefix``."""
        words = re.findall(r"inet6? (\S+)", self.ip(f"addr show dev {interface}"))
        return {word for word in words if not word.startswith("fe80")}

    def cached_mac(self, address: str) -> str:
        """What the neighbour cache says of an address; "" when nothing."""
        found = re.search(r"lladdr (\S+)", self.ip(f"neigh show {address}"))
        return found[1] if found else ""

    def poke(self, address: str, port: int = 9) -> None:
        """Send a datagram there, so that the neighbour must be found."""
        self.call(_send, address, port)

    def resolve(self, address: str, seconds: float = 3.0) -> str:
        """The MAC that answers for an address now; "" when none does in time."""
        version = 6 if ":" in address else 4
        self.run("ip", f"-{version}", "neigh", "flush", "to", address)
        self.poke(address)
        return wait_for(lambda: self.cached_mac(address), seconds=seconds) or ""

    def source_for(self, address: str) -> str:
        """The source address that the kernel chooses towards an address."""
        return self.call(_source, address)

    @contextmanager
    def capture(self, interface: str = "eth0") -> Iterator[Capture]:
        """Capture while the block runs, and a moment longer."""
        capture = self.call(Capture, interface)
        try:
            yield capture
        finally:
            capture.stop()

    def close(self) -> None:
        """Delete the namespace."""
        self._worker.shutdown()
        subprocess.run(["ip", "netns", "delete", self.name], check=True)


class Net:
    """Hosts and bridges of one test."""

    def __init__(self) -> None:
        self._made = 0
        self._prefix = f"{PREFIX}{os.getpid()}-"
        self._hosts: list[Host] = []
        self._switch = self.host("switch")

    def host(self, name: str, *addresses: str) -> Host:
        """A host; with addresses, on the first bridge as eth0."""
        host = Host(f"{self._prefix}{name}")
        self._hosts.append(host)
        if addresses:
            self.join(host, "br0", "eth0", *addresses)
        return host

    def join(self, host: Host, bridge: str, interface: str, *addresses: str) -> None:
        """Plug a host into a bridge, which is made when it is not there."""
        if f" {bridge}:" not in self._switch.ip("link show"):
            self._switch.ip(f"link add {bridge} type bridge mcast_snooping 0")
            self._switch.ip(f"link set {bridge} up")
        self._made += 1
        port = f"port{self._made}"
        host.ip(
            f"link add {interface} type veth peer name {port} netns {self._switch.name}",
        )
        self._switch.ip(f"link set {port} master {bridge} up")
        for address in addresses:
            nodad = " nodad" if ":" in address else ""
            host.ip(f"addr add {address} dev {interface}{nodad}")
        host.ip(f"link set {interface} up")
        self._settle(host, interface, port)

    def _settle(self, host: Host, interface: str, port: str) -> None:
        """Wait until frames pass: both happen a while after the links are set up."""
        assert wait_for(lambda: " state UP " in host.ip(f"link show {interface}"))
        assert wait_for(lambda: " state forwarding " in self._switch.ip(f"-d link show {port}"))

    def close(self) -> None:
        """Delete everything."""
        for host in reversed(self._hosts):
            host.close()


@pytest.fixture
def net() -> Iterator[Net]:
    """An empty network."""
    _delete_leftovers()
    made = Net()
    yield made
    made.close()


@pytest.fixture
def a(net: Net) -> Host:
    """An engine on the LAN 10.77.0.0/24 and fd77::/64."""
    return net.host("a", "10.77.0.1/24", "fd77::1/64")


@pytest.fixture
def b(net: Net) -> Host:
    """Another engine there."""
    return net.host("b", "10.77.0.2/24", "fd77::2/64")


@pytest.fixture
def client(net: Net) -> Host:
    """A client there."""
    return net.host("client", "10.77.0.9/24", "fd77::9/64")


def wait_for(condition: Callable[[], Result], *, seconds: float = 3.0) -> Result:
    """The condition's first true value, or its last one when time is up."""
    end = time.monotonic() + seconds
    while not (value := condition()) and time.monotonic() < end:
        time.sleep(0.01)
    return value


def _enter(name: str) -> None:
    handle = os.open(f"/run/netns/{name}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(handle, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns {name}")
    finally:
        os.close(handle)


def _delete_leftovers() -> None:
    listed = subprocess.run(["ip", "netns", "list"], check=True, capture_output=True, text=True)
    for name in re.findall(rf"^({PREFIX}\d+-\S+)", listed.stdout, re.MULTILINE):
        if not Path(f"/proc/{name.removeprefix(PREFIX).partition('-')[0]}").exists():
            subprocess.run(["ip", "netns", "delete", name], check=True)


def _send(address: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as out:
        out.sendto(b"x", (address, port))


def _source(address: str) -> str:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as out:
        out.connect((address, 9))
        return str(ip_address(out.getsockname()[0]))


def _source_of(frame: bytes) -> bytes:
    match frame[12:14]:
        case b"\x08\x06":
            return frame[28:32]
        case b"\x08\x00":
            return frame[26:30]
        case b"\x86\xdd":
            return frame[22:38]
    return b""


def _arp(seen: float, frame: bytes) -> Arp:
    operation, mac, sender, target_mac, target = struct.unpack_from("!H6s4s6s4s", frame, 20)
    return Arp(
        seen,
        frame[:6].hex(":"),
        operation,
        mac.hex(":"),
        str(IPv4Address(sender)),
        target_mac.hex(":"),
        str(IPv4Address(target)),
    )


def _neighbour(seen: float, frame: bytes) -> Neighbour:
    return Neighbour(
        seen,
        frame[6:12].hex(":"),
        str(IPv6Address(frame[22:38])),
        str(IPv6Address(frame[38:54])),
        frame[54],
        bool(frame[58] & 0x20),
        str(IPv6Address(frame[62:78])),
    )
