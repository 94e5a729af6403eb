"""The story: what a user would watch while engines fail."""

import signal
import time
from collections.abc import Callable
from ipaddress import IPv4Address

from fairlead.cli.demo import screen
from fairlead.cli.demo.deviation import Deviation
from fairlead.cli.demo.failover import routed
from fairlead.cli.demo.failover.site import VIPS, Site, site
from fairlead.lab.probe import Answer, Asking, Holders, tcp_ask

WATCH = 1.2
"""Seconds for which a crash is watched."""
LOOKS = 4
"""Rows of the live table for that time."""
WORST = 3.0
"""Seconds of outage that the demo takes for broken, on a machine however busy."""
Pause = Callable[[], None] | None


def perform(*, pause: Pause = None) -> None:
    """Show everything; raises :class:`Deviation` when something is not as it should be."""
    screen.heading("Three engines, a fence and an agent on each, six VIPs")
    with site() as here:
        _table(here)
        for step in (_crash, _killed, _drain):
            if pause is not None:
                pause()
            step(here)
    if pause is not None:
        pause()
    routed.perform()
    screen.heading("Everything is gone again: nothing of this machine's was touched")


def _table(here: Site) -> None:
    holders = here.holders()
    rows = [[str(vip), holders[vip], _reply(here, vip)] for vip in VIPS]
    screen.table(["VIP", "HELD BY", "ANSWERED BY"], rows)


def _reply(here: Site, vip: IPv4Address) -> str:
    answer = here.client.call(tcp_ask, str(vip), 80)
    if not isinstance(answer, Answer):
        raise Deviation(expected=f"an answer from {vip}:80", seen=answer)
    return answer.name


def _crash(here: Site) -> None:
    victim = here.engines[0]
    lost = [vip for vip in VIPS if here.home(vip) == victim]
    screen.heading(f"{victim} loses power")
    with Holders(here.client, VIPS) as seen:
        time.sleep(0.4)
        cut = seen.now()
        for segment in ("lan", "pods"):
            here.hosts[victim].cut(segment)
        _watch(here, seen, lost, cut)
        screen.heading(f"{victim} is back, and gets its VIPs back")
        back = seen.now()
        for segment in ("lan", "pods"):
            here.hosts[victim].mend(segment)
        here.until(here.at_home, "the return of the VIPs")
        time.sleep(0.3)
    outages = sorted(seen.outage(vip, since=cut, until=back) for vip in lost)
    doubles = max(seen.doubles(vip) for vip in VIPS)
    screen.note(f"silent for {outages[0]:.2f} to {outages[-1]:.2f} s, by packets 20 ms apart")
    screen.note(f"answered by two at once: {doubles:.2f} s")
    if outages[-1] > WORST or doubles:
        raise Deviation(
            expected=f"silence below {WORST} s and never two holders",
            seen=f"silences {outages} s, two holders for {doubles} s",
        )
    _table(here)


def _watch(here: Site, seen: Holders, lost: list[IPv4Address], cut: float) -> None:
    """Who answered last, look by look."""
    rows = []
    for look in range(LOOKS):
        time.sleep(max(0.0, cut + WATCH * (look + 1) / LOOKS - seen.now()))
        now = seen.now()
        row = [f"+{now - cut:.1f} s"]
        for vip in VIPS:
            last = seen.answers[vip][-1].at if seen.answers[vip] else cut
            row.append(here.answered_by(seen, vip) if now - last < WATCH / LOOKS else "(silent)")
        rows.append(row)
    screen.table(["AFTER", *map(str, VIPS)], rows)
    here.until(
        lambda: all(here.holders()[vip] not in ("-", here.engines[0]) for vip in lost),
        "the take-over",
    )


def _killed(here: Site) -> None:
    victim = here.engines[1]
    screen.heading(f"The agent of {victim} is killed (-9); its fence goes on")
    before = here.holders()
    failed, asked = _while_asking(here, lambda: here.end(victim, "agent", signal.SIGKILL))
    here.start_agent(victim)
    screen.note(f"{asked} connections to all VIPs meanwhile, {failed} failed; nothing moved")
    if failed or here.holders() != before:
        raise Deviation(expected="no failed connection", seen=(failed, asked, here.holders()))


def _drain(here: Site) -> None:
    victim = here.engines[2]
    screen.heading(f"{victim} is drained: its fence is stopped, and hands over first")
    failed, asked = _while_asking(here, lambda: here.end(victim, "fence", signal.SIGTERM))
    screen.note(f"{asked} connections to all VIPs meanwhile, {failed} failed")
    _table(here)
    if failed or victim in here.holders().values():
        raise Deviation(expected="no failed connection", seen=(failed, asked, here.holders()))
    here.start_fence(victim)
    here.until(here.at_home, "the return of the VIPs")


def _while_asking(here: Site, act: Callable[[], None]) -> tuple[int, int]:
    """Connect to all VIPs again and again while something happens; how many of how many failed."""
    with Asking(here.client, VIPS, 80) as asking:
        time.sleep(0.3)
        act()
        time.sleep(1.5)
    return asking.failed, asking.asked
