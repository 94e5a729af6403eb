"""Daemons, owners and agents that die, and what routers see of it."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from ipaddress import IPv4Address

import pytest
from msgspec.structs import replace

from fairlead.drivers.base import DriverError
from fairlead.drivers.bgp import BgpDriver, House
from fairlead.drivers.bgp import owner as owner_module
from fairlead.lab.rhi import ROUTER, engine_address
from fairlead.model.addresses import IPAddress
from fairlead.model.desired import BgpChanges, BgpDesired
from fairlead.model.peers import BgpRoute

from .site import TOR, Engine, Site, never, until
from .steps import BROKEN

pytestmark = pytest.mark.root

PLAIN = BgpRoute()
VIP, OTHER = IPv4Address("10.40.0.1"), IPv4Address("10.40.0.2")
DESIRED = BgpDesired(peers={"tor": TOR}, routes={VIP: PLAIN, OTHER: PLAIN})


@pytest.fixture
def pair(site: Site) -> tuple[Engine, Engine]:
    """Two engines that announce the same VIPs."""
    engines = site.engine(1), site.engine(2)
    for engine in engines:
        engine.converge(DESIRED)
    site.reached(VIP, 1, 2)
    return engines


class Watch:
    """Looks all the time whether the router still sends a VIP to an engine."""

    def __init__(self, site: Site, engine: int) -> None:
        self.site, self.hop = site, engine_address(engine)
        self.lost = False

    def look(self, what: Callable[[], bool] | None = None) -> bool:
        self.lost |= self.hop not in self.site.paths(VIP)
        return what() if what else False


def follow(engine: Engine) -> None:
    """What the reconcile loop does when a driver says that it is disturbed."""
    until(engine.driver.disturbed, "the driver notices")
    engine.converge(DESIRED)
    assert engine.holds(DESIRED)


def test_bgpd_killed_costs_no_route(site: Site, pair: tuple[Engine, Engine]) -> None:
    """Graceful restart: the router keeps the routes meanwhile, of both engines."""
    watches = [Watch(site, 1), Watch(site, 2)]
    pair[0].kill("bgpd")
    follow(pair[0])
    address = engine_address(1)
    until(
        lambda: (
            any(watch.look() for watch in watches)
            or site.sessions().get(address, {}).get("pfxRcd") == 2
        ),
        "the session is back",
    )
    end = time.monotonic() + 1
    while time.monotonic() < end:
        for watch in watches:
            watch.look()
    assert not any(watch.lost for watch in watches)


def test_a_vip_that_went_while_bgpd_was_away_is_forgotten(
    site: Site, pair: tuple[Engine, Engine]
) -> None:
    pair[0].kill("bgpd")
    until(pair[0].driver.disturbed, "the driver notices")
    pair[0].converge(replace(DESIRED, routes={VIP: PLAIN}))
    site.reached(OTHER, 2)
    site.reached(VIP, 1, 2)


@pytest.mark.parametrize("daemon", ["bfdd", "zebra", "owner.py"])
def test_whatever_else_is_killed_comes_back_and_the_other_engine_is_untouched(
    site: Site, pair: tuple[Engine, Engine], daemon: str
) -> None:
    other = Watch(site, 2)
    pair[0].kill(daemon)
    if daemon != "zebra":  # nobody speaks to zebra, and it has no configuration to lose
        follow(pair[0])
    until(lambda: other.look(lambda: bool(pair[0].processes(daemon))), f"{daemon} is back")
    address = engine_address(1)

    def back() -> bool:
        row = site.sessions().get(address, {})
        rows = site.router.show("bfd peers")
        alive = {row["peer"] for row in rows if row["status"] == "up"}
        return row.get("state") == "Established" and row.get("pfxRcd") == 2 and address in alive

    until(lambda: other.look(back), "the session is back", patience=18)
    site.reached(VIP, 1, 2)
    assert not other.lost


def test_with_its_owner_frr_ends_at_once(site: Site, pair: tuple[Engine, Engine]) -> None:
    """Nobody would be left to stop it."""
    assert all(pair[0].processes(name) for name in ("bgpd", "bfdd", "zebra"))
    pair[0].kill("owner.py")
    until(
        lambda: not any(pair[0].processes(name) for name in ("bgpd", "bfdd", "zebra")),
        "FRR ends",
        patience=2,
    )
    site.reached(VIP, 2)  # BFD tells the router


def test_what_somebody_does_by_hand_is_repaired_without_a_flap(site: Site) -> None:
    engine = site.engine(1)
    engine.converge(DESIRED)
    site.reached(VIP, 1)
    before = _session(site)
    harmless = ("a VIP is gone", "a foreign network", "redistribution", "the import filter is open")
    for what in harmless:
        engine.by_hand(*(command.format(A=VIP) for command in BROKEN[what]))
        assert what == "a foreign network" or not engine.holds(DESIRED) or what == "redistribution"
        engine.converge(DESIRED)
        assert engine.holds(DESIRED)
        site.reached(VIP, 1)
    assert _session(site) == before


def test_a_new_agent_goes_on_without_a_flap(site: Site) -> None:
    engine = site.engine(1)
    engine.converge(DESIRED)
    site.reached(VIP, 1)
    before = _session(site)
    engine.driver.close()
    engine.driver = BgpDriver(house=House(engine.directory, hold=20))
    assert engine.observe().routes == DESIRED.routes
    engine.converge(DESIRED)
    assert engine.holds(DESIRED)
    never(lambda: _session(site) != before, "the session flapped", seconds=0.5)


def test_vips_that_come_and_go_flap_nothing(site: Site) -> None:
    engine = site.engine(1)
    engine.converge(DESIRED)
    site.reached(VIP, 1)
    before = _session(site)
    many: dict[IPAddress, BgpRoute | None] = {
        IPv4Address("10.50.0.0") + n: PLAIN for n in range(2000)
    }
    engine.call(engine.driver.apply, BgpChanges(routes=many))
    until(lambda: _prefixes(site) == 2002, "all are there")
    engine.call(engine.driver.apply, BgpChanges(routes=dict.fromkeys(many)))
    until(lambda: _prefixes(site) == 2, "all are gone")
    assert engine.holds(DESIRED)
    assert _session(site) == before


def test_a_vip_that_goes_just_after_the_session_came_is_withdrawn(site: Site) -> None:
    """FRR holds back what is announced in the first second of a session, and forgets there what
    was announced and is gone again, unless it is told not to wait."""
    for number in (1, 2, 3):
        engine = site.engine(number)
        engine.converge(replace(DESIRED, routes={}))
        site.established(number)
        engine.call(engine.driver.apply, BgpChanges(routes={VIP: PLAIN}))
        site.reached(VIP, number)
        engine.call(engine.driver.apply, BgpChanges(routes={VIP: None}))
        site.reached(VIP)


def test_a_router_that_restarts_hears_everything_again(
    site: Site, pair: tuple[Engine, Engine]
) -> None:
    site.router.kill()
    site.router.start()
    site.reached(VIP, 1, 2)
    assert all(engine.holds(DESIRED) for engine in pair)


@pytest.mark.parametrize("configured", [False, True], ids=["from a range", "configured"])
def test_a_stop_withdraws_at_once_although_graceful_restart_is_agreed(
    site: Site, configured: bool
) -> None:
    address = engine_address(1)
    if configured:
        site.router.configure(
            f"router bgp 6000\n neighbor {address} remote-as 5000\n neighbor {address} bfd\n"
            f" address-family ipv4 unicast\n  neighbor {address} activate\n exit\nexit\n"
        )
    try:
        engine = site.engine(1)
        engine.converge(DESIRED)
        site.reached(VIP, 1)
        engine.call(engine.driver.withdraw)
        assert until(lambda: not site.paths(VIP), "no path") < 1.0
        assert not engine.processes("bgpd")
    finally:
        if configured:
            site.router.configure(f"router bgp 6000\n no neighbor {address}\nexit\n")


def test_a_router_that_is_dismissed_forgets_at_once(site: Site) -> None:
    address = engine_address(1)
    site.router.configure(
        f"router bgp 6000\n neighbor {address} remote-as 5000\n neighbor {address} bfd\n"
        f" address-family ipv4 unicast\n  neighbor {address} activate\n exit\nexit\n"
    )
    try:
        engine = site.engine(1)
        other = replace(TOR, remote=IPv4Address("10.10.16.9"), bfd=None)
        engine.converge(replace(DESIRED, peers={"tor": TOR, "other": other}))
        site.reached(VIP, 1)
        engine.call(engine.driver.apply, BgpChanges(peers={"tor": None}))
        assert until(lambda: not site.paths(VIP), "no path") < 1.0
    finally:
        site.router.configure(f"router bgp 6000\n no neighbor {address}\nexit\n")


AGENT = """
import sys, time
from ipaddress import ip_address
from pathlib import Path
from fairlead.drivers.bgp import BgpDriver, House
from fairlead.drivers.bgp import owner as owner_module
from fairlead.model.desired import BgpChanges, BgpDesired, BgpSpeaker
from fairlead.model.peers import BgpPeer, BgpRoute

