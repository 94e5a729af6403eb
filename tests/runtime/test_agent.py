"""The agent as a whole, on the drivers' fakes: batches in, addresses out, and what may go wrong."""

import asyncio
from ipaddress import ip_address
from pathlib import Path

import pytest

from fairlead.model.config import Config
from fairlead.model.desired import PASSED
from fairlead.model.names import Ref
from fairlead.model.verdict import Code, State
from fairlead.runtime.agent import cache
from fairlead.sources.kube import Health
from tests.dialects.published import endpoint, engine_group, listener, slices, virtual_ip

from .agents import OTHER, WEB, Site, nodes, vip
from .engine import HOST, until

CLUSTER = Config(dataplane="cluster", node_patience_seconds=0)
NONE = Config(dataplane="none")


def test_it_serves_what_is_published_and_withdraws_at_the_end(tmp_path: Path) -> None:
    async def scenario() -> None:
        site = Site(tmp_path)
        site.source.say(*nodes(), *WEB, vip(10), vip(11, home=OTHER))
        async with site.running():
            await until(lambda: site.addresses == ["192.0.2.10"])
            assert site.passing == ["192.0.2.10", "192.0.2.11"]  # ready to take over
            site.source.say(vip(12), vip(13, suspended=True))
            await until(lambda: site.addresses == ["192.0.2.10", "192.0.2.12"])
            site.source.gone(vip(10))
            await until(lambda: site.addresses == ["192.0.2.12"])
            await until(lambda: len(site.meter.events) == 2)
            await until(lambda: site.told.verdict_of.keys() == {"192.0.2.12"})
        assert site.clean
        assert site.addresses == site.passing == []
        assert site.log[-2:] == ["l2 withdrawn", "l4 withdrawn"]

    asyncio.run(scenario())


def test_backends_follow_their_endpoints(tmp_path: Path) -> None:
    async def scenario() -> None:
        site = Site(tmp_path)

        def behind() -> list[str]:
            rows = site.nft.observe().listeners.values()
            return sorted(str(b.address) for row in rows for b in row.backends)

        site.source.say(*nodes(), *WEB, vip(10))
        async with site.running():
            await until(lambda: behind() == ["10.0.0.1"])
            draining = endpoint("10.0.0.1", HOST, ready=False, serving=True, terminating=True)
            site.source.say(slices("web", draining))
            await asyncio.sleep(0.05)
            assert behind() == ["10.0.0.1"]
            site.source.say(slices("web", draining, endpoint("10.0.0.2")))
            await until(lambda: behind() == ["10.0.0.2"])

    asyncio.run(scenario())


def test_an_engine_that_fails_is_replaced_and_gets_back_what_it_had(tmp_path: Path) -> None:
    async def scenario() -> None:
        site = Site(tmp_path)
        site.source.say(*nodes(), *WEB, vip(10), vip(11, home=OTHER))
        async with site.running():
            await until(lambda: site.addresses == ["192.0.2.10"])
            site.lan.probed.clear()
            site.source.say(*nodes(there=False))
            await until(lambda: site.addresses == ["192.0.2.10", "192.0.2.11"])
            assert site.lan.probed == []  # a probe would ask whom it replaces
            site.source.say(*nodes())
            await until(lambda: site.addresses == ["192.0.2.10"])
            site.source.say(*nodes(here=False, there=False))
            await asyncio.sleep(0.1)
            assert site.addresses == ["192.0.2.10"]  # nobody is ready: that is no information
            assert site.meter.moves == 2

    asyncio.run(scenario())


def test_a_node_that_is_not_ready_for_a_moment_keeps_its_vips(tmp_path: Path) -> None:
    async def scenario() -> None:
        site = Site(tmp_path, config=Config(node_patience_seconds=0.5))
        site.source.say(*nodes(), *WEB, vip(10), vip(11, home=OTHER))
        async with site.running():
            await until(lambda: site.addresses == ["192.0.2.10"])
            before = list(site.log)
            for here, there in ((True, False), (False, False), (False, True), (True, True)):
                site.source.say(*nodes(here=here, there=there))
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.6)
            assert site.log == before
            site.source.say(*nodes(there=False))
            await until(lambda: site.addresses == ["192.0.2.10", "192.0.2.11"])

    asyncio.run(scenario())


