"""Leases from the driver to the next plan: in `up`, and in an agent before its answer comes."""

import asyncio
from ipaddress import ip_address
from pathlib import Path
from time import time

from msgspec.structs import replace

from fairlead.drivers.dhcp import FakeDhcp
from fairlead.model.addresslease import AddressLease, lease_object
from fairlead.model.desired import DhcpRow
from fairlead.model.dhcp import Leased, LeaseKey, LeaseOrder, mac_of
from fairlead.model.names import GroupKey
from fairlead.model.verdict import Code
from fairlead.model.virtualip import VirtualIP, VirtualIPGroup
from fairlead.runtime import leasing, snapshot

from .agents import WEB, Site, nodes, vip
from .engine import HOST, until
from .house import House

A, B = "192.0.2.150", "192.0.2.151"
KEY = LeaseKey(GroupKey("kube-vip", "dhcp", "default", "web"), 4)


def web() -> str:
    return (
        "---\napiVersion: v1\nkind: Service\nmetadata: {name: web}\n"
        "spec: {type: LoadBalancer, loadBalancerIP: 0.0.0.0, ports: [{port: 80}]}\n"
    )


def bound(address: str = A, *, ends: float = 600.0) -> Leased:
    return Leased(
        family=4,
        state="Bound",
        address=ip_address(address),
        server="192.0.2.1",
        bound=time(),
        expires=time() + ends,
    )


LOST = Leased(family=4, state="Lost", server="192.0.2.1", message="DHCP server 192.0.2.1 took it")


def always(address: str) -> FakeDhcp:
    """A server that gives one address, also to who had another."""
    return FakeDhcp(answer=lambda *_: bound(address))


def test_up_serves_what_is_leased_follows_it_and_gives_it_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        house = House(tmp_path)
        house.dhcp = always(A)
        house.write(web())
        async with house.serving():
            await until(lambda: house.addresses == [A])
            house.dhcp.say(KEY, bound(B))
            await until(lambda: house.addresses == [B])
            house.dhcp.say(KEY, LOST)
            await until(lambda: house.addresses == [])
            await until(lambda: house.told.verdict_of["web"].code is Code.DHCP_LEASE_LOST)
            house.dhcp.say(KEY, bound(A))
            await until(lambda: house.addresses == [A])
            house.write("")
            await until(lambda: house.dhcp.given_back == [KEY])
            await until(lambda: house.addresses == [])
        assert house.code == 0

    asyncio.run(scenario())


def test_up_goes_on_with_a_lease_and_gives_none_back_when_it_stops(tmp_path: Path) -> None:
    async def scenario() -> None:
        house = House(tmp_path)
        house.dhcp = always(A)
        house.write(web())
        async with house.serving():
            await until(lambda: house.addresses == [A])
        assert house.dhcp.given_back == []
        known: list[Leased | None] = []

        def silent(key: LeaseKey, row: DhcpRow, before: Leased | None) -> None:
            known.append(before)

        house.dhcp = FakeDhcp(answer=silent)  # no server answers any more
        async with house.serving():
            await until(lambda: house.addresses == [A])
            await until(lambda: bool(known))
        assert known[0] is not None
        assert known[0].address == ip_address(A)
        assert known[0].expires is not None

    asyncio.run(scenario())


def test_up_gives_up_what_ended_while_it_was_not_there(tmp_path: Path) -> None:
    async def scenario() -> None:
        house = House(tmp_path)
        house.dhcp = FakeDhcp(answer=lambda *_: bound(ends=0.3))
        house.write(web())
        async with house.serving():
            await until(lambda: house.addresses == [A])
        await asyncio.sleep(1.5)  # times are kept in whole seconds
        house.dhcp = FakeDhcp()
        async with house.serving():
            await until(lambda: house.told.verdict_of["web"].code is Code.DHCP_LEASE_LOST)
            assert house.addresses == []

    asyncio.run(scenario())


def test_what_is_remembered_is_only_a_hint(tmp_path: Path) -> None:
    assert leasing.remembered(tmp_path) == []
    (tmp_path / snapshot.FILE).write_text("{")
    assert leasing.remembered(tmp_path) == []


# -- an agent --------------------------------------------------------------------------------------


def lease(leased: Leased | None = None) -> AddressLease:
    order = LeaseOrder(key=KEY, mac=mac_of(KEY.group), engine_group="default")
    return lease_object(order, leased)


def published() -> VirtualIP:
    one = vip(150)
    assert isinstance(one, VirtualIP)
    group = VirtualIPGroup("kube-vip", "dhcp", "web", "default")
    return replace(one, spec=replace(one.spec, group=group))


def test_an_agent_asks_reports_and_gives_up_what_is_lost_before_anybody_answers(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        site = Site(tmp_path)
        site.dhcp = always(A)
        site.source.say(*nodes(there=False), *WEB, lease())
        async with site.running():
            await until(lambda: list(site.dhcp.held) == [KEY])
            await until(lambda: bool(site.reported))
            assert site.reported[KEY.name].address == ip_address(A)
            assert site.reported[KEY.name].engine == HOST
            site.source.say(lease(bound()), published())
            await until(lambda: site.addresses == [A])
            # the API is away: nobody can be told, and nobody answers
            site.dhcp.say(KEY, LOST)
            await until(lambda: site.addresses == [])
            assert site.reported[KEY.name].state == "Lost"
            site.dhcp.say(KEY, bound())
            await until(lambda: site.addresses == [A])
            assert [one.state for one in site.meter.leases] == ["Bound", "Lost", "Bound"]
            # deleted: it is given back
            site.source.gone(lease(), published())
            await until(lambda: site.dhcp.given_back == [KEY])
        assert site.clean

    asyncio.run(scenario())


def test_a_lease_that_vanishes_though_nobody_deleted_it_is_kept(tmp_path: Path) -> None:
    async def scenario() -> None:
        site = Site(tmp_path)
        site.dhcp = always(A)
        site.source.say(*nodes(there=False), *WEB, lease())
        async with site.running():
            await until(lambda: list(site.dhcp.held) == [KEY])
            site.source.gone(lease(), explicit=False)
            await asyncio.sleep(0.3)
            assert list(site.dhcp.held) == [KEY]
            assert site.dhcp.given_back == []

    asyncio.run(scenario())
