"""The standalone role as a whole: files in, addresses out, and everything that can go wrong
between.
"""

import asyncio
import json
import os
from pathlib import Path

import pytest

from fairlead.model.addresses import canonical, parse_address
from fairlead.model.verdict import Code, State
from fairlead.publish.document import document
from fairlead.runtime import snapshot
from fairlead.runtime.report import Stopped
from fairlead.runtime.store import LedgerStore, StateInUse, StateUnreadable
from fairlead.runtime.up import UpOptions, up

from .engine import until
from .house import POOL, FakeLinks, House, Told, service, services
from .test_store import disk_full

A, B = parse_address("192.0.2.10"), parse_address("192.0.2.11")


def test_manifests_are_served_edits_followed_and_a_stop_withdraws(tmp_path: Path) -> None:
    async def scenario() -> None:
        house = House(tmp_path)
        house.write(POOL + service("a"))
        async with house.serving():
            await until(lambda: house.addresses == ["192.0.2.10"])
            assert [(k.port, k.protocol) for k in house.nft.observe().listeners] == [(80, "TCP")]
            house.write(POOL + service("a", 443) + service("b"))
            await until(lambda: house.addresses == ["192.0.2.10", "192.0.2.11"])
            await until(lambda: {k.port for k in house.nft.observe().listeners} == {80, 443})
            house.write(POOL + service("b"))
            await until(lambda: house.refusing == house.addresses == ["192.0.2.11"])
            await until(lambda: "a gone" in house.told.log)
        assert house.code == 0
        assert house.addresses == house.refusing == []
        assert house.log[-2:] == ["l2 withdrawn", "l4 withdrawn"]
        assert house.told.stops == [Stopped(kept=False, clean=True)]
        assert house.told.verdict_of["b"].addresses == (B,)
        assert house.closed == 1
        assert len(LedgerStore.read(house.state).holders) == 1

    asyncio.run(scenario())


def test_keep_leaves_everything_and_the_next_start_changes_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        house = House(tmp_path)
        house.write(POOL + services(3))
        async with house.serving(keep=True):
            await until(lambda: len(house.addresses) == 3)
        assert house.told.stops == [Stopped(kept=True, clean=True)]
        assert len(house.addresses) == len(house.refusing) == 3
        before = list(house.log)
        times = LedgerStore.times(house.state)
        house.crash()
        async with house.serving(keep=True):
            await until(lambda: len(house.told.verdict_of) == 3)
            await asyncio.sleep(0.1)
        assert house.log == before
        assert LedgerStore.times(house.state) == times

    asyncio.run(scenario())


def test_addresses_outlive_a_restart_in_another_order(tmp_path: Path) -> None:
    async def scenario() -> None:
        house = House(tmp_path)
        house.write(POOL + service("b"))
        async with house.serving():
            await until(lambda: "b" in house.told.verdict_of)
        house.write(POOL + service("a") + service("b"))
        async with house.serving():
            await until(lambda: len(house.told.verdict_of) == 2)
        assert house.told.verdict_of["b"].addresses == (A,)
        assert house.told.verdict_of["a"].addresses == (B,)

    asyncio.run(scenario())


def test_a_second_up_on_the_same_state_is_refused_with_the_pid(tmp_path: Path) -> None:
    async def scenario() -> None:
        house = House(tmp_path)
        house.write(POOL + service("a"))
        async with house.serving():
            await until(lambda: house.addresses == ["192.0.2.10"])
            with pytest.raises(StateInUse, match=f"in use by process {os.getpid()}"):
                await up(UpOptions(state=house.state), report=Told())
            assert house.addresses == ["192.0.2.10"]

    asyncio.run(scenario())


def test_an_emptied_folder_is_refused_and_everything_goes_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        house = House(tmp_path)
        house.write(POOL + services(20))
        async with house.serving():
            await until(lambda: len(house.addresses) == 20)
            (house.folder / "all.yaml").unlink()
            await until(lambda: len(house.told.refusals) == 1)
            house.write(service("new"), "new.yaml")
            await until(lambda: len(house.addresses) == 21)
            await until(lambda: len(house.told.verdict_of) == 21)
            (house.folder / "new.yaml").unlink()
            house.write(POOL + services(20))
            await until(lambda: house.told.refusals[-1] is None)
            await until(lambda: len(house.refusing) == 20)
        refused = house.told.refusals[0]
        assert refused is not None
        assert len(refused.addresses) == 20
        assert len(refused.withheld) == 21

    asyncio.run(scenario())