def test_a_new_address_is_probed(tmp_path: Path) -> None:
    async def scenario() -> None:
        site = Site(tmp_path)
        site.source.say(*nodes(), *WEB)
        async with site.running():
            await until(lambda: site.told.healths != [])
            site.source.say(vip(10))
            await until(lambda: site.addresses == ["192.0.2.10"])
            assert site.lan.probed == ["192.0.2.10"]

    asyncio.run(scenario())


def test_an_address_that_somebody_else_uses_is_told(tmp_path: Path) -> None:
    async def scenario() -> None:
        from fairlead.model.addresses import parse_address

        site = Site(tmp_path)
        site.lan.hold(parse_address("192.0.2.10"))
        site.source.say(*nodes(), *WEB, vip(10), vip(11))
        async with site.running():
            await until(lambda: site.addresses == ["192.0.2.11"])
            await until(lambda: "192.0.2.10" in site.told.verdict_of)
            said = site.told.verdict_of["192.0.2.10"]
            assert (said.state, said.code) == (State.PENDING, Code.ADDRESS_IN_USE)
            site.lan.leave(parse_address("192.0.2.10"))
            await until(lambda: site.told.verdict_of["192.0.2.10"].state is State.SERVED)

    asyncio.run(scenario())


def test_an_address_that_somebody_else_begins_to_use_is_told(tmp_path: Path) -> None:
    async def scenario() -> None:
        site = Site(tmp_path)
        site.source.say(*nodes(), *WEB, vip(10))
        async with site.running() as agent:
            await until(lambda: site.addresses == ["192.0.2.10"])
            name = "192.0.2.10"
            await until(lambda: name in site.told.verdict_of)
            site.lan.hold(ip_address("192.0.2.10"))
            await until(lambda: site.told.verdict_of[name].code is Code.ADDRESS_DISPUTED)
            assert site.told.verdict_of[name].state is State.SERVED
            (rival,) = agent.dataplane.rivals
            assert (rival.mac, rival.interface) == ("02:00:00:00:00:99", "eth0")
            site.lan.leave(ip_address("192.0.2.10"))
            await until(lambda: site.told.verdict_of[name].code is Code.NONE)

    asyncio.run(scenario())


def test_objects_that_make_no_sense_are_told_and_concern_nobody_else(tmp_path: Path) -> None:
    async def scenario() -> None:
        site = Site(tmp_path)
        bad = virtual_ip("192.0.2.10", listener(), name="192.0.2.99")
        lost = vip(11, engineGroup="gone")
        site.source.say(*nodes(), *WEB, bad, lost, vip(12))
        async with site.running():
            await until(lambda: len(site.told.verdict_of) == 3)
            assert site.addresses == ["192.0.2.11", "192.0.2.12"]
            assert site.told.verdict_of["192.0.2.99"].state is State.REJECTED
            (warning,) = site.told.verdict_of["192.0.2.11"].warnings
            assert warning.code is Code.UNKNOWN_ENGINE_GROUP
            site.source.say(engine_group("gone"))
            await until(lambda: not site.told.verdict_of["192.0.2.11"].warnings)
            site.source.gone(bad)
            await until(lambda: "192.0.2.99 gone" in site.told.log)

    asyncio.run(scenario())


# -- who carries the traffic ----------------------------------------------------------------------


def test_with_the_clusters_proxy_only_the_holder_lets_listeners_pass(tmp_path: Path) -> None:
    async def scenario() -> None:
        site = Site(tmp_path, config=CLUSTER)
        site.source.say(*nodes(), vip(10), vip(11, home=OTHER))
        async with site.running():
            await until(lambda: site.addresses == site.passing == ["192.0.2.10"])
            assert list(site.nft.observe().listeners.values()) == [PASSED]
            site.source.say(*nodes(there=False))
            await until(lambda: site.addresses == site.passing == ["192.0.2.10", "192.0.2.11"])
            site.source.say(*nodes())
            await until(lambda: site.addresses == site.passing == ["192.0.2.10"])
        assert site.addresses == site.passing == []

    asyncio.run(scenario())


def test_endpoints_are_read_once_a_vip_is_local_and_it_goes_where_they_are(tmp_path: Path) -> None:
    async def scenario() -> None:
        site = Site(tmp_path, config=CLUSTER)
        site.source.say(*nodes(), vip(10))
        async with site.running():
            await until(lambda: site.addresses == ["192.0.2.10"])
            assert site.confined == 0
            local = virtual_ip("192.0.2.11", listener(local=True), group="l", home=[HOST])
            site.source.say(local, slices("web", endpoint("10.0.0.1", HOST)))
            await until(lambda: site.confined == 1)
            await until(lambda: site.addresses == ["192.0.2.10", "192.0.2.11"])
            site.source.say(slices("web", endpoint("10.0.0.2", OTHER)))
            await until(lambda: site.addresses == ["192.0.2.10"])

    asyncio.run(scenario())


