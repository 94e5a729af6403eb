"""What an edit changes, and what it must not: objects without a name, folders without access."""

import io
import os
from pathlib import Path

import pytest

from fairlead.model.names import Ref
from fairlead.sources.files import FileSource, content
from fairlead.sources.files.document import read as read_document
from fairlead.sources.files.entry import Entry
from fairlead.sources.files.split import Chunk

from .make import Folder, names, service


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lines of the documents that were parsed, in order."""
    lines: list[int] = []

    def read(chunk: Chunk, path: str) -> tuple[Entry, ...]:
        lines.append(chunk.first)
        return read_document(chunk, path)

    monkeypatch.setattr(content, "read", read)
    return lines


def test_an_edit_parses_only_what_it_changed(folder: Folder, parsed: list[int]) -> None:
    texts = [service(f"s{number:03}") for number in range(200)]
    folder.write("".join(texts))
    assert len(folder.load().changes) == len(parsed) == 200
    parsed.clear()
    texts[7] = service("s007", 81)
    folder.write("# everything moves down\n" + "".join(texts))
    assert names(folder.refresh()) == ["Service/default/s007"]
    assert parsed == [7 * 9 + 3]
    parsed.clear()
    texts.reverse()
    folder.write("".join(texts))
    assert names(folder.refresh()) == []
    assert parsed == []


def test_lines_follow_when_documents_move(folder: Folder) -> None:
    folder.write(service("a", 0))
    folder.load()
    assert folder.lines[0].startswith("all.yaml:9: ")
    folder.write("\n\n\n" + service("a", 0))
    folder.refresh()
    assert folder.lines[0].startswith("all.yaml:12: ")


def test_a_file_that_did_not_change_is_not_read_again(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = folder.write(service("a"))
    folder.load()
    monkeypatch.setattr(content, "RACY", -1)  # as if it had been written long ago
    folder.refresh()
    opened: list[str] = []
    whole = content.from_stream

    def from_stream(*args: object) -> content.Content:
        opened.append(str(args[1]))
        return whole(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(content, "from_stream", from_stream)
    folder.refresh()
    assert opened == []
    folder.refresh([file])
    assert opened == [str(file)]


def test_the_last_good_version_stays_until_the_object_is_removed(folder: Folder) -> None:
    folder.write(service("a", 80))
    folder.load()
    for broken in (service("a", 0), service("a", 80) + service("a", 81), "a: [", "kind: [Service"):
        folder.write(broken)
        folder.refresh()
        assert folder.port("a") == 80
        assert folder.lines
    folder.write(service("b"))
    folder.refresh()
    assert (folder.port("a"), folder.port("b"), folder.lines) == (0, 80, [])
    assert not folder.world.problems


@pytest.mark.parametrize(
    "edit",
    [
        service("''", 81),
        service("b").replace("kind: Service\n", ""),
        service("a", 81) + service("b", 82).removeprefix("---\n"),
    ],
    ids=["no name", "no kind", "no marker between two"],
)
def test_an_edit_that_leaves_open_who_is_meant_removes_nobody(folder: Folder, edit: str) -> None:
    folder.write(service("a", 80) + service("c", 80))
    folder.load()
    folder.write(edit + service("c", 90))
    folder.refresh()
    assert (folder.port("a"), folder.port("c")) == (80, 90)
    assert len(folder.lines) == 1
    folder.write(service("c", 90))
    folder.refresh()
    assert (folder.port("a"), folder.port("c"), folder.lines) == (0, 90, [])


def test_duplicates_keep_what_was_served_and_heal(folder: Folder) -> None:
    folder.write(service("a", 80), "a.yaml")
    folder.load()
    other = folder.write("\n" + service("a", 81), "b.yaml")
    folder.refresh()
    assert folder.port("a") == 80
    assert folder.why("Service/default/a").startswith("Service/default/a is defined 2 times")
    assert [line.partition(" is also")[0] for line in folder.lines] == [
        "a.yaml:2: Service/default/a",
        "b.yaml:3: Service/default/a",
    ]
    assert "b.yaml:3" in folder.lines[0]
    assert "a.yaml:2" in folder.lines[1]
    assert {problem.ref for problem in folder.batch.problems} == {Ref("Service", "default", "a")}
    other.unlink()
    folder.refresh()
    assert (folder.port("a"), folder.lines, folder.why("Service/default/a")) == (80, [], "")


def test_very_many_copies_are_told_briefly_and_quickly(folder: Folder) -> None:
    folder.write("".join(service("a", 1 + number % 60000) for number in range(20_000)))
    folder.load()
    assert len(folder.batch.changes) == 1
    assert len(folder.lines) == 8
    assert all("and 19992 more places" in line for line in folder.lines)


def test_a_moved_object_is_no_change(folder: Folder) -> None:
    file = folder.write(service("a"), "a.yaml")
    folder.load()
    folder.write(service("a"), "b.yaml")
    file.unlink()
    assert folder.refresh().changes == ()
    assert folder.port("a") == 80


def test_a_folder_that_cannot_be_listed_withdraws_nothing(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write(service("a"), "inner/a.yaml")
    folder.load()
    scandir = os.scandir

    def denied(path: str) -> object:
        if path.endswith("inner"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    assert folder.refresh().changes == ()
    assert folder.lines == ["inner: cannot be read: Permission denied."]
    monkeypatch.undo()
    assert folder.refresh() == ((), (), {})


def test_a_link_to_itself_and_one_to_nowhere_are_named_and_folders_are_read_once(
    folder: Folder,
) -> None:
    folder.write(service("a"))
    (folder.path / "self.yaml").symlink_to("self.yaml")
    (folder.path / "lost.yaml").symlink_to("nowhere.yaml")
    (folder.path / "loop").symlink_to(".")
    folder.load()
    assert folder.port("a") == 80
    assert sorted(line.partition(":")[0] for line in folder.lines) == ["lost.yaml", "self.yaml"]


def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.write(writer, service("a").encode())
    os.close(writer)
    source = FileSource([f"/proc/self/fd/{reader}"])
    assert names(source.load()) == ["Service/default/a"]
    os.close(reader)
    assert source.refresh() == ((), (), {})


def test_standard_input_stays_through_refreshes_and_its_faults_have_lines() -> None:
    source = FileSource(["-"], io.BytesIO(service("a").encode() + service("b", 0).encode()))
    batch = source.load()
    assert names(batch) == ["Service/default/a", "Service/default/b"]
    assert [(problem.path, problem.line) for problem in batch.problems] == [("-", 18)]
    assert source.refresh().changes == ()
    assert str(FileSource(["-"]).load().problems[0]) == "-: there is no standard input."
    closed = io.BytesIO()
    closed.close()
    assert "closed file" in str(FileSource(["-"], closed).load().problems[0])


def test_collecting_is_as_it_was_before(folder: Folder) -> None:
    import gc

    folder.write(service("a"))
    assert gc.isenabled()
    folder.load()
    assert gc.isenabled()
    gc.disable()
    try:
        folder.refresh()
        assert not gc.isenabled()
    finally:
        gc.enable()
