"""Five hundred VIPs under load while engines are drained and agents are restarted on purpose."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Address
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals

import pytest

from fairlead.lab import Hosts, Lab, cluster
from fairlead.lab.engines import AGENT, FENCE, Engines, open_directory
from fairlead.lab.probe import (
    Answer,
    Asking,
    Holders,
    Outcome,
    Refused,
    TcpConnection,
    TimedOut,
    tcp_connect,
)
from fairlead.lab.published import PORT, objects, written
from fairlead.model.addresses import IPAddress

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(600)]
FIRST = IPv4Address("10.77.1.0")
VIPS = 500
SLACK = 2.0
"""Seconds that a busy machine may add."""
STALL = 0.25
"""Seconds that a prober of 500 VIPs may be late, which goes before nearly everything else."""


class Site:
    """Three engines, two pods behind them, a client."""

    def __init__(self, hosts: Hosts, directory: Path) -> None:
        self.hosts = hosts
        names = [host.name for host in hosts.with_role("engine")]
        homes: dict[IPAddress, str] = {FIRST + n: names[n % len(names)] for n in range(VIPS)}
        manifests = objects(
            engines={name: hosts[name].v4 for name in names},
            homes=homes,
            pods=[host.v4 for host in hosts.with_role("pod")],
            target=8080,
        )
        folder = directory / "manifests"
        folder.mkdir()
        (folder / "site.yaml").write_text(written(manifests))
        self.engines = Engines(hosts, names, directory, homes=homes, source=["-f", str(folder)])
        self.engines.start()

    @contextmanager
    def connected(self) -> Iterator[dict[IPAddress, TcpConnection]]:
        """A connection to every VIP."""
        with ExitStack() as stack:
            made = self.hosts["client"].call(_connect_all, list(self.engines.homes))
            for one in made.values():
                if isinstance(one, TcpConnection):
                    stack.enter_context(one)
            assert all(isinstance(one, TcpConnection) for one in made.values()), made
            yield {vip: one for vip, one in made.items() if isinstance(one, TcpConnection)}


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    plan = cluster(lan=["10.77.0.0/16"], pod_networks=["10.244.0.0/16"], engines=3, pods=2)
    with open_directory() as name, Lab(plan) as hosts:
        yield Site(hosts, Path(name))


@pytest.fixture(autouse=True)
def _well(site: Site) -> None:
    site.engines.until(site.engines.well, "every VIP at home", seconds=120)


def _connect_all(vips: list[IPAddress]) -> dict[IPAddress, TcpConnection | Refused | TimedOut]:
    return {vip: tcp_connect(vip, PORT, 5.0) for vip in vips}


def kinds(asked: Mapping[IPAddress, Outcome]) -> Counter[str]:
    """How many went on, were reset, or hang."""
    return Counter(
        "goes on" if isinstance(one, Answer) else str(getattr(one, "reason", "hangs"))
        for one in asked.values()
    )


def test_of_a_drained_engine_flows_break_at_once_and_none_hangs(
    site: Site, record_property: Callable[[str, object], None]
) -> None:
    engines = site.engines
    mine = engines.at_home_on("engine-2")
    with site.connected() as flows:
        with Asking(site.hosts["client"], mine, PORT) as asking:
            time.sleep(0.5)
            engines.end("engine-2", FENCE, SIGTERM)
            assert engines.held_without("engine-2")
            asked = {vip: flow.ask(timeout=5.0) for vip, flow in flows.items()}
        engines.start_fence("engine-2")
        engines.until(engines.well, "the return", seconds=60)
        stayed = {vip: flow.ask(timeout=5.0) for vip, flow in flows.items() if vip not in mine}
    moved = kinds({vip: asked[vip] for vip in mine})
    record_property("flows of VIPs that moved", dict(moved))
    record_property("new connections", asking.asked)
    print(f"of the flows of VIPs that moved {moved}; {asking.asked} new connections")
    assert asking.failed == 0
    assert moved.keys() <= {"goes on", "reset"}, "a flow hangs"
    assert max(one.elapsed for one in asked.values()) < 0.5 + SLACK
    assert kinds(stayed).keys() == {"goes on"}, "a flow broke whose VIP did not move"


@pytest.mark.parametrize("number", [SIGTERM, SIGKILL], ids=["stopped", "killed"])
def test_agents_that_are_restarted_one_after_the_other_move_nothing(
    site: Site, number: Signals, record_property: Callable[[str, object], None]
) -> None:
    engines = site.engines
    vips = list(engines.homes)
    with (
        site.connected() as flows,
        Holders(site.hosts["client"], vips, every=0.05) as seen,
        Asking(site.hosts["client"], vips[:50], PORT) as asking,
    ):
        time.sleep(0.5)
        began = seen.now()
        for name in engines.names:
            engines.end(name, AGENT, number)
            engines.start_agent(name)
            time.sleep(4.0)
        after = {vip: flow.ask(timeout=5.0) for vip, flow in flows.items()}
    silent = max(seen.outage(vip, since=began) for vip in vips)
    record_property("silent", silent)
    record_property("lag", seen.lag)
    print(f"silent {silent:.3f} s, prober late by {seen.lag:.3f} s, {asking.asked} connections")
    if seen.lag > STALL:
        pytest.skip(f"the machine stood still for {seen.lag:.1f} s: any engine may look dead then")
    assert asking.failed == 0
    assert kinds(after).keys() == {"goes on"}
    assert {vip for vip in vips if seen.moves(vip, since=began)} == set()
    assert max(seen.doubles(vip) for vip in vips) == 0.0
    assert silent < 0.2 + seen.lag + SLACK
