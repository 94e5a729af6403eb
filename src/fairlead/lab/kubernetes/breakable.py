"""Programs by name that a test may kill, pause and start again."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from fairlead.lab.errors import LabError

if TYPE_CHECKING:
    from pathlib import Path

    from fairlead.lab.kubernetes.component import Component

__all__ = ["Breakable"]


class Breakable:
    """A set of programs. LabError for a name that is none of theirs."""

    def __init__(self) -> None:
        self._components: dict[str, Component] = {}

    def kill(self, component: str, sig: signal.Signals = signal.SIGKILL) -> None:
        """Send a program a signal that ends it, and wait until it has ended."""
        self._component(component).end(sig)

    def start(self, component: str) -> None:
        """Start a program that was killed; it may take a while until it serves again."""
        self._component(component).start()

    def pause(self, component: str) -> None:
        """Stop a program in its tracks: its connections stay, and nobody answers."""
        self._component(component).send(signal.SIGSTOP)

    def resume(self, component: str) -> None:
        """Undo `pause`."""
        self._component(component).send(signal.SIGCONT)

    def pid(self, component: str) -> int:
        """The pid of a program. LabError when it does not run."""
        return self._component(component).pid

    def log(self, component: str) -> Path:
        """The file that holds what a program said."""
        return self._component(component).log

    def _component(self, name: str) -> Component:
        try:
            return self._components[name]
        except KeyError:
            raise LabError(f"no program {name!r} here, only {[*self._components]}") from None
