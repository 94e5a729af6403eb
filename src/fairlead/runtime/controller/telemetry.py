"""What the controller does, as log lines and numbers.

It hears of everything in the event loop and only notes it there; plans are counted in a thread.
Only verdicts that somebody must know of are logged, so that a cluster of 50 000 Services that are
served is silent.
"""

import asyncio
from collections.abc import Callable, Sequence

from structlog.typing import FilteringBoundLogger

from fairlead.model.names import Ref
from fairlead.model.plan import Plan
from fairlead.model.verdict import State
from fairlead.planner import message
from fairlead.runtime.controller.arrivals import Arrivals
from fairlead.runtime.controller.census import NOTHING
from fairlead.runtime.controller.intake import UNREAD, Lack
from fairlead.runtime.controller.metrics import ControllerMetrics
from fairlead.runtime.pipeline import Refused
from fairlead.runtime.reconcile import undisturbed
from fairlead.runtime.throttle import Throttle
from fairlead.runtime.verdicts import VerdictChange

MANY = 50
"""Of more verdicts than this at once, the others are only counted."""
LOOK = 1.0
"""Seconds between two looks at what cannot be read."""


class Telemetry:
    """Hears what a controller does. It is its
    :class:`~fairlead.runtime.controller.controller.Listener`."""

    def __init__(
        self, log: FilteringBoundLogger, metrics: ControllerMetrics, arrivals: Arrivals
    ) -> None:
        self._log, self._metrics, self._arrivals = log, metrics, arrivals
        self._census = metrics.census
        self._throttle = Throttle()
        self._news = asyncio.Event()
        self._lacks: dict[str, Lack] = {}
        self._failing: set[str] = set()

    # -- the Listener ----------------------------------------------------------------------------

    def leading(self, yes: bool) -> None:
        """This replica leads, or does so no more."""
        self._metrics.leader.set(yes)
        self._log.info("leads" if yes else "stands by")
        if not yes:
            self._census.offer(NOTHING)
            self._news.set()

    def decided(self, plan: Plan, seconds: float) -> None:
        """There is a new plan."""
        self._metrics.plan_seconds.observe(seconds)
        self._census.offer(plan)
        self._news.set()

    def withheld(self, refused: Refused | None) -> None:
        """The guard holds something back, or nothing any more."""
        self._metrics.withheld.set(len(refused.addresses) if refused else 0)
        if refused is None:
            self._log.info("nothing is held back any more")
            return
        self._log.error("held back", why=refused.message, addresses=len(refused.addresses))
        for ref in refused.withheld[:MANY]:
            self._log.warning("held back", object=str(ref))

    def addressed(self, ref: Ref, created: str) -> None:
        """A Service got its first address."""
        self._metrics.time_to_address.observe(self._arrivals.served(ref, created))

    def failed(self, what: str, why: str) -> None:
        """Something failed and is tried again; without a reason: it works again."""
        if not why:
            if what in self._failing:
                self._failing.discard(what)
                self._throttle.forget(what)
                self._log.info("works", what=what)
            return
        self._failing.add(what)
        self._metrics.failed(what)
        unsaid = self._throttle.passes(what, why)
        if unsaid is not None:
            more = {"unsaid": unsaid} if unsaid else {}
            self._log.warning("fails", what=what, why=why, **more)

    # -- what is looked at now and then ----------------------------------------------------------

    async def count(self) -> None:
        """Count plans and log the news in them, until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            task = self._census.take()
            if task is not None:
                told = await undisturbed(self._census.count, task)
                self._tell(task.after, told)

    async def watch(self, lacks: Callable[[], Sequence[Lack]]) -> None:
        """Log what cannot be read, and when it can be again, until cancelled."""
        while True:
            self._compare({lack.kind: lack for lack in lacks()})
            await asyncio.sleep(LOOK)

    def _compare(self, now: dict[str, Lack]) -> None:
        before, self._lacks = self._lacks, now
        fresh = [k for k, lack in now.items() if lack != before.get(k) and lack.why != UNREAD]
        for why in dict.fromkeys(now[kind].why for kind in fresh):
            kinds = [kind for kind in fresh if now[kind].why == why]
            self._log.warning("cannot read", kinds=kinds, why=why)
        if over := [k for k, lack in before.items() if k not in now and lack.why != UNREAD]:
            self._log.info("reads again", kinds=over)

    def _tell(self, plan: Plan, changes: Sequence[VerdictChange]) -> None:
        for change in sorted(changes)[:MANY]:
            self._tell_one(plan, change)
        if len(changes) > MANY:
            self._log.warning("more objects wait, or need an edit", count=len(changes) - MANY)

    def _tell_one(self, plan: Plan, change: VerdictChange) -> None:
        after = change.after
        if after is None:
            return
        told = {"object": str(change.ref)}
        if after.reason is not None:
            told |= {"reason": after.code.value, "why": message(plan, after.reason)}
        if after.state in (State.PENDING, State.REJECTED):
            self._log.warning(after.state.value, **told)
        else:
            self._log.info(after.state.value, **told)
