"""Manifests to World: 50 000 Services with 100 000 endpoints, 33 MiB of YAML in one file.

Beside it, in processes of their own and on the same text: the bare YAML reader that is used, which
is the floor, and PyYAML with its C loader, which is what everybody has (on a tenth of it). Run
as a program, it measures one of them and prints JSON.
"""

import gc
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import yaml
from ryaml._ryaml import loads

from bench.figure import Figure
from bench.fresh import fresh
from bench.worldgen import write
from fairlead.model.kube import EndpointSlice, Service
from fairlead.model.world import World
from fairlead.sources.files import FileSource
from fairlead.sources.files.split import documents

SERVICES = 50_000
PART = 10
"""The slow reader gets one document of so many."""


def run() -> list[Figure]:
    """The figures: to the World, an edit of one document after that, and the floors."""
    with tempfile.TemporaryDirectory(prefix="fairlead-bench-") as folder:
        path = Path(folder) / "world.yaml"
        size = write(path, SERVICES)
        floor, peer, world = (_measured(way, path) for way in ("floor", "pyyaml", "world"))
    return [
        Figure("yaml_world.size.50k", size / 1e6, "MB"),
        Figure("yaml_world.50k", world["seconds"], "s", 5),
        Figure("yaml_world.bare_reader.50k", floor["seconds"], "s"),
        Figure("yaml_world.pyyaml_c.50k", peer["seconds"] * PART, "s"),
        Figure("yaml_world.one_edit.50k", world["edit"], "s"),
        Figure("yaml_world.rss.50k", world["rss"], "MB", 300),
    ]


def _measured(way: str, path: Path) -> dict[str, float]:
    found: dict[str, float] = fresh("bench.yaml_world", way, str(path))
    return found


def _texts(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        for chunk in documents(stream):
            yield chunk.text


def _bare(path: Path) -> dict[str, float]:
    return {"seconds": _seconds(loads, [text.decode() for text in _texts(path)])}


def _pyyaml(path: Path) -> dict[str, float]:
    texts = [text.decode() for number, text in enumerate(_texts(path)) if number % PART == 0]
    return {"seconds": _seconds(partial(yaml.load, Loader=yaml.CSafeLoader), texts)}


def _world(path: Path) -> dict[str, float]:
    source = FileSource([path])
    start = time.perf_counter()
    world = World().evolve(source.load().changes)
    seconds = time.perf_counter() - start
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 * 1.048576
    services, slices = (sum(1 for _ in world.every(kind)) for kind in (Service, EndpointSlice))
    if (services, slices) != (SERVICES, SERVICES):
        raise SystemExit(f"read {services} Services and {slices} EndpointSlices")
    return {"seconds": seconds, "rss": rss, "edit": _edit(path, source, world)}


def _edit(path: Path, source: FileSource, world: World) -> float:
    """Seconds from an edit of one Service in the middle of the file to the next World."""
    text = path.read_bytes()
    middle = text.index(b"    targetPort: ", len(text) // 2)
    path.write_bytes(text[:middle] + b"    nodePort: 30000\n" + text[middle:])
    start = time.perf_counter()
    batch = source.refresh([path])
    world.evolve(batch.changes)
    seconds = time.perf_counter() - start
    if len(batch.changes) != 1:
        raise SystemExit(f"one edit made {len(batch.changes)} changes")
    return seconds


def _seconds(reader: Callable[[str], object], texts: list[str]) -> float:
    gc.disable()
    start = time.perf_counter()
    for text in texts:
        reader(text)
    return time.perf_counter() - start


WAYS = {"floor": _bare, "pyyaml": _pyyaml, "world": _world}

if __name__ == "__main__":
    print(json.dumps(WAYS[sys.argv[1]](Path(sys.argv[2]))))
