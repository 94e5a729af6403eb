"""Three engines with a fence and an agent each, as processes, and six VIPs to hold."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path
from signal import Signals

from fairlead.cli.demo.deviation import Deviation
from fairlead.lab import Hosts, Lab, LabError, cluster
from fairlead.lab.engines import Engines, open_directory
from fairlead.lab.probe import Holders
from fairlead.lab.published import objects, written
from fairlead.model.addresses import IPAddress

VIPS = tuple(IPv4Address("192.0.2.10") + n for n in range(6))


class Site:
    """The running site. ``engines`` are the names of the engines."""

    def __init__(self, hosts: Hosts, directory: Path) -> None:
        self.hosts = hosts
        self.engines = [host.name for host in hosts.with_role("engine")]
        self.client = hosts["client"]
        self._names = {hosts[name].mac(): name for name in self.engines}
        homes: dict[IPAddress, str] = {vip: self.home(vip) for vip in VIPS}
        manifests = objects(
            engines={name: hosts[name].v4 for name in self.engines},
            homes=homes,
            pods=[pod.v4 for pod in hosts.with_role("pod")],
            target=8080,
        )
        folder = directory / "manifests"
        folder.mkdir()
        (folder / "site.yaml").write_text(written(manifests))
        source = ["-f", str(folder)]
        self._running = Engines(hosts, self.engines, directory, homes=homes, source=source)
        self._running.start()

    def start_fence(self, name: str) -> None:
        """Start the fence of an engine."""
        self._running.start_fence(name)

    def start_agent(self, name: str) -> None:
        """Start the agent of an engine."""
        self._running.start_agent(name)

    def end(self, name: str, what: str, number: Signals) -> None:
        """Send a signal to the fence or agent of an engine, and wait for its end."""
        self._running.end(name, what, number)

    def holders(self) -> dict[IPv4Address, str]:
        """Which engine has which VIP on its LAN; two are both named."""
        held = {name: self._running.held(name) for name in self.engines}
        found = {vip: [name for name in self.engines if vip in held[name]] for vip in VIPS}
        return {vip: "+".join(names or ["-"]) for vip, names in found.items()}

    def answered_by(self, seen: Holders, vip: IPv4Address) -> str:
        """The engine that answered last."""
        return self._names.get(seen.holder(vip) or "", "-")

    def home(self, vip: IPv4Address) -> str:
        """The engine that a VIP is at home on."""
        return self.engines[VIPS.index(vip) % len(self.engines)]

    def at_home(self) -> bool:
        """Whether every VIP is, and all engines rule together."""
        return self._running.well()

    def until(self, condition: Callable[[], bool], what: str, *, seconds: float = 30) -> None:
        """Wait; raises :class:`Deviation` with what the processes said when it does not happen."""
        try:
            self._running.until(condition, what, seconds=seconds)
        except LabError:
            within = f"within {seconds:g} s {what}"
            hints = self._running.said()
            raise Deviation(expected=within, seen=self.holders(), hints=hints) from None


@contextmanager
def site() -> Iterator[Site]:
    """The site, with every VIP at home."""
    with open_directory() as name, Lab(cluster(engines=3, pods=2)) as hosts:
        made = Site(hosts, Path(name))
        made.until(made.at_home, "every VIP at home", seconds=60)
        yield made
