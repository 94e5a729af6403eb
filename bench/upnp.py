"""Ports on a real gateway: how fast they are open, and that none is left.

``fairlead up`` on one host of a lab, miniupnpd in secure mode on another. The time is from the
write of a manifest to the mapping in the gateway's kernel, as its `nft` shows it.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.figure import Figure, percentile
from bench.machine import strangers
from fairlead.lab import Host, Lab, cluster
from fairlead.lab.gateway import Gateway

VIP = "192.0.2.20"
MANY = 100
RUNS = 20
FIRST = 20_000
PATIENCE = 400.0


def run() -> list[Figure]:
    """Needs root."""
    with (
        Lab(cluster(clients=2, engines=1, pods=0)) as lab,
        Gateway(lab["client"], lab["client-2"], secure=True) as gateway,
        strangers() as others,
        _up(lab["engine-1"]) as folder,
    ):
        site = _Site(folder, gateway)
        site.put("kept", FIRST - 1)
        site.until(1)
        opened, closed = [], []
        for number in range(RUNS):
            opened.append(site.timed(2, lambda n=number: site.put("one", FIRST + n)))  # type: ignore[misc]
            closed.append(site.timed(1, lambda: site.drop("one")))
        ports = range(FIRST, FIRST + MANY)
        many = site.timed(1 + MANY, lambda: site.put("many", *ports))
        gone = site.timed(1, lambda: site.drop("many"))
        site.put("many", *ports)
        site.until(1 + MANY)
        site.drop("kept")
        last = site.timed(0, lambda: site.drop("many"))
        time.sleep(3.0)  # whatever comes late
        left = len(gateway.rules())
    return [
        Figure("upnp.open.p50", percentile(opened, 50) * 1000, "ms"),
        Figure("upnp.open.max", max(opened) * 1000, "ms"),
        Figure("upnp.close.p50", percentile(closed, 50) * 1000, "ms"),
        Figure(f"upnp.open.{MANY}", many, "s"),
        Figure(f"upnp.close.{MANY}", gone, "s"),
        Figure(f"upnp.close.{MANY}-and-vip", last, "s"),
        Figure(f"upnp.left-of-{MANY}", left, "mappings", 1),
        Figure("upnp.machine.others", others.percent, "%"),
    ]


@contextmanager
def _up(host: Host) -> Iterator[Path]:
    """`fairlead up` on a host; the folder that it follows."""
    with tempfile.TemporaryDirectory(prefix="fairlead-bench-") as name:
        folder = Path(name, "manifests")
        folder.mkdir()
        argv = [sys.executable, "-m", "fairlead", "up", "-f", str(folder), "--ephemeral"]
        env = {**os.environ, "FAIRLEAD_ENABLE_UPNP": "true"}
        with Path(name, "log").open("w") as log:
            process = host.popen(argv, stdout=log, stderr=log, env=env)
        try:
            yield folder
        finally:
            process.terminate()
            process.wait(timeout=30)


class _Site:
    """Manifests on one side, the gateway's kernel on the other."""

    def __init__(self, folder: Path, gateway: Gateway) -> None:
        self._folder, self._gateway = folder, gateway

    def put(self, name: str, *ports: int) -> None:
        """A file of Services, one for each port, on one VIP."""
        text = "\n---\n".join(json.dumps(_service(port)) for port in ports)
        part = self._folder / f".{name}"
        part.write_text(text)
        part.rename(self._folder / f"{name}.yaml")

    def drop(self, name: str) -> None:
        """Delete a file."""
        (self._folder / f"{name}.yaml").unlink()

    def until(self, count: int, *, many: bool = True) -> None:
        """Wait for so many mappings."""
        end = time.monotonic() + PATIENCE
        while len(self._gateway.rules()) != count:
            if time.monotonic() > end:
                raise RuntimeError(f"never {count} mappings, but {len(self._gateway.rules())}")
            time.sleep(0.2 if many else 0.01)

    def timed(self, count: int, work: Callable[[], None]) -> float:
        """The seconds until there are so many."""
        start = time.perf_counter()
        work()
        self.until(count, many=count > 2 or not count)
        return time.perf_counter() - start


def _service(port: int) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": f"web-{port}",
            "namespace": "default",
            "annotations": {"kube-vip.io/forwardUPNP": "true"},
        },
        "spec": {
            "type": "LoadBalancer",
            "loadBalancerIP": VIP,
            "ports": [{"port": port, "protocol": "TCP"}],
        },
    }
