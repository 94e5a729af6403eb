"""How a command ends when it cannot do what was asked: one line that says why and what to do, never
a traceback.

Everything that the commands raise on purpose is a :class:`Failure`; what the system refuses
(permissions, missing files, a full disk) is an OSError and says the same in its own words. Anything
else is a defect of Fairlead and shows as one.
"""

import errno
import os
import sys
from typing import Any

import typer
from typer.core import TyperGroup

DONE, REJECTED, USAGE = 0, 1, 2
"""Exit codes (DESIGN §5)."""
PIPE_CLOSED = 128 + 13
"""What a shell reports for a program that SIGPIPE ended, as it would `kubectl get | head`."""


class Failure(Exception):
    """The command cannot go on. The message is one line for people."""

    def __init__(self, message: str, *, code: int = USAGE) -> None:
        super().__init__(message)
        self.code = code


class Commands(TyperGroup):
    """The group of all commands: turns failures into a line and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result
        except Failure as failure:
            typer.echo(f"fairlead: {failure}", err=True)
            raise typer.Exit(failure.code) from None
        except OSError as error:
            if error.errno == errno.EPIPE:
                _drop_stdout()
                raise typer.Exit(PIPE_CLOSED) from None
            typer.echo(f"fairlead: {refusal(error)}", err=True)
            raise typer.Exit(USAGE) from None


def refusal(error: OSError) -> str:
    """What the system refused, in one line."""
    said = error.strerror or str(error)
    return f"{error.filename}: {said}" if error.filename else said


def _drop_stdout() -> None:
    """Nobody reads any more: what is still buffered goes nowhere, so that the exit stays silent."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def need_root(what: str, command: str) -> None:
    """Refuse, with the way out, when this is not root."""
    if os.geteuid() != 0:
        raise Failure(f"{what} needs root: run 'sudo fairlead {command}'")
