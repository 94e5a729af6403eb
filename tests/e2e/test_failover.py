"""Agents and their fences on three hosts, as processes: VIPs outlive engines and agents."""

import time
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from fairlead.lab import Hosts, Lab, cluster
from fairlead.lab.engines import AGENT, Engines, open_directory
from fairlead.lab.probe import Answer, Holders, tcp_ask
from fairlead.lab.published import PORT, objects, written
from fairlead.model.addresses import IPAddress

pytestmark = pytest.mark.root
VIPS: list[IPAddress] = [IPv4Address("192.0.2.10") + n for n in range(6)]
SLACK = 2.0
"""Seconds that a busy machine may add."""


class Site:
    """Three engines with a fence and an agent each; the agents read one folder. ``buffer``: so many
    of them take over, and have nothing of their own."""

    def __init__(self, hosts: Hosts, directory: Path, *, buffer: int = 0) -> None:
        self.hosts = hosts
        names = [host.name for host in hosts.with_role("engine")]
        homes = {vip: names[n % (len(names) - buffer)] for n, vip in enumerate(VIPS)}
        manifests = objects(
            engines={name: hosts[name].v4 for name in names},
            homes=homes,
            pods=[pod.v4 for pod in hosts.with_role("pod")],
            target=8080,
        )
        reserve = [_reserve(buffer)] if buffer else []
        folder = directory / "manifests"
        folder.mkdir()
        (folder / "all.yaml").write_text(written([*manifests, *reserve]))
        self.engines = Engines(hosts, names, directory, homes=homes, source=["-f", str(folder)])
        self.engines.start()

    def answers(self) -> bool:
        client = self.hosts["client"]
        return all(isinstance(client.call(tcp_ask, str(vip), PORT), Answer) for vip in VIPS)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with open_directory() as name, Lab(cluster(engines=3, pods=2)) as hosts:
        found = Site(hosts, Path(name))
        found.engines.until(found.engines.well, "every VIP at home", seconds=60)
        yield found


def test_every_vip_is_at_home_and_answers(site: Site) -> None:
    site.engines.until(site.engines.well, "every VIP at home")
    assert site.answers()


def test_a_crash_is_survived_with_traffic(site: Site) -> None:
    engines = site.engines
    lost = engines.at_home_on("engine-1")
    with Holders(site.hosts["client"], VIPS) as seen:
        time.sleep(0.3)
        cut = seen.now()
        engines.crash("engine-1")
        engines.until(lambda: engines.held_without("engine-1"), "the take-over")
        time.sleep(0.5)
        back = seen.now()
        engines.mend("engine-1")
        engines.until(engines.well, "the return")
    assert max(seen.outage(vip, since=cut, until=back) for vip in lost) < 0.5 + SLACK
    assert max(seen.doubles(vip) for vip in VIPS) == 0.0
    engines.until(site.answers, "answers")


def test_an_agent_that_is_killed_darkens_nothing(site: Site) -> None:
    engines = site.engines
    with Holders(site.hosts["client"], VIPS) as seen:
        time.sleep(0.3)
        killed = seen.now()
        engines.end("engine-2", AGENT)
        time.sleep(1.0)
        assert site.answers()
        engines.start_agent("engine-2")
        time.sleep(3.0)
    assert engines.at_home()
    assert max(seen.outage(vip, since=killed) for vip in VIPS) < 0.1 + SLACK / 2
    assert site.answers()


def test_the_buffer_takes_over_what_a_crash_leaves_and_gives_it_back() -> None:
    """NPlusM, by agents and by fences: nobody else gets more than it has."""
    with open_directory() as name, Lab(cluster(engines=3, pods=1)) as hosts:
        site = Site(hosts, Path(name), buffer=1)
        engines = site.engines
        one, two, spare = engines.names
        engines.until(engines.well, "every VIP at home", seconds=60)
        assert not engines.held(spare)
        engines.crash(one)
        lost, others = set(engines.at_home_on(one)), set(engines.at_home_on(two))
        engines.until(lambda: engines.held(spare) == lost, "the take-over")
        assert engines.held(two) == others
        engines.mend(one)
        engines.until(engines.well, "the return")
        engines.until(site.answers, "answers")


def _reserve(buffer: int) -> dict[str, object]:
    """A group of every Node that keeps some in reserve."""
    return {
        "apiVersion": "fairlead.dev/v1alpha1",
        "kind": "EngineGroup",
        "metadata": {"name": "default"},
        "spec": {"nodeSelector": {}, "mode": "NPlusM", "bufferEngines": buffer},
    }
