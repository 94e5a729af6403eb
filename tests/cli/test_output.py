"""Colours only on a terminal, and not when somebody does not want them."""

import sys
import time
from collections.abc import Callable

import pytest

from fairlead.cli import progress as module
from fairlead.cli.output import Format, emit, painted, show
from fairlead.cli.progress import progress

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """`terminal(True)`: standard output is one."""

    def pretend(is_terminal: bool) -> None:
        monkeypatch.delenv("NO_COLOR", raising=False)
        monkeypatch.setenv("TERM", "xterm-256color")
        monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal)

    return pretend


def test_states_are_coloured_on_a_terminal(
    terminal: Callable[[bool], None], capsys: Capture
) -> None:
    terminal(True)
    show("web   Served\n")
    text = capsys.readouterr().out
    assert "\x1b[32mServed" in text
    assert text.endswith("\n")
    assert "\x1b" in painted("Rejected", "Rejected")


def test_a_pipe_gets_plain_text(terminal: Callable[[bool], None], capsys: Capture) -> None:
    terminal(False)
    show("web   [bold]Served[/bold]\n")
    assert capsys.readouterr().out == "web   [bold]Served[/bold]\n"
    assert painted("Served", "Served  ") == "Served  "


def test_no_color_is_respected(
    terminal: Callable[[bool], None], monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    terminal(True)
    monkeypatch.setenv("NO_COLOR", "1")
    show("Served\n")
    assert capsys.readouterr().out == "Served\n"


def test_long_lines_are_never_wrapped(terminal: Callable[[bool], None], capsys: Capture) -> None:
    terminal(True)
    show("x" * 500 + "\n")
    assert capsys.readouterr().out == "x" * 500 + "\n"


def test_the_table_is_made_only_when_it_is_asked_for(capsys: Capture) -> None:
    def table() -> str:
        raise AssertionError("not asked for")

    emit([{"a": 1}], Format.JSON, table)
    assert capsys.readouterr().out == '[\n  {\n    "a": 1\n  }\n]\n'
    emit([{"a": 1}], Format.YAML, table)
    assert capsys.readouterr().out == "- a: 1\n"


def test_a_sign_of_life_comes_only_on_a_terminal_and_late(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    with progress("thinking"):
        time.sleep(0.05)
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress("thinking"):
        time.sleep(0.05)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    with progress("thinking"):
        time.sleep(0.3)
    assert "thinking" in capsys.readouterr().err
