"""An agent beside the cluster's own proxy (``dataplane: cluster``): what 50 000 VIPs cost it, and
how soon it announces one more where 10 000 are.

It runs in a network namespace whose interface is in the subnet of the VIPs, and a third of them is
at home there. Announced means: another host of that LAN has got the first ARP frame that claims the
address, counted from the answer to the request that made the VirtualIP. An address that Fairlead
never had is probed before (``probeSeconds``), which the first figures include; the others are with
the shortest probe there is.
"""

import asyncio
import contextlib
import random
import re
import socket
import time
from collections.abc import Iterator
from ipaddress import IPv4Address, ip_interface
from pathlib import Path

from bench.bare import spec_of
from bench.figure import Figure, percentile
from bench.kubernetes_cluster import Cluster, cluster
from bench.kubernetes_process import Process
from bench.machine import others
from fairlead.lab import Host, HostSpec, Lab, Role, Topology
from fairlead.publish.kube.virtualips import body_of
from fairlead.sources.kube import ApiClient, find_access
from fairlead.sources.kube.resources import VIRTUAL_IPS

MANY, SOME = 50_000, 10_000
SAMPLES = 150
WARM = 5
"""Samples before those that count."""
IDLE = 60.0
"""Seconds of rest that are watched."""
LONGEST = 10.0
"""Seconds after which an announcement does not come any more."""
NODE = "node-1"
SHORTEST = 0.02
NEW = IPv4Address("172.22.0.1")
"""The first of the addresses that are announced one by one."""
ADDRESSES = re.compile(r'^fairlead_addresses\{state="(\w+)"\} (\S+)$', re.MULTILINE)
ARP = 0x0806


def run() -> Iterator[Figure]:
    """Memory and rest at 50 000; announcements at 10 000."""
    yield from _memory()
    yield from _announcements("agent.announce", "")
    yield from _announcements("agent.announce.shortest_probe", f"probeSeconds: {SHORTEST}\n")


def _memory() -> Iterator[Figure]:
    with _site(MANY) as (place, node), _agent(place, node) as process:
        seconds = _wait_in_place(process)
        servers = (place.control.pid("kube-apiserver"), place.control.pid("etcd"))
        with others(*servers, process.pid) as foreign:
            idle = process.idle_percent(IDLE)
        yield Figure("agent.start.50k", seconds, "s")
        yield Figure("agent.addresses_here.50k", _addresses(process)["in_place"], "addresses")
        yield Figure("agent.rss.50k", process.peak_mb, "MB", 200)
        yield Figure("agent.idle.50k", idle, "% of a core", 1)
        yield Figure("agent.idle.others", foreign.percent, "%")


def _announcements(name: str, config: str) -> Iterator[Figure]:
    with _site(SOME) as (place, node), _agent(place, node, config) as process:
        _wait_in_place(process)
        servers = (place.control.pid("kube-apiserver"), place.control.pid("etcd"))
        with others(*servers, process.pid) as foreign:
            samples = place.place.call(_samples, str(place.control.kubeconfig))
    yield Figure(f"{name}.p50", 1000 * percentile(samples, 50), "ms", 100)
    yield Figure(f"{name}.p99", 1000 * percentile(samples, 99), "ms")
    yield Figure(f"{name}.others", foreign.percent, "%")


@contextlib.contextmanager
def _site(services: int) -> Iterator[tuple[Cluster, Host]]:
    """A LAN with a control plane and a node on it."""
    with (
        Lab(Topology((_host("control", 2), _host(NODE, 3)))) as hosts,
        cluster(services, settled=True, host=hosts["control"]) as place,
    ):
        yield place, hosts[NODE]


def _host(name: str, number: int) -> HostSpec:
    return HostSpec(name=name, role=Role.NODE, lan=(ip_interface(f"172.20.0.{number}/14"),))


def _agent(place: Cluster, node: Host, config: str = "") -> Process:
    directory = Path(place.control.directory) / "agent"
    directory.mkdir(exist_ok=True)
    file = directory / "fairlead.yaml"
    file.write_text(f"dataplane: cluster\n{config}")
    return Process(
        node,
        "agent",
        f"--engine={NODE}",
        f"--kubeconfig={place.control.kubeconfig}",
        f"--config={file}",
        f"--state={directory}",
        log=place.control.directory / "logs" / "fairlead-agent.log",
    )


def _addresses(process: Process) -> dict[str, float]:
    return {name: float(value) for name, value in ADDRESSES.findall(process.get("/metrics"))}


def _wait_in_place(process: Process) -> float:
    """Wait until all that is placed here is announced; the seconds since its start."""
    while True:
        count = _addresses(process) if process.get("/readyz") else {}
        if count and count["placed"] and count["in_place"] >= count["placed"]:
            return time.monotonic() - process.started
        process.check()
        time.sleep(0.25)


def _samples(kubeconfig: str) -> list[float]:
    """Seconds from creation to announcement; on the control host."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ARP)) as heard:
        heard.bind(("lan", ARP))
        heard.setblocking(False)
        return asyncio.run(_announced(kubeconfig, heard))[WARM:]


async def _announced(kubeconfig: str, heard: socket.socket) -> list[float]:
    found = []
    async with ApiClient(find_access(kubeconfig)) as client:
        for number in range(WARM + SAMPLES):
            address = NEW + number
            spec = spec_of(str(address), f"one-{number:06}", home=NODE)
            listening = asyncio.create_task(_hear(heard, address))
            await client.create(VIRTUAL_IPS, body_of(str(address), spec))
            created = time.monotonic()
            async with asyncio.timeout(LONGEST):
                found.append(await listening - created)
            await asyncio.sleep(random.uniform(0.05, 0.2))
    return found


async def _hear(heard: socket.socket, address: IPv4Address) -> float:
    """When the first ARP frame came that says who has the address (RFC 5227: the sender's)."""
    loop = asyncio.get_running_loop()
    while True:
        frame = await loop.sock_recv(heard, 128)
        if frame[28:32] == address.packed:
            return time.monotonic()
