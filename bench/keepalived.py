"""keepalived beside Fairlead, on two hosts of the same lab: VRRPv3, an advertisement each 0.1 s,
``nopreempt``."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from fairlead.lab import Host
from fairlead.lab.probe import Holders
from fairlead.model.addresses import IPAddress

PROGRAM = "/usr/sbin/keepalived"
SETTLED = 0.7
"""Seconds of quiet before a crash."""
CONFIG = """\
global_defs {{
    vrrp_version 3
}}
vrrp_instance vip {{
    state BACKUP
    nopreempt
    interface lan
    virtual_router_id 51
    priority {priority}
    advert_int 0.1
    virtual_ipaddress {{
        {vip}/32 dev lan
    }}
}}
"""


class Keepalived:
    """One VIP on two hosts; the lab ends the processes."""

    def __init__(self, hosts: Sequence[Host], vip: IPAddress, directory: Path) -> None:
        self.hosts, self.vip = hosts, vip
        for priority, host in zip((100, 90), hosts, strict=True):
            file = directory / f"keepalived-{host.name}.conf"
            file.write_text(CONFIG.format(priority=priority, vip=vip))
            argv = [PROGRAM, "--dont-fork", "--log-console", "--vrrp", f"--use-file={file}"]
            argv += [f"--pid={file}.pid", f"--vrrp_pid={file}.vrrp.pid"]
            with (directory / f"keepalived-{host.name}.log").open("w") as log:
                host.popen(argv, stdout=log, stderr=log)
        while not self.masters():
            time.sleep(0.1)

    def masters(self) -> list[Host]:
        """Who has the VIP."""
        return [host for host in self.hosts if self._has(host)]

    def _has(self, host: Host) -> bool:
        return f" {self.vip}/32 " in host.ip("-4", "-o", "address", "show", "dev", "lan")


def outage(peer: Keepalived, client: Host) -> float:
    """Cut both cables of the master; the silence that a prober sees, in ms. It is mended after."""
    (master,) = peer.masters()
    with Holders(client, [peer.vip]) as seen:
        time.sleep(SETTLED)
        cut = seen.now()
        _cables(master, Host.cut)
        time.sleep(3 * SETTLED)
    found = 1000 * seen.outage(peer.vip, since=cut)
    _cables(master, Host.mend)
    while peer.masters() in ([], [master]) or len(peer.masters()) > 1:
        time.sleep(0.1)
    return found


def _cables(host: Host, change: Callable[[Host, str], None]) -> None:
    for segment in ("lan", "pods"):
        change(host, segment)