def test_a_start_with_an_emptied_folder_leaves_the_data_plane_until_yes(tmp_path: Path) -> None:
    async def scenario() -> None:
        house = House(tmp_path)
        house.write(POOL + services(20))
        async with house.serving(keep=True):
            await until(lambda: len(house.addresses) == 20)
        (house.folder / "all.yaml").unlink()
        house.crash()
        async with house.serving(keep=True):
            await until(lambda: len(house.told.refusals) == 1)
            await asyncio.sleep(0.2)
            assert len(house.addresses) == len(house.refusing) == 20
            assert len(house.nft.observe().listeners) == 20
        house.crash()
        async with house.serving(keep=True, yes=True):
            await until(lambda: house.addresses == house.refusing == [])
        assert not LedgerStore.read(house.state).holders
        assert house.told.refusals == []

    asyncio.run(scenario())


def test_a_half_written_file_keeps_its_last_good_content(tmp_path: Path) -> None:
    async def scenario() -> None:
        house = House(tmp_path)
        house.write(POOL + services(3))
        async with house.serving():
            await until(lambda: len(house.addresses) == 3)
            before = list(house.log)
            house.write(POOL + services(3) + "---\napiVersion: v1\nkind: Service\nmetadata: {name")
            await until(lambda: house.told.problems != [])
            assert "all.yaml" in house.told.problems[0]
            house.write(POOL + services(4))
            await until(lambda: len(house.addresses) == 4)
            assert house.told.problems == []
        assert house.log[: len(before)] == before
        assert [line for line in house.log if "-" in line] == []

    asyncio.run(scenario())


def test_an_unusable_object_keeps_its_address_and_says_why(tmp_path: Path) -> None:
    async def scenario() -> None:
        house = House(tmp_path)
        house.write(POOL + services(2))
        async with house.serving():
            await until(lambda: len(house.addresses) == 2)
            house.write(POOL + services(2).replace("port: 80", "port: eighty", 1))
            await until(lambda: house.told.verdict_of["s00"].code is Code.INVALID_OBJECT)
            await asyncio.sleep(0.1)
            assert len(house.addresses) == 2

    asyncio.run(scenario())


def test_a_full_disk_announces_nothing_and_heals(tmp_path: Path) -> None:
    async def scenario() -> None:
        house = House(tmp_path)
        house.write(POOL + services(1))
        async with house.serving():
            await until(lambda: len(house.addresses) == 1)
            with disk_full(house.state):
                house.write(POOL + services(60))
                await until(lambda: any(not h.ok for h in house.told.healths))
                await asyncio.sleep(0.2)
                assert len(house.addresses) == len(house.refusing) == 1
                assert len(house.told.verdict_of) == 1
            await until(lambda: len(house.addresses) == 60)
        errors = [h for h in house.told.healths if not h.ok]
        assert {h.name for h in errors} <= {"ledger", "status"}
        assert "cannot be written" in errors[0].error
        last = {h.name: h.ok for h in house.told.healths}
        assert last == {**last, "ledger": True, "nft": True, "l2": True}
        assert last.get("status", True)

    asyncio.run(scenario())


def test_a_driver_that_fails_is_told_on_the_objects_and_heals(tmp_path: Path) -> None:
    async def scenario() -> None:
        house = House(tmp_path)
        house.nft.broken = "nft: permission denied"
        house.write(POOL + services(2))
        async with house.serving():
            await until(lambda: _codes(house) == {Code.NO_READY_ENGINE})
            said = house.told.verdict_of["s00"]
            assert said.reason is not None
            assert "nft: permission denied" in said.reason.message
            assert said.addresses == (A,)
            assert house.addresses == []
            house.nft.broken = ""
            await until(lambda: len(house.addresses) == 2)
            await until(lambda: _codes(house) == {Code.NO_READY_BACKEND})
        assert [(h.ok, h.error) for h in house.told.healths if h.name == "nft"] == [
            (False, "nft: permission denied"),
            (True, ""),
        ]

    asyncio.run(scenario())


