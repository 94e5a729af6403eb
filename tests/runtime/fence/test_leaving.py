"""A cordoned engine on real hosts: its VIPs go to others without a gap, and come back."""

import time
from collections.abc import Collection

import pytest
from msgspec.structs import replace

from fairlead.lab.probe import Holders
from fairlead.planner.berth import berths_of, leave

from .cell import Cell, cell, wait_for

pytestmark = pytest.mark.root
SLACK = 0.5
"""Seconds that a busy machine may add."""


def cordon(found: Cell, leaving: Collection[str]) -> None:
    """Every agent learns who is to leave, one after the other."""
    for name in found.engines:
        berths = berths_of((leave(found.order(vip), leaving), 1, vip) for vip in found.vips)
        found.give(replace(found.table(name), berths=berths))
        time.sleep(0.05)


def test_a_cordoned_engine_hands_over_and_gets_back_what_it_had() -> None:
    with cell() as three:
        mine = [vip for vip in three.vips if three.order(vip)[0] == "engine-1"]
        with Holders(three.hosts["client"], three.vips) as seen:
            time.sleep(0.3)
            cordoned = seen.now()
            cordon(three, ["engine-1"])
            wait_for(lambda: not three.held("engine-1"))
            assert three.all_held_once()
            time.sleep(0.3)
            released = seen.now()
            cordon(three, [])
            wait_for(three.at_home)
            time.sleep(0.3)
        assert max(seen.outage(vip, since=cordoned, until=released) for vip in mine) < 0.1 + SLACK
        assert max(seen.outage(vip, since=released) for vip in mine) < 0.1 + SLACK
        assert max(seen.doubles(vip) for vip in mine) <= 0.2 + SLACK
        others = [vip for vip in three.vips if vip not in mine]
        assert max(seen.doubles(vip) for vip in others) == 0.0
