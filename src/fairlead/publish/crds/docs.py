"""What docstrings say about Structs and their fields, as `kubectl explain` shows it.

Docstrings here tell of a field in a sentence that begins with its name and a colon, so one text
serves whoever reads the code and whoever reads the API.
"""

import re
from typing import NamedTuple

_ROLE = re.compile(r":\w+:`~?(?:[\w.]+\.)?(\w+)`")
_CONTRACT = re.compile(r" \(DESIGN [^)]*\)")
_FIELD = re.compile(r"(?:^| )``(\w+)``: ")


class Doc(NamedTuple):
    """``text`` is about the whole, ``fields`` has what is said of single ones."""

    text: str
    fields: dict[str, str]


def doc_of(kind: type) -> Doc:
    """The docstring of a Struct, in plain text; field names are those of the Struct."""
    whole = _CONTRACT.sub("", " ".join((kind.__doc__ or "").split()))
    text, *pairs = _FIELD.split(_ROLE.sub(r"\1", whole))
    fields = dict(zip(pairs[::2], map(_sentence, pairs[1::2]), strict=True))
    return Doc(_plain(text), fields)


def _sentence(text: str) -> str:
    plain = _plain(text).rstrip(";,.")
    return f"{plain[:1].upper()}{plain[1:]}."


def _plain(text: str) -> str:
    return text.replace("``", "`").strip()
