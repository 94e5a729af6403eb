"""A small network of namespaces for the nft driver: client, two engines, pods, one far backend.

::

    client ──lan── engine ──bridge── pod1 pod2 pod3      (their default route: the engine)
               └── other   └───────── far               (no route back: works only masqueraded)

VIPs are on ``lo`` of both engines. The client reaches 10.99.9.0/24 through ``engine`` and
10.99.8.0/24 through ``other``; the same in fd99:9::/64 and fd99:8::/64.
"""

import os
import selectors
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path

from fairlead.drivers.nft.driver import NftDriver
from fairlead.drivers.nft.namespace import entered
from fairlead.model.addresses import IPAddress
from fairlead.model.desired import L4Backend, L4Changes, L4Desired, L4Key, L4Listener, Masquerade
from fairlead.model.names import Protocol

PREFIX = "flnft-"
FAMILIES = (4, 6)
PODS = ("pod1", "pod2", "pod3")
PORT = 8080
SOON = 1.5


def address(family: int, text: str) -> IPAddress:
    """``lan 2`` is 10.99.1.2 or fd99:1::2; the other networks are pod, far, edge and vip."""
    network, host = text.split()
    number = {"lan": 1, "pod": 2, "far": 3, "edge": 8, "vip": 9}[network]
    return ip_address(f"10.99.{number}.{host}" if family == 4 else f"fd99:{number}::{host}")


def pod(family: int, name: str) -> IPAddress:
    """The address of a pod, or of ``far``."""
    return address(family, "far 11" if name == "far" else f"pod 1{name[-1]}")


def run(*command: str) -> str:
    """Run a command; its output. Raises with what it printed to stderr."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
    return done.stdout


class Net:
    """The namespaces, and sockets in them."""

    def __init__(self) -> None:
        self._tag = f"{PREFIX}{os.getpid()}-"
        self.hosts: list[str] = []

    def ns(self, host: str) -> str:
        """The namespace of a host."""
        return self._tag + host

    def ip(self, host: str, *words: str) -> None:
        """``ip`` in a host's namespace."""
        run("ip", "-n", self.ns(host), *" ".join(words).split())

    def inside(self, host: str, *command: str) -> str:
        """Run a command in a host's namespace."""
        return run("nsenter", f"--net=/run/netns/{self.ns(host)}", *command)

    def nft(self, host: str, text: str) -> str:
        """Load nft input, as somebody else on the host would."""
        done = subprocess.run(
            ["nsenter", f"--net=/run/netns/{self.ns(host)}", "nft", "-f", "-"],
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(done.stderr)
        return done.stdout

    def set(self, host: str, key: str, value: str) -> None:
        """Write a sysctl."""
        with entered(self.ns(host)):
            Path("/proc/sys/net", *key.split(".")).write_text(value)

    def get(self, host: str, key: str) -> str:
        """Read a sysctl."""
        with entered(self.ns(host)):
            return Path("/proc/sys/net", *key.split(".")).read_text().strip()

    def socket(self, host: str, family: int, kind: int, protocol: int = 0) -> socket.socket:
        """A socket in a host's namespace."""
        with entered(self.ns(host)):
            return socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6, kind, protocol)

    def up(self) -> None:
        """Make everything."""
        remove_leftovers()
        for host in ("client", "engine", "other", *PODS, "far"):
            run("ip", "netns", "add", self.ns(host))
            self.hosts.append(host)
            self.set(host, "ipv6.conf.default.accept_dad", "0")  # no second of waiting for it
            self.ip(host, "link set lo up")
        self.ip("client", "link add lan type bridge")
        self.ip("engine", "link add pods type bridge")
        for version in ("", "6"):
            # Else frames between pods pass the IP hooks too, and a frame never returns to its port.
            self.set("engine", f"bridge.bridge-nf-call-ip{version}tables", "0")
        self._place("client", "lan", "lan 1")
        self._place("engine", "pods", "pod 1")
        self._cable("engine", "lan0", "client", "lan 2", bridge="lan")
        self._cable("other", "lan0", "client", "lan 3", bridge="lan")
        for name in PODS:
            self._cable(name, "eth0", "engine", f"pod 1{name[-1]}", bridge="pods")
        self._cable("far", "eth0", "engine", "far 11", bridge="")
        self._place("engine", "far", "far 1")
        self._routes()

    def also_client(self, where: IPAddress) -> None:
        """One more address of the client's, used only by those who bind to it."""
        length = 24 if where.version == 4 else 64
        flags = "" if where.version == 4 else "nodad preferred_lft 0"
        self.ip("client", f"-{where.version} addr replace {where}/{length} dev lan {flags}")

    def down(self) -> None:
        """Remove everything."""
        for host in self.hosts:
            run("ip", "netns", "del", self.ns(host))
        self.hosts.clear()

    def _cable(self, host: str, name: str, peer: str, where: str, *, bridge: str) -> None:
        self.ip(host, f"link add {name} type veth peer name {host} netns {self.ns(peer)}")
        if bridge:
            self.ip(peer, f"link set {host} up master {bridge}")
        self._place(host, name, where)

    def _place(self, host: str, link: str, where: str) -> None:
        for family in FAMILIES:
            length = 24 if family == 4 else 64
            flag = "" if family == 4 else "nodad"
            self.ip(host, f"addr add {address(family, where)}/{length} dev {link} {flag}")
        self.ip(host, f"link set {link} up")

    def _routes(self) -> None:
        for family in FAMILIES:
            version, length = f"-{family}", 24 if family == 4 else 64
            for host in ("engine", "other"):
                self.set(host, "ipv4.ip_forward", "1")
                self.set(host, "ipv6.conf.all.forwarding", "1")
                for network in ("vip", "edge"):
                    local = address(family, f"{network} 0")
                    self.ip(host, f"{version} route add local {local}/{length} dev lo")
            lan = address(family, "lan 2")
            for network, gateway in (("vip", "lan 2"), ("pod", "lan 2"), ("edge", "lan 3")):
                to, by = address(family, f"{network} 0"), address(family, gateway)
                self.ip("client", f"{version} route add {to}/{length} via {by}")
            self.ip("other", f"{version} route add {address(family, 'pod 0')}/{length} via {lan}")
            for name in PODS:
                self.ip(name, f"{version} route add default via {address(family, 'pod 1')}")


