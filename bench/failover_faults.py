"""Faults other than crashes, on three engines with nine VIPs, one after the other."""

import time
from collections.abc import Iterator
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM

from bench.failover_site import SETTLED, Site, site
from bench.figure import Figure
from bench.machine import strangers
from fairlead.lab.engines import AGENT, FENCE
from fairlead.lab.probe import Asking, Holders
from fairlead.lab.published import PORT
from fairlead.model.addresses import IPAddress

VIPS = 9
VICTIM = "engine-2"
BACK_IN_TIME = 1.9
"""Seconds after which a fence that was killed is not back in time."""


def run() -> Iterator[Figure]:
    """Planned, killed, hung, cut off."""
    with strangers() as foreign, site(VIPS) as here:
        for fault in (_drain, _agent_back, _agent_gone, _fence_back, _fence_gone, _hung, _cut_off):
            yield from fault(here)
            here.engines.until(here.engines.well, "everything at home again", seconds=60)
            time.sleep(SETTLED)
    yield Figure("failover.faults.others", foreign.percent, "%")


def _seen(here: Site) -> Holders:
    return Holders(here.client, list(here.engines.homes))


def _mine(here: Site) -> list[IPAddress]:
    return here.engines.at_home_on(VICTIM)


def _silent(here: Site, seen: Holders, since: float) -> float:
    """The longest silence of any VIP beyond what lies between two questions, in ms."""
    longest = max(seen.outage(vip, since=since) for vip in here.engines.homes)
    return 1000 * max(0.0, longest - 2 * seen.every - seen.lag)


def _doubles(here: Site, seen: Holders) -> float:
    return 1000 * max(seen.doubles(vip) for vip in here.engines.homes)


def _moved(here: Site, seen: Holders, since: float) -> int:
    return sum(seen.moves(vip, since=since) > 0 for vip in here.engines.homes)


def _drain(here: Site) -> Iterator[Figure]:
    """A fence that is asked to stop, under connections one after the other."""
    with _seen(here) as seen, Asking(here.client, _mine(here), PORT) as asking:
        time.sleep(SETTLED)
        began = seen.now()
        here.engines.end(VICTIM, FENCE, SIGTERM)
        time.sleep(2 * SETTLED)
    yield Figure("failover.drain.failed", asking.failed, f"of {asking.asked} connections", 1)
    yield Figure("failover.drain.silent", _silent(here, seen, began), "ms")
    here.engines.start_fence(VICTIM)


def _agent_back(here: Site) -> Iterator[Figure]:
    with _seen(here) as seen:
        time.sleep(SETTLED)
        began = seen.now()
        here.engines.end(VICTIM, AGENT, SIGKILL)
        time.sleep(SETTLED)
        here.engines.start_agent(VICTIM)
        time.sleep(4.0)
    yield Figure("failover.agent_killed.silent", _silent(here, seen, began), "ms", 1)
    yield Figure("failover.agent_killed.moved", _moved(here, seen, began), "VIPs", 1)


def _agent_gone(here: Site) -> Iterator[Figure]:
    """After half a minute without an agent the fence hands over."""
    with _seen(here) as seen:
        time.sleep(SETTLED)
        began = seen.now()
        here.engines.end(VICTIM, AGENT, SIGKILL)
        moved = "its VIPs with the others"
        after = here.engines.until(lambda: here.engines.held_without(VICTIM), moved, seconds=60)
        time.sleep(SETTLED)
    yield Figure("failover.agent_gone.after", after, "s")
    yield Figure("failover.agent_gone.silent", _silent(here, seen, began), "ms", 1)
    here.engines.start_agent(VICTIM)


def _fence_back(here: Site) -> Iterator[Figure]:
    before = len(here.engines.log(VICTIM, FENCE))
    with _seen(here) as seen:
        time.sleep(SETTLED)
        began = seen.now()
        here.engines.end(VICTIM, FENCE, SIGKILL)
        here.engines.start_fence(VICTIM)
        ruled = '"rightful": true'
        here.engines.until(
            lambda: ruled in here.engines.log(VICTIM, FENCE)[before:], "the fence back"
        )
        away = seen.now() - began
        time.sleep(3.0)
    goal = 1.0 if away < BACK_IN_TIME else None
    yield Figure("failover.fence_back.away", away, "s")
    yield Figure("failover.fence_back.moved", _moved(here, seen, began), "VIPs", goal)
    yield Figure("failover.fence_back.silent", _silent(here, seen, began), "ms")


def _fence_gone(here: Site) -> Iterator[Figure]:
    with _seen(here) as seen:
        time.sleep(SETTLED)
        began = seen.now()
        here.engines.end(VICTIM, FENCE, SIGKILL)
        here.engines.until(lambda: _by_others(here, seen), "another holder")
        after = max(_first_of_others(here, seen, vip, began) for vip in _mine(here)) - began
        here.engines.start_fence(VICTIM)
        here.engines.until(here.engines.well, "everything at home again")
        time.sleep(SETTLED)
    yield Figure("failover.fence_gone.another_holder", after, "s", 4)
    yield Figure("failover.fence_gone.silent", _silent(here, seen, began), "ms")
    yield Figure("failover.fence_gone.doubles", _doubles(here, seen), "ms", 1)


def _by_others(here: Site, seen: Holders) -> bool:
    return all(seen.holder(vip) != here.engines.mac(VICTIM) for vip in _mine(here))


def _first_of_others(here: Site, seen: Holders, vip: IPAddress, since: float) -> float:
    mac = here.engines.mac(VICTIM)
    return next(one.at for one in seen.answers[vip] if one.at > since and one.mac != mac)


def _hung(here: Site) -> Iterator[Figure]:
    with _seen(here) as seen:
        time.sleep(SETTLED)
        began = seen.now()
        here.engines.send(VICTIM, FENCE, SIGSTOP)
        time.sleep(6.0)
        here.engines.send(VICTIM, FENCE, SIGCONT)
        here.engines.until(here.engines.well, "everything at home again")
        time.sleep(SETTLED)
    yield Figure("failover.fence_hangs.doubles", _doubles(here, seen), "ms", 3000)
    yield Figure("failover.fence_hangs.silent", _silent(here, seen, began), "ms")


def _cut_off(here: Site) -> Iterator[Figure]:
    """An engine that lives and hears clients, and no other engine."""
    with _seen(here) as seen:
        time.sleep(SETTLED)
        began = seen.now()
        here.engines.part(VICTIM)
        here.engines.until(lambda: here.engines.held_without(VICTIM), "the take-over")
        time.sleep(SETTLED)
        here.engines.join()
        here.engines.until(here.engines.well, "everything at home again", seconds=60)
        time.sleep(SETTLED)
    yield Figure("failover.cut_off.doubles", _doubles(here, seen), "ms", 500)
    yield Figure("failover.cut_off.silent", _silent(here, seen, began), "ms")
