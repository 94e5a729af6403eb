"""Manifests and what reading them comes to, for tests."""

from collections.abc import Iterable
from pathlib import Path

from fairlead.model.kube import KubeObject
from fairlead.model.names import Ref, ref_of
from fairlead.model.world import World
from fairlead.sources.files import Batch, FileSource


def service(name: str, port: object = 80, *, meta: str = "", spec: str = "", more: str = "") -> str:
    """A Service; ``meta``, ``spec`` and ``more`` are further lines there and of its port."""
    return (
        f"---\napiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\n{_lines(meta, 2)}"
        f"spec:\n  type: LoadBalancer\n{_lines(spec, 2)}"
        f"  ports:\n  - port: {port}\n{_lines(more, 4)}"
    )


def _lines(text: str, indent: int) -> str:
    return "".join(f"{' ' * indent}{line}\n" for line in text.splitlines())


class Folder:
    """A folder of manifests, the source that reads it, and the world it leads to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.source = FileSource([path])
        self.world = World()
        self.batch = Batch((), (), {})

    def write(self, text: str | bytes, name: str = "all.yaml") -> Path:
        """Put a file there."""
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return file

    def load(self) -> Batch:
        """Read everything."""
        return self.take(self.source.load())

    def refresh(self, changed: Iterable[Path] | None = None) -> Batch:
        """Read what changed."""
        return self.take(self.source.refresh(changed))

    def take(self, batch: Batch) -> Batch:
        """Apply a batch to the world."""
        self.world = self.world.evolve(batch.changes)
        self.batch = batch
        return batch

    def port(self, name: str) -> int:
        """The port that a Service of the world has; 0 where there is no such Service."""
        found = self.world.service(Ref("Service", "default", name))
        return found.ports[0].port if found else 0

    @property
    def lines(self) -> list[str]:
        """The problems, as printed, with paths relative to the folder."""
        return [str(problem).replace(f"{self.path}/", "") for problem in self.batch.problems]

    def why(self, ref: str) -> str:
        """Why an object cannot be used; empty when nothing is wrong with it."""
        reason = self.world.problems.get(ref_of(ref))
        return reason.message if reason else ""


def names(batch: Batch) -> list[str]:
    """The objects that a batch changes, sorted."""
    return sorted(str(change.ref) for change in batch.changes)


def only(batch: Batch) -> KubeObject:
    """The one object of a batch without problems."""
    assert batch.problems == ()
    (change,) = batch.changes
    assert change.object is not None
    return change.object
