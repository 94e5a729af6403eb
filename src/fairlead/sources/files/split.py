"""A stream of YAML into its documents, without parsing it.

``---`` or ``...`` at the start of a line ends a document wherever it stands, even inside a quoted
scalar (YAML 1.2.2 §9.1.1), so splitting needs no parser. It keeps memory at one document instead of
one file, gives each document its line, and lets an edit of a large file re-read only what changed.
"""

import codecs
import re
from collections.abc import Iterator
from io import BytesIO
from typing import BinaryIO, Final, NamedTuple

from fairlead.sources.files.entry import BrokenText

BLOCK: Final = 1 << 20
MARKER: Final = re.compile(rb"^(?:---|\.\.\.)(?=[ \t\r\n]|\Z)", re.MULTILINE)
LEAD: Final = re.compile(rb"(?:[ \t\r]*(?:#[^\n]*)?\n|%[^\n]*\n)*")
WIDE: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Chunk(NamedTuple):
    """The text of one document without its markers and the line of the file that it starts on.
    ``start``: where its content begins, after blanks and comments; ``first``: the line of that."""

    line: int
    text: bytes
    start: int
    first: int


def documents(stream: BinaryIO) -> Iterator[Chunk]:
    """The documents of a stream that hold more than comments. Raises :class:`BrokenText`."""
    line = 1
    for text in _pieces(_narrow(stream)):
        start = _start(text)
        if text.startswith(b" ", start):
            yield from _indented(text, line, start)
        elif not _blank(text, start):
            yield Chunk(line, text, start, line + text.count(b"\n", 0, start))
        line += text.count(b"\n")


def _start(text: bytes) -> int:
    if text[1:2].isalpha() and text[:1] == b"\n":
        return 1  # what follows a marker in nearly every file
    lead = LEAD.match(text)
    return lead.end() if lead else 0


def _indented(text: bytes, line: int, start: int) -> Iterator[Chunk]:
    """The documents of text that is indented as a whole, markers included, as pasted from a page.

    No valid document holds such a line: what is inside it is indented deeper.
    """
    width = len(text) - start - len(text[start:].lstrip(b" "))
    for part in re.split(rb"^ {%d}---[ \t\r]*$" % width, text, flags=re.MULTILINE):
        start = _start(part)
        if not _blank(part, start):
            yield Chunk(line, part, start, line + part.count(b"\n", 0, start))
        line += part.count(b"\n")


def _blank(text: bytes, start: int) -> bool:
    """Whether nothing but blanks and a comment without a line end follows."""
    end = text.find(b"\n", start)
    if end >= 0:
        return False
    rest = text[start:].strip()
    return not rest or rest.startswith(b"#")


def _narrow(stream: BinaryIO) -> BinaryIO:
    """The stream as UTF-8 without a byte order mark. Some shells write UTF-16 when they
    redirect."""
    head = stream.read(len(codecs.BOM_UTF8))
    if head.startswith(WIDE):
        try:
            return BytesIO((head + stream.read()).decode("utf-16").encode())
        except UnicodeError as error:
            raise BrokenText(0, f"this is not UTF-16 text ({error.args[-1]})") from None
    return _Prefixed(b"" if head == codecs.BOM_UTF8 else head, stream)


class _Prefixed(BytesIO):
    """A stream with some bytes put back in front."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        super().__init__()
        self._head, self._rest = head, rest

    def read(self, size: int | None = -1, /) -> bytes:
        head, self._head = self._head, b""
        return head + self._rest.read(-1 if size is None else size)


def _pieces(stream: BinaryIO) -> Iterator[bytes]:
    """The text between markers. Blocks grow with the document, so that a huge one is copied
    rarely."""
    rest, searched = b"", 0
    while block := stream.read(max(BLOCK, len(rest))):
        buffer, start = rest + block, 0
        whole = buffer.rfind(b"\n") + 1
        for marker in MARKER.finditer(buffer, searched, whole):
            yield buffer[start : marker.start()]
            start = marker.end()
        rest, searched = buffer[start:], max(whole - start, 0)
    start = 0
    for marker in MARKER.finditer(rest, searched):
        yield rest[start : marker.start()]
        start = marker.end()
    yield rest[start:]