directory, hold, own, router, *vips = sys.argv[1:]
driver = BgpDriver(house=House(Path(directory), hold=float(hold)))
peer = BgpPeer(remote=ip_address(router), asn=6000, local_asn=5000)
routes = {ip_address(vip): BgpRoute() for vip in vips}
driver.apply(BgpChanges(BgpSpeaker(5000, ip_address(own)), {"tor": peer}, routes))
print("ready", flush=True)
while True:
    time.sleep(0.2)
    driver.observe()
"""


def test_a_dead_agent_is_bridged_and_then_withdrawn(site: Site) -> None:
    """Killed, it may come back: the VIP stays announced for as long as it said, not longer."""
    engine, hold = site.engine(1), 3.0
    argv = [sys.executable, "-c", textwrap.dedent(AGENT), str(engine.directory), str(hold)]
    agent = engine.host.popen(
        [*argv, engine_address(1), ROUTER, str(VIP)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert agent.stdout is not None
    assert agent.stdout.readline() == "ready\n"
    site.reached(VIP, 1)
    never(lambda: not site.paths(VIP), "withdrawn under a living agent", seconds=hold + 0.5)

    agent.send_signal(signal.SIGKILL)
    agent.wait()
    killed = time.monotonic()
    never(lambda: not site.paths(VIP), "withdrawn too early", seconds=hold - 0.8)
    until(lambda: not site.paths(VIP), "withdrawn in the end", patience=hold)
    assert time.monotonic() - killed < hold + 2
    until(lambda: not engine.processes("bgpd"), "FRR ends")
    assert "no agent for 3 seconds" in (engine.directory / "log").read_text()


def test_a_frozen_agent_is_a_dead_one_and_may_come_back(site: Site) -> None:
    engine, hold = site.engine(1), 2.0
    argv = [sys.executable, "-c", textwrap.dedent(AGENT), str(engine.directory), str(hold)]
    agent = engine.host.popen(
        [*argv, engine_address(1), ROUTER, str(VIP)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert agent.stdout is not None
    assert agent.stdout.readline() == "ready\n"
    site.reached(VIP, 1)
    agent.send_signal(signal.SIGSTOP)
    until(lambda: not site.paths(VIP), "withdrawn", patience=hold + 3)
    agent.send_signal(signal.SIGKILL)
    agent.wait()
    engine.converge(DESIRED)
    site.reached(VIP, 1)


def test_an_frr_of_the_hosts_own_is_left_alone(site: Site) -> None:
    engine = site.engine(1)
    listening = engine.host.popen(
        [sys.executable, "-c", _LISTEN], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert listening.stdout is not None
    assert listening.stdout.readline() == "ready\n"
    with pytest.raises(DriverError, match="somebody else on this host listens on UDP 3784"):
        engine.converge(DESIRED)
    assert not engine.processes("zebra")
    listening.kill()
    listening.wait()
    engine.converge(DESIRED)
    site.reached(VIP, 1)


def test_an_frr_that_does_not_start_is_named(
    site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    engine = site.engine(1)
    monkeypatch.setattr("fairlead.drivers.bgp.house.USER", "nobody-of-this-name")
    monkeypatch.setattr("fairlead.drivers.bgp.house.OWNED", 1.0)
    with pytest.raises(DriverError, match=r"FRR does not start.*nobody-of-this-name"):
        engine.converge(DESIRED)


def test_routes_made_local_are_ours_alone(site: Site) -> None:
    engine = site.engine(1)
    engine.host.ip("route", "add", "local", "10.40.0.77", "dev", "lo", "proto", "99")
    engine.converge(DESIRED)
    local = engine.host.ip("route", "show", "table", "local", "proto", "241")
    assert set(local.split()[1::6]) >= {str(VIP)}
    engine.host.ip("route", "del", "table", "local", "local", str(VIP), "dev", "lo")
    assert set(engine.observe().routes) == {OTHER}
    engine.converge(DESIRED)
    assert engine.holds(DESIRED)
    engine.call(engine.driver.withdraw)
    left = engine.host.ip("route", "show", "table", "local")
    assert "10.40.0.77" in left
    assert str(VIP) not in left
    engine.host.ip("route", "del", "local", "10.40.0.77", "dev", "lo", "proto", "99")


_LISTEN = """
import socket, time
heard = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
heard.bind(("", 3784))
print("ready", flush=True)
time.sleep(60)
"""


def _session(site: Site) -> tuple[int, int]:
    row = site.sessions()[engine_address(1)]
    return row["connectionsEstablished"], row["connectionsDropped"]


def _prefixes(site: Site) -> int:
    count = site.sessions()[engine_address(1)]["pfxRcd"]
    assert isinstance(count, int)
    return count


def test_a_bfdd_that_is_there_already_is_shared(site: Site) -> None:
    """A fence's: it was started without the rest of FRR, and goes on without it."""
    engine = site.engine(1)
    shared = engine.directory / "fence"
    shared.mkdir()
    shutil.chown(shared, "frr", "frr")
    (shared / "none.conf").touch()
    bfdd = engine.host.popen(
        [
            *("unshare", "--pid", "--fork", "--kill-child", "--", "/usr/lib/frr/bfdd"),
            *("-f", str(shared / "none.conf"), "-i", str(shared / "bfdd.pid"), "-P", "0"),
            *("-z", str(shared / "zserv.api"), "--vty_socket", str(shared)),
            *("--bfdctl", str(shared / "bfdd.sock"), "-u", "frr", "-g", "frr"),
        ]
    )
    until((shared / "bfdd.vty").exists, "bfdd is there")
    engine.driver = BgpDriver(house=House(engine.directory, hold=20, bfdd=shared))
    engine.converge(DESIRED)
    assert engine.holds(DESIRED)
    site.reached(VIP, 1)
    assert len(engine.processes("bfdd")) == 1
    address = engine_address(1)
    until(
        lambda: any(
            row["peer"] == address and row["status"] == "up"
            for row in site.router.show("bfd peers")
        ),
        "BFD over the shared bfdd",
    )
    engine.call(engine.driver.withdraw)
    assert len(engine.processes("bfdd")) == 1
    bfdd.kill()
    bfdd.wait()
    for pid in engine.processes("bfdd"):
        os.kill(pid, signal.SIGKILL)


def test_an_owner_that_stays_waits_for_the_next_agent(site: Site) -> None:
    """As a container beside the agent: nothing runs without one, and SIGTERM ends it."""
    engine = site.engine(1)
    owner = engine.host.popen(
        [
            *("unshare", "--pid", "--fork", "--kill-child", "--", sys.executable),
            *(owner_module.__file__, "--directory", str(engine.directory), "--stay"),
        ]
    )
    until(lambda: (engine.directory / "owner.sock").exists(), "the owner is there")
    assert engine.observe() == BgpDesired()
    assert not engine.processes("bgpd")
    for _ in range(2):
        engine.converge(DESIRED)
        assert engine.holds(DESIRED)
        site.reached(VIP, 1)
        engine.call(engine.driver.withdraw)
        until(lambda: not engine.processes("bgpd"), "FRR ends")
        site.reached(VIP)
    assert owner.poll() is None
    engine.converge(DESIRED)
    site.reached(VIP, 1)
    for pid in engine.processes("owner.py"):
        os.kill(pid, signal.SIGTERM)
    until(lambda: not site.paths(VIP), "withdrawn")
    owner.wait(10)
    assert not engine.processes("bgpd")
