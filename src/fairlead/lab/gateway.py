"""A real UPnP gateway of the lab: miniupnpd on one of its hosts, with an "internet" behind it.

    with Gateway(lab["client"], lab["client-2"]) as gateway:
        gateway.outside.call(tcp_ask, gateway.address, 32380)

The inner host is the router of the LAN; the outer one is somebody on the internet, who is taken off
the LAN and reaches only the addresses of the gateway's outer side.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fairlead.lab.errors import LabError, LabUnavailable

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from types import TracebackType

    from fairlead.lab.host import Host

__all__ = ["Gateway"]

PROGRAM: Final = "/usr/sbin/miniupnpd"
NETWORK: Final = "80.81.90.0/24"
"""Between the gateway and the internet."""
ADDRESS: Final = "80.81.90.2"
"""Not of the ranges for documentation, which miniupnpd takes for private."""
OUTSIDE6: Final = "2a02:90::1"
ADDRESS6: Final = "2a02:90::2"
PATIENCE: Final = 15.0
RULES: Final = """
table inet filter {
  chain forward {
    type filter hook forward priority 0; policy accept;
    ct state established,related accept
    iifname "wan" jump miniupnpd
    iifname "wan" drop
  }
  chain miniupnpd { }
  chain prerouting { type nat hook prerouting priority -100; jump prerouting_miniupnpd; }
  chain postrouting { type nat hook postrouting priority 100; jump postrouting_miniupnpd; }
  chain prerouting_miniupnpd { }
  chain postrouting_miniupnpd { }
}
"""
CHAINS: Final = ("miniupnpd", "prerouting_miniupnpd", "postrouting_miniupnpd")


class Gateway:
    """miniupnpd on a host. ``secure``: a host may map only to itself. ``version``: of the gateway
    device, 1 or 2 (pinholes for IPv6 come with 2). LabUnavailable when it is not installed."""

    def __init__(
        self,
        host: Host,
        outside: Host,
        *,
        address: str = ADDRESS,
        secure: bool = False,
        version: int = 2,
    ) -> None:
        self.host: Final = host
        self.outside: Final = outside
        self.address: Final = address
        self.version: Final = version
        self._secure = secure
        self._directory: Path | None = None
        self._running: subprocess.Popen[str] | None = None

    def __enter__(self) -> Gateway:
        self._prepare()
        try:
            self.start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    @contextmanager
    def wired(self) -> Iterator[Gateway]:
        """With its cables, and switched off: :meth:`start` switches it on."""
        self._prepare()
        try:
            yield self
        finally:
            self._end()

    def start(self) -> None:
        """Start it, with whatever mappings its rules still have, and wait until it listens."""
        if self._directory is None:
            raise LabError(f"the gateway on {self.host.name} has ended")
        config = self._directory / "miniupnpd.conf"
        config.write_text(self._config())
        log = (self._directory / "log").open("w")
        argv = [PROGRAM, "-d", "-f", str(config), "-P", str(self._directory / "pid")]
        with log:
            self._running = self.host.popen(argv, stdout=log, stderr=log)
        self._await_listening()

    def kill(self) -> None:
        """It ends at once; its rules stay in the kernel."""
        if self._running is not None:
            self._running.kill()
            self._running.wait()
            self._running = None

    def forget(self) -> None:
        """Lose every mapping, as a router that is switched off."""
        for chain in CHAINS:
            self.host.run(["nft", "flush", "chain", "inet", "filter", chain], check=True)

    def restart(self) -> None:
        """As when the router is switched off and on: no mapping is left."""
        self.kill()
        self.forget()
        self.start()

    def rules(self) -> list[str]:
        """The port mappings in the kernel, as nft shows them."""
        listed = self._chain("prerouting_miniupnpd")
        return [line.strip() for line in listed.splitlines() if "dnat" in line]

    def pinholes(self) -> list[str]:
        """What it lets in for IPv6, as nft shows it."""
        listed = self._chain("miniupnpd")
        return [line.strip() for line in listed.splitlines() if "ip6 daddr" in line]

    def said(self) -> str:
        """What it said since its start."""
        assert self._directory is not None
        return (self._directory / "log").read_text(errors="replace")

    def _chain(self, name: str) -> str:
        return self.host.run(["nft", "list", "chain", "inet", "filter", name], check=True).stdout

    def _prepare(self) -> None:
        if not Path(PROGRAM).exists():
            raise LabUnavailable("the gateway of the lab needs miniupnpd-nftables: install it")
        self._directory = Path(tempfile.mkdtemp(prefix="fairlead-gateway-"))
        try:
            self._wire()
        except BaseException:
            self._end()
            raise

    def _wire(self) -> None:
        inner, outer = self.host, self.outside
        outer.ip("link", "set", "lan", "down")  # with its route to the LAN
        inner.ip(
            "link", "add", "wan", "type", "veth", "peer", "name", "wan", "netns", outer.namespace
        )
        inner.ip("address", "add", f"{self.address}/24", "dev", "wan")
        inner.ip("address", "add", f"{ADDRESS6}/64", "dev", "wan", "nodad")
        outer.ip("address", "add", f"{_beside(self.address)}/24", "dev", "wan")
        outer.ip("address", "add", f"{OUTSIDE6}/64", "dev", "wan", "nodad")
        for host in (inner, outer):
            host.ip("link", "set", "wan", "up")
        outer.ip("-6", "route", "replace", "default", "via", ADDRESS6)
        for name in ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"):
            inner.run(["sh", "-c", f"echo 1 > /proc/sys/{name}"], check=True)
        inner.run(["nft", "-f", "-"], input=RULES, check=True)

    def _config(self) -> str:
        return "\n".join(
            (
                "ext_ifname=wan",
                "listening_ip=lan",
                "http_port=0",
                "enable_natpmp=no",
                f"secure_mode={'yes' if self._secure else 'no'}",
                f"force_igd_desc_v1={'yes' if self.version == 1 else 'no'}",
                "system_uptime=yes",
                "notify_interval=60",
                "uuid=fc4ec57e-28b1-11db-88f8-0060085db3f6",
                "allow 1-65535 0.0.0.0/0 1-65535",
                "",
            )
        )

    def _await_listening(self) -> None:
        end = time.monotonic() + PATIENCE
        while "HTTP listening on port" not in self.said():
            running = self._running
            if running is None or running.poll() is not None or time.monotonic() > end:
                raise LabError(f"miniupnpd on {self.host.name} does not start: {self.said()}")
            time.sleep(0.02)

    def _end(self) -> None:
        self.kill()
        self.host.run(["nft", "delete", "table", "inet", "filter"])
        self.host.run(["ip", "link", "delete", "wan"])
        self.outside.run(["ip", "link", "set", "lan", "up"])
        if self._directory is not None:
            shutil.rmtree(self._directory)
            self._directory = None


def _beside(address: str) -> str:
    head, _, last = address.rpartition(".")
    return f"{head}.{int(last) - 1}"