def test_an_address_in_foreign_use_is_told_on_its_members_and_served_when_free(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        house = House(tmp_path)
        house.lan.hold(A)
        house.write(POOL + services(2))
        async with house.serving():
            await until(lambda: house.addresses == ["192.0.2.11"])
            await until(lambda: house.told.verdict_of["s00"].code is Code.ADDRESS_IN_USE)
            said = house.told.verdict_of["s00"]
            assert said.state is State.PENDING
            assert said.reason is not None
            assert "02:00:00:00:00:99 on eth0" in said.reason.message
            assert house.told.verdict_of["s01"].state is State.SERVED
            await until(lambda: _read_code(house, "s00") is Code.ADDRESS_IN_USE)
            house.lan.leave(A)
            await until(lambda: len(house.addresses) == 2)
            await until(lambda: house.told.verdict_of["s00"].state is State.SERVED)

    asyncio.run(scenario())


def test_an_interface_that_fails_or_is_mended_is_looked_at_at_once(tmp_path: Path) -> None:
    """Not only in the next full round, which is an hour away."""

    async def scenario() -> None:
        house, links = House(tmp_path), FakeLinks()
        house.links = lambda: links
        house.write(POOL + services(1))
        async with house.serving(every=3600.0):
            await until(lambda: house.addresses == ["192.0.2.10"])
            await until(lambda: house.told.verdict_of["s00"].code is Code.NO_READY_BACKEND)
            house.lan.switch("eth0", up=False)
            links.ring()
            await until(lambda: house.told.verdict_of["s00"].code is Code.NO_READY_ENGINE)
            house.lan.switch("eth0", up=True)
            links.ring()
            await until(lambda: house.told.verdict_of["s00"].code is Code.NO_READY_BACKEND)
            assert house.addresses == ["192.0.2.10"]

    asyncio.run(scenario())


def test_an_address_that_somebody_else_begins_to_use_is_kept_and_told(tmp_path: Path) -> None:
    async def scenario() -> None:
        house = House(tmp_path)
        house.write(POOL + services(2))
        async with house.serving():
            await until(lambda: len(house.addresses) == 2)
            house.lan.hold(A)
            await until(lambda: house.told.verdict_of["s00"].code is Code.ADDRESS_DISPUTED)
            said = house.told.verdict_of["s00"]
            assert (said.state, said.addresses) == (State.SERVED, (A,))
            assert said.reason is not None
            assert "02:00:00:00:00:99 on eth0" in said.reason.message
            assert house.told.verdict_of["s01"].code is Code.NO_READY_BACKEND
            await until(lambda: _read_code(house, "s00") is Code.ADDRESS_DISPUTED)
            house.lan.leave(A)
            await until(lambda: house.told.verdict_of["s00"].code is Code.NO_READY_BACKEND)
            assert len(house.addresses) == 2

    asyncio.run(scenario())


def test_an_address_in_foreign_use_is_not_taken_after_a_restart_either(tmp_path: Path) -> None:
    async def scenario() -> None:
        house = House(tmp_path)
        house.lan.hold(A)
        house.write(POOL + services(2))
        async with house.serving(keep=True):
            await until(lambda: house.addresses == ["192.0.2.11"])
            await until(lambda: _read_code(house, "s00") is Code.ADDRESS_IN_USE)
        house.crash()
        async with house.serving(keep=True):
            await until(lambda: len(house.told.verdict_of) == 2)
            await until(lambda: house.told.verdict_of["s00"].code is Code.ADDRESS_IN_USE)
            assert house.addresses == ["192.0.2.11"]

    asyncio.run(scenario())


def test_others_read_what_is_served_and_that_it_has_ended(tmp_path: Path) -> None:
    async def scenario() -> None:
        house = House(tmp_path)
        assert snapshot.read(house.state) is None
        house.write(POOL + services(3))
        async with house.serving():
            await until(lambda: len(house.addresses) == 3)
            await until(lambda: _running(house) == os.getpid())
            await until(lambda: len(_entries(house)) == 3)
            found = snapshot.read(house.state)
            assert found is not None
            assert [h.name for h in found.snapshot.drivers] == ["ledger", "nft", "l2", "dhcp"]
            assert all(h.ok for h in found.snapshot.drivers)
            assert found.plan.ledger == LedgerStore.read(house.state)
            for entry in _entries(house):
                said = house.told.verdict_of[entry[0]]
                assert entry[1] == said.state.value
                assert entry[2] == [canonical(a) for a in said.addresses]
            (house.folder / "all.yaml").unlink()
            house.write(POOL, "pool.yaml")
            await until(lambda: _entries(house) == [])
        found = snapshot.read(house.state)
        assert found is not None
        assert found.pid is None
        assert found.snapshot.in_place == ()

    asyncio.run(scenario())


def test_what_the_guard_holds_back_is_read_too(tmp_path: Path) -> None:
    async def scenario() -> None:
        house = House(tmp_path)
        house.write(POOL + services(20))
        async with house.serving(keep=True):
            await until(lambda: len(house.addresses) == 20)
            (house.folder / "all.yaml").unlink()
            await until(lambda: _held(house) == 21)
            assert len(_entries(house)) == 20
        house.crash()
        async with house.serving(keep=True):
            await until(lambda: len(house.told.refusals) == 1)
            await until(lambda: _held(house) == 20 and _sheltering(house))
            found = snapshot.read(house.state)
            assert found is not None
            assert len(found.plan.ledger.holders) == 20

    asyncio.run(scenario())


def test_at_rest_nothing_is_written(tmp_path: Path) -> None:
    async def scenario() -> None:
        house = House(tmp_path)
        house.write(POOL + services(3))
        async with house.serving():
            await until(lambda: len(house.addresses) == 3)
            await until(lambda: _running(house) is not None and len(_entries(house)) == 3)
            await asyncio.sleep(0.6)
            before = {f.name: f.stat().st_mtime_ns for f in house.state.iterdir()}
            await asyncio.sleep(0.5)
            assert {f.name: f.stat().st_mtime_ns for f in house.state.iterdir()} == before

    asyncio.run(scenario())


def test_ephemeral_state_is_said_and_goes(tmp_path: Path) -> None:
    async def scenario() -> None:
        house = House(tmp_path)
        house.write(POOL + services(1))
        async with house.serving(ephemeral=True):
            await until(lambda: len(house.addresses) == 1)
            (start,) = house.told.starts
            assert start.ephemeral
            assert start.state.exists()
        assert not start.state.exists()
        assert not house.state.exists()

    asyncio.run(scenario())


def test_a_damaged_status_file_is_written_anew_and_a_damaged_ledger_is_not(tmp_path: Path) -> None:
    async def scenario() -> None:
        house = House(tmp_path)
        house.write(POOL + services(1))
        house.state.mkdir()
        (house.state / snapshot.FILE).write_text('{"pid": "none"')
        with pytest.raises(StateUnreadable):
            snapshot.read(house.state)
        async with house.serving():
            await until(lambda: len(house.addresses) == 1)
            await until(lambda: len(_entries(house)) == 1)
        assert json.loads((house.state / snapshot.FILE).read_text())["pid"] == os.getpid()
        (house.state / "ledger.db").write_text("x" * 8192)
        with pytest.raises(StateUnreadable):
            await up(UpOptions(state=house.state), report=Told())
        assert (house.state / "ledger.db").read_text() == "x" * 8192

    asyncio.run(scenario())


def test_a_withdrawal_that_fails_is_an_error_and_the_rest_is_withdrawn(tmp_path: Path) -> None:
    async def scenario() -> None:
        house = House(tmp_path)
        house.write(POOL + services(1))
        async with house.serving():
            await until(lambda: len(house.addresses) == 1)
            house.lan.stuck = "netlink: no answer"
        assert house.code == 1
        assert house.told.stops == [Stopped(kept=False, clean=False)]
        assert house.refusing == []

    asyncio.run(scenario())


def _codes(house: House) -> set[Code]:
    return {said.code for said in house.told.verdict_of.values()}


def _running(house: House) -> int | None:
    try:
        found = snapshot.read(house.state)
    except StateUnreadable:
        return None
    return found.pid if found else None


def _entries(house: House) -> list[tuple[str, str, list[str]]]:
    """What ``get services`` would print."""
    try:
        found = snapshot.read(house.state)
    except StateUnreadable:
        return []
    if found is None:
        return []
    listed = document(found.plan, found.world).services
    return [(entry.name, entry.state, entry.addresses) for entry in listed]


def _read_code(house: House, name: str) -> Code | None:
    found = snapshot.read(house.state)
    listed = document(found.plan, found.world).services if found else []
    return next((Code(entry.reason) for entry in listed if entry.name == name), None)


def _held(house: House) -> int:
    found = snapshot.load(house.state)
    return len(found.held.objects) if found and found.held else 0


def _sheltering(house: House) -> bool:
    found = snapshot.load(house.state)
    return found is not None and found.sheltering
