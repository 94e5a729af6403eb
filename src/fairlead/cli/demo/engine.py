"""A ``fairlead up`` on a host of the network: started, asked, looked behind, stopped."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from fairlead.cli.demo.deviation import PATIENCE, Deviation, until
from fairlead.cli.demo.kernel import Kernel, KernelView, Rows
from fairlead.lab import Host
from fairlead.model.world import World
from fairlead.publish.contract import PlanDocument
from fairlead.publish.document import document
from fairlead.runtime import snapshot

LINES = 5
"""Of what ``up`` said, that are shown when something is wrong."""


class Scene(NamedTuple):
    """What ``up`` says, and what its host's kernel has."""

    said: PlanDocument
    world: World
    kernel: Kernel

    @property
    def services(self) -> dict[str, str]:
        """Service -> state, and its addresses or why it has none."""
        return {
            entry.name: f"{entry.state} {','.join(entry.addresses) or entry.reason}"
            for entry in self.said.services
        }

    def __str__(self) -> str:
        return f"{_told(self.services)}; {self.kernel}"


class Engine:
    """One process on one host."""

    def __init__(self, host: Host, manifests: Path, home: Path) -> None:
        self.host = host
        self.kernel = KernelView(host)
        self._state, self._log = home / f"{host.name}.state", home / f"{host.name}.log"
        self._manifests = manifests
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Run ``fairlead up`` as people do."""
        argv = [sys.executable, "-m", "fairlead", "up", "-f", str(self._manifests)]
        argv += ["--state", str(self._state), "--engine", self.host.name]
        with self._log.open("w") as log:
            self._process = self.host.popen(argv, stdout=log, stderr=subprocess.STDOUT)

    def stop(self) -> float:
        """End it as systemd would; returns the seconds that took."""
        assert self._process is not None
        started = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise self._deviation("fairlead up ends", f"not within {PATIENCE:.0f} s") from None
        if code:
            raise self._deviation("fairlead up ends with code 0", f"code {code}")
        return time.monotonic() - started

    def scene(self) -> Scene | None:
        """What is to be seen now; None while the process has said nothing."""
        assert self._process is not None
        if (code := self._process.poll()) is not None:
            raise self._deviation("fairlead up goes on", f"it ended with code {code}")
        found = snapshot.read(self._state)
        if found is None:
            return None
        return Scene(document(found.plan, found.world), found.world, self.kernel.look())

    def until(self, services: Mapping[str, str], rows: Rows) -> Scene:
        """Wait for exactly these services, listeners, and the listeners' addresses on the host."""
        addresses = {key.rpartition(":")[0] for key in rows}
        wanted = Kernel(True, rows, frozenset(addresses))
        return self.seen(
            lambda scene: scene.services == services and scene.kernel == wanted,
            expected=f"{_told(services)}; {wanted}",
        )

    def seen(self, right: Callable[[Scene], bool], *, expected: str) -> Scene:
        """Wait for a scene."""
        found = until(
            self.scene,
            lambda scene: scene is not None and right(scene),
            expected=f"on {self.host.name} {expected}",
            hints=self._hints,
        )
        assert found is not None
        return found

    def _deviation(self, expected: str, seen: str) -> Deviation:
        expected = f"on {self.host.name} {expected}"
        return Deviation(expected=expected, seen=seen, hints=self._hints())

    def _hints(self) -> str:
        said = self._log.read_text().splitlines()[-LINES:]
        return "\n".join(f"  {self.host.name} said: {line}" for line in said)


def _told(services: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {said}" for name, said in services.items()) or "no service"
