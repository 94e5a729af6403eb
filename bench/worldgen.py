"""Manifests of any size, the same ones every time.

The benchmarks and the load tests read what people would write: Services of which some share a VIP
through AKO's annotation, one EndpointSlice with two endpoints for each, nodes, namespaces and
pools. Everything is drawn from a seeded generator, so two runs measure the same input.
"""

from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path
from random import Random
from typing import NamedTuple

PODS = IPv4Address("172.16.0.0")
NODES = IPv4Address("192.168.64.1")
POOLS = IPv4Address("10.64.0.0")
CLASSES = ("", "\n  loadBalancerClass: ako.vmware.com/avi-lb")
PORTS = ((80, 8080), (443, 8443), (5432, 5432), (6379, 6379), (9090, 9090), (53, 5353))


class Slot(NamedTuple):
    """One Service to write: its number, its namespace, and the group and place in it (-1:
    alone)."""

    number: int
    namespace: str
    group: int
    member: int

    @property
    def name(self) -> str:
        """The Service's name, unique over all namespaces."""
        return f"svc-{self.number:06}"


def manifests(
    services: int,
    *,
    pools: int = 5,
    nodes: int = 30,
    shared: float = 0.2,
    namespaces: int = 50,
    seed: int = 3,
) -> Iterator[str]:
    """The documents, without markers: pools, nodes, namespaces, then each Service with its slice.

    ``shared`` is the part of the Services that carry ``enable-shared-vip``, in groups of two to
    four in one namespace with distinct ports. The pools hold half as many addresses again as there
    are Services.
    """
    random = Random(seed)
    names = [f"team-{number:03}" for number in range(namespaces)]
    yield from (_pool(number, size=_pool_size(services, pools)) for number in range(pools))
    yield from (_node(number) for number in range(nodes))
    yield from (_object("v1", "Namespace", name) for name in names)
    for slot in _slots(services, int(services * shared), names=names, random=random):
        yield _service(slot, random)
        yield _slice(slot, nodes=nodes, random=random)


def write(path: Path, services: int) -> int:
    """Write the documents to one file; returns its size in bytes."""
    with path.open("w", encoding="utf-8") as out:
        for document in manifests(services):
            out.write(f"---\n{document}")
    return path.stat().st_size


def _slots(services: int, sharing: int, *, names: list[str], random: Random) -> Iterator[Slot]:
    index = group = 0
    while index < services:
        space = random.choice(names)
        size = min(random.randint(2, 4), sharing - index) if index < sharing else 1
        for member in range(size):
            yield Slot(index + member, space, group if size > 1 else -1, member)
        index, group = index + size, group + 1


def _stamp(index: int) -> str:
    return f"2024-{index % 12 + 1:02}-{index % 28 + 1:02}T{index % 24:02}:{index % 60:02}:00Z"


def _object(version: str, kind: str, name: str) -> str:
    return f"apiVersion: {version}\nkind: {kind}\nmetadata:\n  name: {name}\n"


def _pool_size(services: int, pools: int) -> int:
    return 1 << max(8, (services * 3 // (2 * pools)).bit_length())


def _pool(number: int, *, size: int) -> str:
    first = POOLS + number * size
    return (
        f"{_object('fairlead.dev/v1alpha1', 'AddressPool', f'pool-{number}')}"
        f"spec:\n  addresses:\n  - {first}/{33 - size.bit_length()}\n"
    )


def _node(number: int) -> str:
    return (
        f"{_object('v1', 'Node', f'node-{number:02}')}"
        f"status:\n  addresses:\n  - type: InternalIP\n    address: {NODES + number}\n"
        '  conditions:\n  - type: Ready\n    status: "True"\n'
    )


def _service(slot: Slot, random: Random) -> str:
    port, target = PORTS[slot.member] if slot.group >= 0 else random.choice(PORTS)
    key = f"\n    ako.vmware.com/enable-shared-vip: vip-{slot.group}" if slot.group >= 0 else ""
    return (
        f"apiVersion: v1\nkind: Service\nmetadata:\n  name: {slot.name}\n"
        f"  namespace: {slot.namespace}\n"
        f'  creationTimestamp: "{_stamp(slot.number)}"\n'
        f"  labels:\n    app: {slot.name}\n"
        f"{'  annotations:' + key + chr(10) if key else ''}"
        f"spec:\n  type: LoadBalancer{'' if key else random.choice(CLASSES)}\n"
        f"  ports:\n  - name: main\n    port: {port}\n    targetPort: {target}\n"
        f"  selector:\n    app: {slot.name}\n"
    )


def _slice(slot: Slot, *, nodes: int, random: Random) -> str:
    pod, target = PODS + 2 * slot.number, random.choice(PORTS)[1]
    where = random.sample(range(nodes), 2) if nodes > 1 else [0, 0]
    return (
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata:\n"
        f"  name: {slot.name}-1\n  namespace: {slot.namespace}\n"
        f"  labels:\n    kubernetes.io/service-name: {slot.name}\n"
        "addressType: IPv4\nendpoints:\n"
        f"{_endpoint(pod, where[0])}{_endpoint(pod + 1, where[1])}"
        f"ports:\n- name: main\n  port: {target}\n"
    )


def _endpoint(address: IPv4Address, node: int) -> str:
    return (
        f"- addresses:\n  - {address}\n  conditions:\n    ready: true\n  nodeName: node-{node:02}\n"
    )
