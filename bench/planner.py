"""Planning at 50 000 Services: in full, after one change, and the memory it takes.

Full: from the World to the plan (translation included), with 5 pools, 30 engines and 20 % of the
Services sharing a VIP. One change: from the decoded object to the new plan, over a random mix of
endpoint, port, key, static-address, node and delete changes. Run as a program, it measures one size
and prints JSON.
"""

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from ipaddress import IPv4Address
from pathlib import Path
from random import Random
from typing import Any

from msgspec.structs import replace

from bench.figure import Figure, percentile
from bench.fresh import fresh
from bench.worldgen import POOLS, write
from fairlead.dialects.translate import translate
from fairlead.model.claim import Claims
from fairlead.model.kube import EndpointSlice, Metadata, Node, NodeAddress, Service
from fairlead.model.ledger import Ledger
from fairlead.model.objects import EngineGroup, EngineGroupSpec
from fairlead.model.plan import Plan
from fairlead.model.world import Change, World
from fairlead.planner import plan
from fairlead.sources.collection import settle, uncollected
from fairlead.sources.files import FileSource

SERVICES = 50_000
CHANGES = 600
SHARED_VIP = "ako.vmware.com/enable-shared-vip"


def run() -> list[Figure]:
    """The figures at 50 000 and, for the slope, at 5 000."""
    big, small = (fresh("bench.planner", str(n)) for n in (SERVICES, SERVICES // 10))
    slope = (big["full"] / SERVICES) / (small["full"] / (SERVICES // 10))
    kinds = [
        Figure(f"planner.change.{kind}.p99", value, "ms") for kind, value in big["kinds"].items()
    ]
    return [
        Figure("planner.full.50k", big["full"], "s", 3),
        Figure("planner.full.cost_50k_over_5k", slope, "x", 1.3),
        Figure("planner.change.p50", big["p50"], "ms"),
        Figure("planner.change.p99", big["p99"], "ms", 5),
        *kinds,
        Figure("planner.engine_lost", big["lost"], "ms"),
        Figure("planner.engine_back", big["back"], "ms"),
        Figure("planner.rss.50k", big["rss"], "MB", 500),
    ]


def _world(services: int) -> World:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "all.yaml"
        write(path, services)
        batch = FileSource([str(path)]).load()
    everybody = EngineGroup(metadata=Metadata(name="all"), spec=EngineGroupSpec())
    changes = [*batch.changes, Change(everybody.ref, everybody)]
    return World(host="node-00").evolve(changes)


class Edits:
    """A random edit of each kind, drawn from what is there."""

    def __init__(self, world: World, random: Random) -> None:
        self.world = world
        self.random = random
        self.services = sorted(s.ref for s in world.every(Service))
        self.nodes = sorted(n.ref for n in world.every(Node))

    def kinds(self) -> dict[str, Callable[[], Change]]:
        return {
            "endpoint": self.endpoint,
            "port": self.port,
            "key": self.key,
            "static": self.static,
            "node": self.node,
            "delete": self.delete,
        }

    def _service(self) -> Service:
        while True:
            found = self.world.service(self.random.choice(self.services))
            if found is not None:
                return found

    def endpoint(self) -> Change:
        service = self._service()
        (old,) = self.world.slices_of(service)
        new: EndpointSlice = replace(old, endpoints=tuple((old.endpoints or ())[:1]))
        return Change(new.ref, new)

    def port(self) -> Change:
        service = self._service()
        port = replace(service.ports[0], port=self.random.randint(1024, 60000))
        return Change(service.ref, replace(service, spec=replace(service.spec, ports=(port,))))

    def key(self) -> Change:
        service = self._service()
        key = f"new-{self.random.randint(0, 50)}"
        metadata = replace(service.metadata, annotation_map={SHARED_VIP: key})
        return Change(service.ref, replace(service, metadata=metadata))

    def static(self) -> Change:
        service = self._service()
        address = str(IPv4Address(int(POOLS) + self.random.randint(1, 60000)))
        spec = replace(service.spec, load_balancer_ip=address)
        return Change(service.ref, replace(service, spec=spec))

    def node(self) -> Change:
        """Half of them another address, half of them only what the kubelet writes all the time."""
        node = self.world.find(Node, self.random.choice(self.nodes).name)
        assert node is not None
        number = self.random.randint(0, 200)
        address = NodeAddress("InternalIP", f"192.168.99.{number}")
        if self.random.random() < 0.5:
            return Change(node.ref, replace(node, metadata=replace(node.metadata, uid=f"{number}")))
        assert node.status is not None
        status = replace(node.status, addresses=(address,))
        return Change(node.ref, replace(node, status=status))

    def delete(self) -> Change:
        return Change(self._service().ref, None)


def _changes(world: World, claims: Claims, current: Plan) -> tuple[dict[str, list[float]], Any]:
    edits = Edits(world, Random(7))
    samples: dict[str, list[float]] = {kind: [] for kind in edits.kinds()}
    for step in range(CHANGES):
        kind = list(samples)[step % len(samples)]
        change = edits.kinds()[kind]()
        with uncollected():
            start = time.perf_counter()
            world = world.evolve([change])
            claims = translate(world, claims)
            current = plan(claims, current.ledger, current)
            samples[kind].append((time.perf_counter() - start) * 1000)
        edits.world = world
    return samples, (world, claims, current)


def _engine(state: Any, *, ready: bool) -> tuple[float, Any]:
    world, claims, current = state
    node = world.find(Node, "node-03")
    conditions = tuple(
        replace(c, status=str(ready)) for c in node.status.conditions if c.type == "Ready"
    )
    new = replace(node, status=replace(node.status, conditions=conditions))
    with uncollected():
        start = time.perf_counter()
        world = world.evolve([Change(new.ref, new)])
        claims = translate(world, claims)
        current = plan(claims, current.ledger, current)
        took = (time.perf_counter() - start) * 1000
    return took, (world, claims, current)


def main(services: int) -> dict[str, Any]:
    """Everything for one size."""
    world = _world(services)
    settle()
    with uncollected():  # as the pipeline of `up` does
        start = time.perf_counter()
        claims = translate(world)
        current = plan(claims, Ledger())
        full = time.perf_counter() - start
    settle()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    samples, state = _changes(world, claims, current)
    lost, state = _engine(state, ready=False)
    back, _ = _engine(state, ready=True)
    together = [value for values in samples.values() for value in values]
    return {
        "full": full,
        "rss": peak,
        "p50": percentile(together, 50),
        "p99": percentile(together, 99),
        "kinds": {kind: percentile(values, 99) for kind, values in samples.items()},
        "lost": lost,
        "back": back,
    }


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]))))
