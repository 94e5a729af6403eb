"""Edits as editors, shells and the kubelet make them."""

import asyncio
import os
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairlead.model.names import Ref
from fairlead.sources.files import Batch, FileSource
from fairlead.sources.files.follow import follow

from .test_reading import WEB, service


def followed(folder: Path, edit: Callable[[], None], until: Callable[[Batch], bool]) -> Batch:
    """The first batch after an edit that fits."""

    async def run() -> Batch:
        source = FileSource([str(folder)])
        source.load()
        stop = asyncio.Event()
        async with aclosing(follow(source, stop=stop, poll=0.5)) as stream:
            waiting = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(0.2)
            edit()
            async with asyncio.timeout(10):
                batch = await waiting
                while not until(batch):
                    batch = await anext(stream)
                return batch

    return asyncio.run(run())


def has(*names: str) -> Callable[[Batch], bool]:
    wanted = {Ref("Service", "default", name) for name in names}
    return lambda batch: wanted <= {c.ref for c in batch.changes if c.object is not None}


def test_edited_in_place(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(service())
    batch = followed(tmp_path, lambda: _write(path, service(port=81)), has("web"))
    assert len(batch.changes) == 1


def test_replaced_by_rename(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(service())

    def edit() -> None:
        (tmp_path / ".a.new").write_text(service("other"))
        os.replace(tmp_path / ".a.new", path)

    batch = followed(tmp_path, edit, has("other"))
    assert {c.ref for c in batch.changes if c.object is None} == {WEB}


def test_removed_file_takes_its_objects(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(service())
    batch = followed(tmp_path, path.unlink, lambda batch: bool(batch.changes))
    (change,) = batch.changes
    assert (change.ref, change.object, change.problem) == (WEB, None, None)


def test_new_folder(tmp_path: Path) -> None:
    def edit() -> None:
        (tmp_path / "new").mkdir()
        (tmp_path / "new" / "b.yaml").write_text(service("b"))

    followed(tmp_path, edit, has("b"))


def test_link_swap_as_in_a_mounted_config_map(tmp_path: Path) -> None:
    for version, port in (("..v1", 80), ("..v2", 81)):
        (tmp_path / version).mkdir()
        (tmp_path / version / "a.yaml").write_text(service(port=port))
    (tmp_path / "..data").symlink_to("..v1")
    (tmp_path / "a.yaml").symlink_to("..data/a.yaml")

    def edit() -> None:
        (tmp_path / "..tmp").symlink_to("..v2")
        os.replace(tmp_path / "..tmp", tmp_path / "..data")

    batch = followed(tmp_path, edit, has("web"))
    assert len(batch.changes) == 1


def test_half_written_file_keeps_its_last_good_content(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(f"{service('a')}---\n{service('b')}")
    source = FileSource([str(tmp_path)])
    source.load()
    path.write_text(f"{service('a', 81)}---\nkind: Service\nmetadata: {{name: [\n")
    batch = source.refresh([path])
    assert not batch.changes
    (problem,) = batch.problems
    assert problem.line >= 10
    assert "stays in use" in problem.message
    path.write_text(f"{service('a', 82)}")
    batch = source.refresh([path])
    assert {c.ref.name: c.object is not None for c in batch.changes} == {"a": True, "b": False}
    assert not batch.problems


def test_only_changed_documents_are_changes(tmp_path: Path) -> None:
    path = tmp_path / "all.yaml"
    path.write_text("---\n".join(service(f"s{i}") for i in range(50)))
    source = FileSource([str(tmp_path)])
    assert len(source.load().changes) == 50
    path.write_text(
        "# moved down\n" + "---\n".join(service(f"s{i}", 80 + (i == 7)) for i in range(50))
    )
    assert [c.ref.name for c in source.refresh([path]).changes] == ["s7"]


def test_duplicate_that_goes_away_heals(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(service())
    other = tmp_path / "b.yaml"
    other.write_text(service(port=81))
    source = FileSource([str(tmp_path)])
    assert source.load().changes[0].problem is not None
    other.unlink()
    (change,) = source.refresh().changes
    assert change.object is not None
    assert change.problem is None


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.binary(max_size=300), cut=st.integers(0, 200), at=st.integers(0, 200))
def test_any_bytes_end_in_a_batch(tmp_path: Path, data: bytes, cut: int, at: int) -> None:
    good = service().encode()
    (tmp_path / "raw.yaml").write_bytes(data)
    (tmp_path / "raw.json").write_bytes(b"{" + data)
    (tmp_path / "cut.yaml").write_bytes(good[:cut])
    (tmp_path / "mixed.yaml").write_bytes(good[:at] + data + good[at:])
    batch = FileSource([str(tmp_path)]).load()
    assert all(str(problem) for problem in batch.problems)


def _write(path: Path, text: str) -> None:
    path.write_text(text)
