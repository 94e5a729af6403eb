"""One program of a control plane: started, killed, paused and started again as it was."""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from fairlead.lab.errors import LabError
from fairlead.lab.kubernetes.place import Place

__all__ = ["Component"]


@dataclass(slots=True, kw_only=True)
class Component:
    """A program with a fixed command line; what it says is appended to `log`."""

    name: str
    argv: list[str]
    place: Place
    directory: Path
    log: Path
    env: dict[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[str] | None = None

    @property
    def running(self) -> bool:
        """Whether the process is there, be it paused."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The pid. LabError when it does not run."""
        if self._process is None or self._process.poll() is not None:
            raise LabError(f"{self.name} does not run; its last words: {self.last_words()}")
        return self._process.pid

    def start(self) -> None:
        """Start it; LabError when it runs already. It may take a while until it answers."""
        if self.running:
            raise LabError(f"{self.name} runs already")
        with self.log.open("a") as log:
            self._process = self.place.popen(
                self.argv,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.env},
                cwd=self.directory,
            )

    def send(self, number: signal.Signals) -> None:
        """Send it a signal. LabError when it does not run."""
        os.kill(self.pid, number)

    def end(self, number: signal.Signals = signal.SIGKILL, *, timeout: float = 30.0) -> None:
        """Send it a signal and wait for its end; when it has ended already, nothing happens."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(number)
        if number is not signal.SIGKILL:
            self._process.send_signal(signal.SIGCONT)  # a paused one would never see it
        self._process.wait(timeout)

    def last_words(self) -> str:
        """The end of its log, for an error message."""
        try:
            lines = self.log.read_text(errors="replace").strip().splitlines()
        except FileNotFoundError:
            return "none"
        return " | ".join(lines[-3:]) or "none"