def test_where_somebody_else_serves_it_follows_and_does_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        site = Site(tmp_path, config=NONE)
        site.source.say(*nodes(), vip(10))
        async with site.running() as agent:
            await until(lambda: agent.plan is not None)
            assert {str(a) for a in agent.mine.addresses} == {"192.0.2.10"}
            await asyncio.sleep(0.05)
            assert site.log == []
        assert site.clean

    asyncio.run(scenario())


# -- the source is away ---------------------------------------------------------------------------


def test_killed_and_started_again_without_a_source_it_goes_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        site = Site(tmp_path)
        site.source.say(*nodes(), *WEB, vip(10), vip(11, home=OTHER))
        async with site.killed():
            await until(lambda: site.addresses == ["192.0.2.10"])
        before = list(site.log)
        async with site.killed(patience=0.05) as agent:
            await until(lambda: agent.plan is not None)
            await until(lambda: "serving what was published at" in site.ills.get("api", ""))
            assert not agent.live
            site.source.say(*nodes(), *WEB, vip(10), vip(11, home=OTHER))
            await until(lambda: agent.live and site.ills["api"] == "")
            await until(lambda: agent.dataplane.settled)
        assert site.log == before
        assert "192.0.2.10 gone" not in site.told.log

    asyncio.run(scenario())


def test_what_the_cache_does_not_know_stays_until_the_source_says_so(tmp_path: Path) -> None:
    async def scenario() -> None:
        site = Site(tmp_path)
        site.source.say(*nodes(), *WEB, vip(10))
        async with site.killed():
            await until(lambda: site.addresses == ["192.0.2.10"])
        saved = (tmp_path / cache.FILE).read_bytes()
        site.source.say(*nodes(), *WEB, vip(10), vip(11), vip(12))
        async with site.killed():
            await until(lambda: len(site.addresses) == 3)
        (tmp_path / cache.FILE).write_bytes(saved)  # killed before it wrote the newest
        before = list(site.log)
        async with site.killed(patience=0.05) as agent:
            await until(lambda: agent.plan is not None and agent.dataplane.settled)
            assert len(site.addresses) == len(site.passing) == 3
            assert site.log == before
            site.source.say(*nodes(), *WEB, vip(10), vip(12))
            await until(lambda: site.addresses == ["192.0.2.10", "192.0.2.12"])
            await until(lambda: site.passing == site.addresses)

    asyncio.run(scenario())


@pytest.mark.parametrize("left", ["nothing", "cut", "foreign", "other"])
def test_without_a_usable_cache_all_stays_as_it_is(tmp_path: Path, left: str) -> None:
    async def scenario() -> None:
        site = Site(tmp_path)
        site.source.say(*nodes(), *WEB, vip(10))
        async with site.killed():
            await until(lambda: site.addresses == ["192.0.2.10"])
        path = tmp_path / cache.FILE
        match left:
            case "nothing":
                path.unlink()
            case "cut":
                path.write_bytes(b"\n".join(path.read_bytes().splitlines()[:-1]))
            case "foreign":
                path.write_bytes(b"\x00\xff")
            case "other":
                site.config = CLUSTER  # its objects would do, but not the other way round
        before = list(site.log)
        async with site.running(patience=0.05, keep=True) as agent:
            await until(lambda: "all is left as it is" in site.ills.get("api", ""))
            assert agent.plan is None
            assert ("cache" in site.ills) is (left != "nothing")
            assert site.log == before
            assert site.addresses == ["192.0.2.10"]

    asyncio.run(scenario())


def test_what_was_deleted_meanwhile_goes_when_the_source_is_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        site = Site(tmp_path)
        site.source.say(*nodes(), *WEB, *map(vip, range(10, 15)))
        async with site.killed():
            await until(lambda: len(site.addresses) == 5)
        async with site.running(patience=0.05) as agent:
            await until(lambda: agent.plan is not None)
            site.source.say(*nodes(), *WEB, *map(vip, range(10, 13)))
            await until(lambda: len(site.addresses) == 3)

    asyncio.run(scenario())


