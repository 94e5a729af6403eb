"""VIPs from a real DHCP server (dnsmasq), on a cluster of two nodes with Fairlead as it is
installed: how soon there is an address, one and fifty at once; whether it stays when its holder is
lost, twenty times; what is heard of a former holder; and what fifty leases cost an agent.

The server does not ping addresses before it offers them, which would take three seconds each.
"""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from bench.figure import Figure
from fairlead.cli.demo.kubernetes import install
from fairlead.cli.demo.kubernetes.site import Site, standing
from fairlead.lab import Host
from fairlead.lab.dhcp import DhcpServer

TOP = Path(__file__).parent.parent
POOL = ("192.168.0.100", "192.168.0.199")
ONES, MANY, CRASHES = 10, 50, 20
LONGEST = 60.0
QUIET = 4.0
"""Seconds for which a former holder is listened to: longer than the time between two renewals."""


def run() -> Iterator[Figure]:
    """All figures, on one cluster."""
    with ExitStack() as stack:
        site = stack.enter_context(standing(TOP))
        server = stack.enter_context(DhcpServer(site.client, pool=POOL, renew=3, rebind=8))
        install.install(site)
        yield from _one_by_one(site)
        yield from _crashes(site, server)
        yield from _many(site, server)


def _services(*names: str) -> str:
    return "---\n".join(
        f"apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\n"
        "spec: {type: LoadBalancer, loadBalancerIP: 0.0.0.0, allocateLoadBalancerNodePorts: false, "
        "ports: [{port: 80}]}\n"
        for name in names
    )


def _create(site: Site, *names: str) -> float:
    """Seconds from the answer of the API server until all of them show an address."""
    site.kubectl("apply", "-f", "-", input=_services(*names))
    started = time.monotonic()
    while not all(site.addresses(*names).values()):
        if time.monotonic() - started > LONGEST:
            raise TimeoutError(f"no address for {names} within {LONGEST} s")
        time.sleep(0.02)
    return time.monotonic() - started


def _one_by_one(site: Site) -> Iterator[Figure]:
    seconds = []
    for number in range(ONES):
        name = f"one-{number}"
        seconds.append(_create(site, name))
        site.kubectl("delete", "service", name)
    yield Figure("dhcp.one.worst", max(seconds), "s", 3)


# -- holders that are lost -------------------------------------------------------------------------


def _crashes(site: Site, server: DhcpServer) -> Iterator[Figure]:
    _create(site, "stays")
    ((address,),) = site.addresses("stays").values()
    (mac,) = (one.mac for one in server.leases() if one.address == address)
    unchanged, heard = 0, 0
    holder = _resting(site, address)
    (other,) = site.nodes.keys() - {holder}
    for _ in range(CRASHES):
        _resting(site, address, holder)  # it is back, and so is its VIP
        site.nodes[holder].cut("lan", silently=True)
        _settled(site, other)
        listening = Listening(site.nodes[holder], mac)
        time.sleep(QUIET)
        heard += listening.end()
        kept = site.addresses("stays")["stays"] == (address,)
        unchanged += kept and address in {one.address for one in server.leases()}
        site.nodes[holder].mend("lan")
    yield Figure("dhcp.crash.address_kept", unchanged, "of 20", CRASHES - 1, ">")
    yield Figure("dhcp.crash.frames_of_former", heard, "frames", 1)
    site.kubectl("delete", "service", "stays")


def _engine(site: Site) -> str:
    (one,) = site.read("addressleases")["items"]
    return str(one.get("status", {}).get("engine", ""))


def _resting(site: Site, address: str, home: str = "") -> str:
    """The engine that has address and lease, once that is one (``home``) and stays one."""

    def look() -> set[str]:
        seen = {_engine(site)} | site.holders().get(address, {""})
        time.sleep(0.5)
        return seen | {_engine(site)} | site.holders().get(address, {""})

    (name,) = site.until(
        look,
        lambda seen: len(seen) == 1 and (not home or home in seen),
        expected=f"{home or 'one engine'} has both",
        patience=LONGEST,
    )
    return name


def _settled(site: Site, engine: str) -> None:
    """Wait until that engine has said that it has the lease."""
    site.until(
        lambda: _engine(site),
        lambda seen: seen == engine,
        expected=f"{engine} has it",
        patience=LONGEST,
    )


class Listening:
    """Counts what a host sends with a hardware address."""

    def __init__(self, host: Host, mac: str) -> None:
        self._mac = bytes.fromhex(mac.replace(":", ""))
        self._count, self._stop = 0, threading.Event()
        self._thread = threading.Thread(target=host.call, args=(self._listen,), daemon=True)
        self._thread.start()

    def end(self) -> int:
        """How many there were."""
        self._stop.set()
        self._thread.join()
        return self._count

    def _listen(self) -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as wire:
            wire.bind(("lan", 3))
            wire.settimeout(0.1)
            while not self._stop.is_set():
                try:
                    frame, place = wire.recvfrom(2048)
                except TimeoutError:
                    continue
                sent = place[2] == 4  # PACKET_OUTGOING
                self._count += sent and frame[6:12] == self._mac


# -- many ------------------------------------------------------------------------------------------


def _many(site: Site, server: DhcpServer) -> Iterator[Figure]:
    before = _memory(site)
    names = [f"many-{number:02}" for number in range(MANY)]
    yield Figure("dhcp.fifty", _create(site, *names), "s", 10)
    given = {one.address for one in server.leases()}
    shown = {address for found in site.addresses(*names).values() for address in found}
    yield Figure("dhcp.fifty.leases", len(given & shown), "leases", MANY - 1, ">")
    time.sleep(QUIET)
    after = _memory(site)
    grown = max(after[pid] - before[pid] for pid in after if pid in before)
    yield Figure("dhcp.fifty.agent_memory", grown / 1024, "MB", 10)
    site.kubectl("delete", "service", *names)
    site.until(server.leases, lambda seen: not seen, expected="no lease", patience=LONGEST)


def _memory(site: Site) -> dict[int, int]:
    """The resident memory of each agent, in KB."""
    inside = {os.stat(host.netns).st_ino for host in site.nodes.values()}
    found = {}
    for path in Path("/proc").iterdir():
        if path.name.isdecimal() and _is_agent(path, inside):
            status = (path / "status").read_text()
            found[int(path.name)] = int(status.split("VmRSS:")[1].split()[0])
    return found


def _is_agent(path: Path, inside: set[int]) -> bool:
    try:
        words = (path / "cmdline").read_bytes().split(b"\0")
        return b"agent" in words and (path / "ns/net").stat().st_ino in inside
    except OSError:
        return False  # it ended meanwhile, or is none of ours
