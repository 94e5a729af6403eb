"""The folder of manifests, and what a user does to it."""

from collections.abc import Sequence
from pathlib import Path


class Manifests:
    """Files that ``fairlead up`` follows. Each is put in place whole, as editors do."""

    def __init__(self, folder: Path, examples: Path) -> None:
        self.folder, self._examples = folder, examples
        folder.mkdir()

    def copy(self, example: str, *names: str) -> None:
        """Take these files of an example as they are, in this order."""
        for name in names:
            self.write(name, (self._examples / example / name).read_text())

    def write(self, name: str, text: str) -> None:
        """Put a file in place."""
        draft = self.folder / f".{name}"
        draft.write_text(text)
        draft.replace(self.folder / name)

    def documents(self, name: str) -> list[str]:
        """The YAML documents of a file, as text."""
        return (self.folder / name).read_text().split("---\n")

    def put(self, name: str, documents: Sequence[str]) -> None:
        """Put YAML documents in place."""
        self.write(name, "---\n".join(documents))

    def remove(self, *names: str) -> None:
        """Delete files."""
        for name in names:
            (self.folder / name).unlink()
