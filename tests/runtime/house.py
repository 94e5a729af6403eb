"""A whole ``up`` for tests: real files, a real ledger, the drivers' fakes, and what it said."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from fairlead.drivers.dhcp import FakeDhcp
from fairlead.model.addresses import canonical
from fairlead.model.plan import Plan
from fairlead.model.verdict import Verdict
from fairlead.runtime.health import DriverHealth
from fairlead.runtime.pipeline import Refused
from fairlead.runtime.planes import Planes
from fairlead.runtime.report import Started, Stopped
from fairlead.runtime.up import UpOptions, up
from fairlead.runtime.verdicts import VerdictChange
from fairlead.sources.files import Problem

from .engine import HOST, L2, Nft

POOL = """\
apiVersion: fairlead.dev/v1alpha1
kind: AddressPool
metadata: {name: pool}
spec: {addresses: [192.0.2.10-192.0.2.99]}
"""


def service(name: str, port: int = 80) -> str:
    return (
        "---\napiVersion: v1\nkind: Service\n"
        f"metadata: {{name: {name}}}\n"
        f"spec: {{type: LoadBalancer, ports: [{{port: {port}}}]}}\n"
    )


def services(count: int) -> str:
    return "".join(service(f"s{number:02}") for number in range(count))


class Told:
    """A reporter that remembers."""

    def __init__(self) -> None:
        self.starts: list[Started] = []
        self.problems: list[str] = []
        self.refusals: list[Refused | None] = []
        self.verdict_of: dict[str, Verdict] = {}
        self.healths: list[DriverHealth] = []
        self.stops: list[Stopped] = []
        self.log: list[str] = []

    def started(self, event: Started) -> None:
        self.starts.append(event)

    def read(self, problems: Sequence[Problem], unknown: Mapping[str, int]) -> None:
        self.problems = [f"{p.path}:{p.line}: {p.message}" for p in problems]

    def refused(self, refused: Refused | None) -> None:
        self.refusals.append(refused)

    def verdicts(self, plan: Plan, changes: Sequence[VerdictChange]) -> None:
        for ref, _, after in changes:
            self.log.append(f"{ref.name} {after.state.value if after else 'gone'}")
            if after is None:
                del self.verdict_of[ref.name]
            else:
                self.verdict_of[ref.name] = after

    def health(self, health: DriverHealth) -> None:
        self.healths.append(health)

    def stopped(self, event: Stopped) -> None:
        self.stops.append(event)


class FakeLinks:
    """Tells of a change whenever somebody rings."""

    def __init__(self) -> None:
        self._in, self._out = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def ring(self) -> None:
        os.write(self._out, b"!")

    def fileno(self) -> int:
        return self._in

    def changed(self) -> bool:
        return bool(os.read(self._in, 100))

    def close(self) -> None:
        os.close(self._in)
        os.close(self._out)


class House:
    """One host: a folder of manifests, a state directory, and a data plane that outlives ``up``."""

    def __init__(self, directory: Path) -> None:
        self.folder, self.state = directory / "manifests", directory / "state"
        self.folder.mkdir()
        self.log: list[str] = []
        self.nft, self.lan = Nft(self.log), L2(self.log)
        self.told = Told()
        self.code: int | None = None
        self.closed = 0
        self.links: Callable[[], FakeLinks] | None = None
        self.dhcp = FakeDhcp()

    def write(self, text: str, name: str = "all.yaml") -> None:
        """Replace a manifest in one step, as editors do."""
        part = self.folder / ".part"
        part.write_text(text)
        part.rename(self.folder / name)

    @property
    def addresses(self) -> list[str]:
        """What is announced; it must be what has listeners."""
        return sorted(map(canonical, self.lan.observe().owned))

    @property
    def refusing(self) -> list[str]:
        """What the L4 data plane knows."""
        return sorted(map(canonical, self.nft.observe().vips))

    def crash(self) -> None:
        """The process is no more; what the kernel has stays, what the drivers remember goes."""
        before_nft, before_lan = self.nft, self.lan
        self.nft, self.lan = Nft(self.log), L2(self.log)
        self.nft._known = before_nft._known
        self.lan.host = self.lan._host = before_lan.host
        self.told = Told()

    def planes(self) -> Planes:
        """What `up` drives."""
        return Planes(self.nft, self.lan, dhcp=self.dhcp, links=self.links, close=self.close)

    def close(self) -> None:
        self.closed += 1

    @asynccontextmanager
    async def serving(self, **options: object) -> AsyncIterator[None]:
        """``up`` runs until the end of the block, and then gets a SIGTERM."""
        chosen = UpOptions(paths=[self.folder], state=self.state, host=HOST, every=0.05)
        chosen = replace(chosen, **options)  # type: ignore[arg-type]
        task = asyncio.create_task(
            up(
                chosen,
                report=self.told,
                planes=lambda _: self.planes(),
            )
        )
        try:
            yield
            if task.done():
                await task  # it ended by itself: say why
            os.kill(os.getpid(), signal.SIGTERM)
            self.code = await task
        finally:
            task.cancel()
