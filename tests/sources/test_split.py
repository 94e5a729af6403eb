"""Documents are told apart where YAML says, with their lines, whatever the size of the blocks."""

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.sources.files import split
from fairlead.sources.files.entry import BrokenText
from fairlead.sources.files.split import documents


def parts(data: bytes) -> list[tuple[int, bytes]]:
    return [(chunk.first, chunk.text.strip()) for chunk in documents(BytesIO(data))]


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"a: 1\n---\nb: 2\n", [(1, b"a: 1"), (3, b"b: 2")]),
        (b"---\na: 1\n...\n---\n\n# c\nb: 2", [(2, b"a: 1"), (7, b"# c\nb: 2")]),
        (b"--- # first\na: 1\n---\t\nb: 2", [(2, b"# first\na: 1"), (4, b"b: 2")]),
        (b"a: 1\r\n---\r\nb: 2\r\n", [(1, b"a: 1"), (3, b"b: 2")]),
        (b"a: |\n  ---\n  x\nb: ----\n---x: 1\n", [(1, b"a: |\n  ---\n  x\nb: ----\n---x: 1")]),
        (b"%YAML 1.2\n---\na: 1\n", [(3, b"a: 1")]),
        (b"\xef\xbb\xbf---\na: 1", [(2, b"a: 1")]),
        ("\ufeffa: é\n---\nb: 2".encode("utf-16-le"), [(1, "a: é".encode()), (3, b"b: 2")]),
        (b"\n a: 1\n ---\n b: 2\n", [(2, b"a: 1"), (4, b"b: 2")]),
        (b"", []),
        (b"---\n---\n\n...\n# only\n---", []),
        (b"# no line end", []),
        (b"---\n  # indented comment\n---\n \t\n", []),
    ],
)
def test_documents_and_the_lines_of_their_content(
    data: bytes, found: list[tuple[int, bytes]]
) -> None:
    assert parts(data) == found


def test_what_is_indented_as_a_whole_keeps_deeper_markers_in_its_text() -> None:
    assert parts(b" a: |\n   ---\n   x\n b: 1\n") == [(1, b"a: |\n   ---\n   x\n b: 1")]


def test_half_of_a_utf_16_character_is_named() -> None:
    with pytest.raises(BrokenText, match="UTF-16"):
        parts(b"\xff\xfea\x00b")


@given(
    st.lists(st.sampled_from([b"a: 1", b"---", b"...", b"", b"--- x", b"# c", b"----", b" b"])),
    st.integers(1, 9),
)
def test_blocks_of_any_size_give_the_same(lines: list[bytes], size: int) -> None:
    data = b"\n".join(lines)
    whole = list(documents(BytesIO(data)))
    before = split.BLOCK
    split.BLOCK = size  # type: ignore[misc]  # a constant, but for this
    try:
        assert list(documents(BytesIO(data))) == whole
    finally:
        split.BLOCK = before  # type: ignore[misc]
