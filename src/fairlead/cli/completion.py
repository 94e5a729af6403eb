"""Completion of ``kubectl fairlead``: kubectl asks a program called ``kubectl_complete-fairlead``.

It is answered by the completion that ``fairlead --install-completion`` uses, in the words that
kubectl takes (cobra's): a candidate a line, then what the shell is to do.
"""

import io
import os
import shlex
import sys
from contextlib import redirect_stdout, suppress

FILES, NO_FILES = ":0", ":4"
"""cobra's ShellCompDirectiveDefault and ShellCompDirectiveNoFileComp."""


def main() -> None:
    """The entry point of the ``kubectl_complete-fairlead`` command."""
    found = candidates(sys.argv[1:])
    sys.stdout.write("\n".join([*found, NO_FILES if found else FILES]) + "\n")


def candidates(words: list[str]) -> list[str]:
    """What the last of these words, which may be empty, can become."""
    from fairlead.cli.main import app

    os.environ["_FAIRLEAD_COMPLETE"] = "complete_bash"
    os.environ["COMP_WORDS"] = shlex.join(["fairlead", *words[:-1]]) + " " + "".join(words[-1:])
    os.environ["COMP_CWORD"] = str(max(1, len(words)))
    said = io.StringIO()
    with redirect_stdout(said), suppress(SystemExit):
        app(prog_name="fairlead")
    return said.getvalue().split()