def remove_leftovers() -> None:
    """Delete the namespaces of runs that were killed."""
    for line in run("ip", "netns", "list").splitlines():
        name = line.split()[0]
        owner = name.removeprefix(PREFIX).partition("-")[0]
        if name.startswith(PREFIX) and owner.isdigit() and not Path("/proc", owner).exists():
            run("ip", "netns", "del", name)


class Servers:
    """Every pod and ``far`` on port 8080, TCP and UDP, both families, and whatever is added.

    Each answers with its name and the address it sees as its peer; TCP then echoes.
    """

    def __init__(self, net: Net) -> None:
        self._net = net
        self._selector = selectors.DefaultSelector()
        self._stop, self._wake = socket.socketpair()
        self._selector.register(self._stop, selectors.EVENT_READ, None)
        for name in (*PODS, "far"):
            self.add(name, PORT)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def add(self, host: str, port: int, name: str = "") -> None:
        """Serve on one more port."""
        for family in FAMILIES:
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                server = self._net.socket(host, family, kind)
                if family == 6:
                    server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                server.bind(("", port))
                if kind == socket.SOCK_STREAM:
                    server.listen(64)
                self._selector.register(server, selectors.EVENT_READ, name or host)

    def close(self) -> None:
        """Stop serving."""
        self._wake.close()
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            if isinstance(key.fileobj, socket.socket):
                key.fileobj.close()
        self._selector.close()

    def _serve(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._stop:
                    return
                if isinstance(key.fileobj, socket.socket):
                    self._handle(key.fileobj, key.data)

    def _handle(self, ready: socket.socket, name: str) -> None:
        try:
            if ready.type == socket.SOCK_DGRAM:
                _, peer = ready.recvfrom(2048)
                ready.sendto(f"{name} {peer[0]}".encode(), peer)
            elif name:
                connection, peer = ready.accept()
                connection.sendall(f"{name} {peer[0]}\n".encode())
                self._selector.register(connection, selectors.EVENT_READ, "")
            else:
                data = ready.recv(2048)
                ready.sendall(data)
                if not data:
                    self._forget(ready)
        except OSError:
            if not name:
                self._forget(ready)  # the peer was reset, which is what many tests are about

    def _forget(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        connection.close()


def warm_up(net: Net) -> None:
    """Wait until everybody has found everybody: the first neighbour solicitation on a new link may
    get lost, which costs a second."""
    seen = [(User(net), pod(family, name)) for family in FAMILIES for name in PODS]
    seen += [(User(net, "engine"), pod(family, "far")) for family in FAMILIES]
    seen += [(User(net, "other"), pod(family, "pod1")) for family in FAMILIES]
    deadline = time.monotonic() + 10
    for user, to in seen:
        while not _answers(user, to):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{to} does not answer")


def _answers(user: "User", to: IPAddress) -> bool:
    try:
        return bool(user.tcp(to, PORT))
    except OSError:
        return False


class User:
    """Somebody on a host who talks to VIPs."""

    def __init__(self, net: Net, host: str = "client") -> None:
        self.net = net
        self._host = host

    @contextmanager
    def connected(
        self, to: IPAddress, port: int, *, source: str = "", source_port: int = 0
    ) -> Iterator[socket.socket]:
        """An open TCP connection."""
        with self.net.socket(self._host, to.version, socket.SOCK_STREAM) as link:
            link.settimeout(SOON)
            link.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # No TIME_WAIT, so that source ports can be used again at once.
            link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            if source or source_port:
                link.bind((source, source_port))
            link.connect((str(to), port))
            yield link

    def tcp(self, to: IPAddress, port: int, *, source: str = "", source_port: int = 0) -> list[str]:
        """Who answers a new connection, and whom it sees."""
        with self.connected(to, port, source=source, source_port=source_port) as link:
            return banner(link)

    def udp(self, to: IPAddress, port: int, *, source: str = "", source_port: int = 0) -> list[str]:
        """Who answers a datagram, and whom it sees."""
        with self.datagrams(to, port, source=source, source_port=source_port) as link:
            link.send(b"?")
            return link.recv(2048).decode().split()

    @contextmanager
    def datagrams(
        self, to: IPAddress, port: int, *, source: str = "", source_port: int = 0
    ) -> Iterator[socket.socket]:
        """A connected UDP socket, which hears of ICMP errors."""
        with self.net.socket(self._host, to.version, socket.SOCK_DGRAM) as link:
            link.settimeout(SOON)
            if source or source_port:
                link.bind((source, source_port))
            link.connect((str(to), port))
            yield link

    def ask(self, protocol: Protocol, to: IPAddress, port: int, *, source: str = "") -> list[str]:
        """:meth:`tcp` or :meth:`udp`."""
        return (self.tcp if protocol == "TCP" else self.udp)(to, port, source=source)

    def who(self, protocol: Protocol, to: IPAddress, port: int, *, times: int = 40) -> set[str]:
        """Everybody who answers."""
        return {self.ask(protocol, to, port)[0] for _ in range(times)}


def banner(link: socket.socket) -> list[str]:
    """What a pod says first."""
    text = b""
    while not text.endswith(b"\n"):
        piece = link.recv(2048)
        if not piece:
            raise ConnectionResetError("closed before it said anything")
        text += piece
    return text.decode().split()


def echoes(link: socket.socket) -> bool:
    """Whether a connection still works; raises ConnectionResetError when it was reset."""
    link.sendall(b"ping")
    return link.recv(64) == b"ping"


def to_pods(
    family: int, *names: str, port: int = PORT, direct: bool = True
) -> tuple[L4Backend, ...]:
    """Backends. ``far`` is never direct."""
    return tuple(L4Backend(pod(family, name), port, direct and name != "far") for name in names)


def row(family: int, *names: str, masquerade: Masquerade = "auto", affinity: int = 0) -> L4Listener:
    """A listener with pods behind it."""
    return L4Listener(
        backends=to_pods(family, *names), affinity_seconds=affinity, masquerade=masquerade
    )


def serve(driver: NftDriver, rows: Mapping[L4Key, L4Listener | None], *vips: IPAddress) -> None:
    """Apply rows; their addresses become VIPs."""
    addresses = frozenset({key.address for key, row in rows.items() if row} | set(vips))
    driver.apply(L4Changes(listeners=rows, vips_added=addresses))


def difference(wanted: L4Desired, there: L4Desired) -> L4Changes:
    """What the reconcile loop computes."""
    changed = {k: v for k, v in wanted.listeners.items() if there.listeners.get(k) != v}
    gone = {key: None for key in there.listeners if key not in wanted.listeners}
    return L4Changes(
        listeners={**changed, **gone},
        vips_added=wanted.vips - there.vips,
        vips_removed=there.vips - wanted.vips,
    )