def test_that_nearly_all_is_gone_is_not_believed_at_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        site = Site(tmp_path)
        everything = [vip(number) for number in range(10, 40)]
        site.source.say(*nodes(), *WEB, *everything)
        async with site.killed():
            await until(lambda: len(site.addresses) == 30)
        async with site.running(patience=0.05) as agent:
            await until(lambda: agent.plan is not None)
            site.source.say(*nodes(), *WEB)
            await until(lambda: agent.live)
            assert agent.kept == 30
            site.source.say(*everything[:20])
            await until(lambda: agent.kept == 10)
            assert len(site.addresses) == 30

    asyncio.run(scenario())


def test_nothing_live_is_followed_before_all_that_is_needed_was_read(tmp_path: Path) -> None:
    async def scenario() -> None:
        site = Site(tmp_path)
        site.source.health = (
            Health("VirtualIP", synced=True),
            Health("Node", error="forbidden", forbidden=True),
        )
        site.source.say(*WEB, vip(10))
        async with site.running(needed=frozenset({"VirtualIP", "Node"}), patience=0.05) as agent:
            await until(lambda: "Node: forbidden" in site.ills.get("api", ""))
            assert agent.plan is None
            site.source.health = (Health("VirtualIP", synced=True), Health("Node", synced=True))
            site.source.say(*nodes())
            await until(lambda: site.addresses == ["192.0.2.10"])

    asyncio.run(scenario())


def test_an_agent_that_starts_while_the_definitions_are_gone_goes_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        site = Site(tmp_path)
        site.source.say(*nodes(), *WEB, vip(10))
        async with site.killed():
            await until(lambda: site.addresses == ["192.0.2.10"])
        before = list(site.log)
        read = Health("Node", synced=True)
        site.source.health = (read, Health("VirtualIP", absent=True))
        site.source.say(*nodes(), *WEB, absent=["VirtualIP"])
        async with site.killed() as agent:
            await until(lambda: "the API server does not have it" in site.ills.get("api", ""))
            await until(lambda: agent.dataplane.settled)
            assert not agent.live
            assert site.log == before
            site.source.health = (read, Health("VirtualIP", synced=True))
            site.source.say(vip(10))
            await until(lambda: agent.live and site.ills["api"] == "")
            assert site.log == before

    asyncio.run(scenario())


# -- what vanishes --------------------------------------------------------------------------------


def test_what_vanished_with_its_definition_is_served_until_it_is_said_again(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        site = Site(tmp_path)
        everything = [vip(number) for number in range(10, 20)]
        group = engine_group("default")
        site.source.say(*nodes(), *WEB, group, *everything)
        async with site.running() as agent:
            await until(lambda: len(site.addresses) == 10)
            before = list(site.log)
            site.source.say(absent=["VirtualIP", "EngineGroup"])
            site.source.gone(group, *everything, explicit=False)
            await until(lambda: agent.kept == 11)
            site.source.say(group, *everything)
            await until(lambda: agent.kept == 0)
            await until(lambda: agent.dataplane.settled)
            assert site.log == before
            site.source.gone(*everything)  # and this is what somebody wants
            await until(lambda: site.addresses == [])

    asyncio.run(scenario())


def test_after_a_while_what_vanished_goes(tmp_path: Path) -> None:
    from fairlead.model.world import Change, World
    from fairlead.runtime.agent.intake import Intake
    from fairlead.sources.kube import KubeBatch

    now = [0.0]
    intake = Intake((), grace=10.0, clock=lambda: now[0])
    one, two = vip(10).ref, vip(11).ref

    def batch(*changes: Change, explicit: tuple[Ref, ...] = (), absent: str = "") -> KubeBatch:
        kinds = frozenset({absent} - {""})
        return KubeBatch(changes, frozenset(explicit), True, kinds, 0.0)

    assert intake.take(batch(), (), World()) == []
    gone = batch(Change(one, None), Change(two, None), explicit=(two,), absent="VirtualIP")
    assert intake.take(gone, (), World()) == [Change(two, None)]
    assert intake.due() == 10.0
    now[0] = 11.0
    assert intake.expired() == []  # its kind is still absent
    intake.take(batch(), (), World())
    assert intake.due() == 10.0
    now[0] = 22.0
    assert intake.expired() == [Change(one, None)]
    assert intake.due() is None
