"""A router that peers with whatever engine comes, and engines, for tests against a real FRR."""

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from ipaddress import IPv4Address, ip_address
from pathlib import Path
from typing import Any, TypeVar

from msgspec.structs import replace

from fairlead.drivers.bgp import BgpDriver, House
from fairlead.drivers.bgp.driver import Secrets, no_secrets
from fairlead.lab import Host, Hosts, Lab
from fairlead.lab.rhi import INTERFACES, PATIENT, engine_address, route_health
from fairlead.lab.router import Router, from_cisco
from fairlead.model.desired import BgpDesired, BgpSpeaker
from fairlead.model.peers import BgpPeer

from .steps import converge

Result = TypeVar("Result")
SIX = """
router bgp 6000
 neighbor SIX peer-group
 neighbor SIX remote-as 5000
 neighbor SIX bfd
 neighbor SIX bfd profile cisco
 bgp listen range fd00:16::/64 peer-group SIX
 address-family ipv6 unicast
  neighbor SIX activate
  maximum-paths 10
 exit-address-family
exit
"""
"""What the router needs besides, for IPv6."""

TOR = BgpPeer(remote=ip_address("10.10.16.250"), asn=6000, local_asn=5000)
TOR6 = BgpPeer(remote=ip_address("fd00:16::250"), asn=6000, local_asn=5000)


class Engine:
    """An engine with a driver of its own; FRR lives in a directory that goes with it."""

    def __init__(self, host: Host, number: int, *, hold: float, secrets: Secrets) -> None:
        self.host = host
        self.number = number
        self.directory = Path(tempfile.mkdtemp(prefix="fairlead-house-"))
        self.directory.chmod(0o755)  # FRR runs as a user of its own
        self.driver = BgpDriver(house=House(self.directory, hold=hold), secrets=secrets)
        self.speaker = BgpSpeaker(5000, IPv4Address(engine_address(number)))

    def call(self, function: Callable[..., Result], *args: Any) -> Result:
        """Call something on a thread inside the engine's namespace."""
        return self.host.call(function, *args)

    def converge(self, desired: BgpDesired) -> None:
        """A full round."""
        self.call(converge, self.driver, replace(desired, speaker=self.speaker))

    def observe(self) -> BgpDesired:
        """What is in place."""
        return self.call(self.driver.observe)

    def holds(self, desired: BgpDesired) -> bool:
        """Whether exactly that is in place."""
        return self.observe() == replace(desired, speaker=self.speaker)

    def by_hand(self, *commands: str, daemon: str = "bgpd") -> None:
        """Configure FRR as an operator at the console would."""
        sockets = str(self.driver_house.vty(daemon).parent)
        typed = [word for command in ("configure terminal", *commands) for word in ("-c", command)]
        self.host.run(["vtysh", "--vty_socket", sockets, *typed], check=True)

    @property
    def driver_house(self) -> House:
        """Where its FRR lives."""
        return House(self.directory)

    def running(self, daemon: str) -> str:
        """The running configuration of a daemon."""
        sockets = str(self.driver_house.vty(daemon).parent)
        argv = ["vtysh", "--vty_socket", sockets, "-d", daemon, "-c", "show running-config"]
        return self.host.run(argv, check=True).stdout

    def processes(self, name: str) -> list[int]:
        """The pids of a daemon, or of the owner, in the engine's namespace."""
        return [pid for pid in _inside(self.host) if name in _words(pid)]

    def kill(self, name: str) -> None:
        """``kill -9`` it, and wait for its end."""
        pids = self.processes(name)
        assert pids, f"no {name} on {self.host.name}"
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        until(lambda: not set(pids) & set(self.processes(name)), f"{name} ends")

    def close(self) -> None:
        """Withdraw everything."""
        self.call(self.driver.withdraw)
        self.driver.close()
        shutil.rmtree(self.directory, ignore_errors=True)


class Site:
    """The lab, its router, and its engines as they are asked for."""

    def __init__(self, lab: Hosts, router: Router) -> None:
        self.lab, self.router = lab, router
        self.engines: list[Engine] = []

    def engine(
        self, number: int = 1, *, hold: float = 20.0, secrets: Secrets = no_secrets
    ) -> Engine:
        """An engine with a fresh driver."""
        made = Engine(self.lab[f"engine-{number}"], number, hold=hold, secrets=secrets)
        self.engines.append(made)
        return made

    def close(self) -> None:
        """Withdraw everything from all engines."""
        while self.engines:
            self.engines.pop().close()

    def paths(self, address: object) -> set[str]:
        """The addresses of the engines to which the router's kernel sends an IPv4 VIP."""
        return self.router.next_hops(f"{address}/32")

    def reached(self, address: object, *engines: int) -> float:
        """Wait until the router sends the VIP to exactly these engines; the seconds it took."""
        wanted = set(map(engine_address, engines))
        return until(lambda: self.paths(address) == wanted, f"{address} via {sorted(wanted)}")

    def sessions(self, family: str = "ipv4") -> dict[str, Any]:
        """The router's neighbours in a family."""
        peers = self.router.show(f"bgp {family} unicast summary").get("peers", {})
        assert isinstance(peers, dict)
        return peers

    def established(self, *engines: int) -> None:
        """Wait for the sessions of these engines."""
        wanted = {engine_address(number) for number in engines}

        def up() -> bool:
            peers = self.sessions().items()
            return wanted <= {name for name, row in peers if row["state"] == "Established"}

        until(up, f"sessions with {sorted(wanted)}")


@contextmanager
def opened(config: str | None = None) -> Iterator[Site]:
    """The lab with its router up."""
    text = config or from_cisco(PATIENT, interfaces=INTERFACES) + SIX
    with Lab(route_health()) as lab, Router(lab["router"], text) as router:
        site = Site(lab, router)
        try:
            yield site
        finally:
            site.close()


def until(what: Callable[[], bool], why: str, *, patience: float = 15.0) -> float:
    """Poll until it holds; the seconds it took."""
    start = time.monotonic()
    while not what():
        assert time.monotonic() - start < patience, f"not within {patience:g} s: {why}"
        time.sleep(0.01)
    return time.monotonic() - start


def never(what: Callable[[], bool], why: str, *, seconds: float) -> None:
    """Poll for a while; it must not hold."""
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        assert not what(), why
        time.sleep(0.01)


def _inside(host: Host) -> list[int]:
    home = host.netns.stat().st_ino
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            if (entry / "ns/net").stat().st_ino == home:
                found.append(int(entry.name))
    return found


def _words(pid: int) -> set[str]:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return set()
    names = [word.decode(errors="replace").rpartition("/")[2] for word in words[:3]]
    return set(names)
