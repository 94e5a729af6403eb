"""What goes to standard output: a table for people, or JSON or YAML for programs.

Colour only on a terminal (and not with NO_COLOR, https://no-color.org), so that a pipe gets plain
text. Everything that is said beside the result goes to standard error.
"""

import os
import sys
from collections.abc import Callable
from enum import StrEnum

import typer

COLOURS = {
    "Served": "green",
    "Pending": "yellow",
    "Rejected": "red",
    "Ignored": "bright_black",
}


class Format(StrEnum):
    """``-o``."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


def emit(value: object, output: Format, table: Callable[[], str]) -> None:
    """Print a value in the asked format; ``table`` makes the text for people."""
    match output:
        case Format.TABLE:
            show(table())
        case Format.JSON:
            import msgspec

            write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")
        case Format.YAML:
            import msgspec

            write(msgspec.yaml.encode(value).decode())


def write(text: str) -> None:
    """Print as it is."""
    sys.stdout.write(text)


def note(text: str) -> None:
    """Say something beside the result."""
    typer.echo(text, err=True)


def show(text: str) -> None:
    """Print text for people."""
    if not coloured():
        write(text)
        return
    from rich.console import Console  # only a terminal pays for it
    from rich.text import Text

    painted = Text(text)
    for word, colour in COLOURS.items():
        painted.highlight_regex(rf"\b{word}\b", colour)
    Console(soft_wrap=True).print(painted, end="")


def painted(word: str, text: str) -> str:
    """Text in the colour of a word, on a terminal."""
    if word not in COLOURS or not coloured():
        return text
    return typer.style(text, fg=COLOURS[word])


def coloured() -> bool:
    """Whether standard output is a terminal that wants colours."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")
