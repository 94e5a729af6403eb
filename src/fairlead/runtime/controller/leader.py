"""Leader election by a Lease (coordination.k8s.io/v1): one replica writes at a time.

Clocks are not compared: a replica measures by a clock of its own, which nobody sets and which goes
on while the machine sleeps, how long the Lease has not changed. So a replica whose time is wrong
neither steals nor holds on. A leader that could not renew for ``lease`` x :data:`RENEW_SHARE` stops
writing, which is before anybody else can take over, and no request of its own may take longer than
the rest. A Lease that is given up is only cleared under the resourceVersion it was renewed with, so
nobody clears a successor's.

Leadership comes in terms: who lost it for a moment, and has it again, starts anew, because somebody
else may have led meanwhile.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from time import CLOCK_BOOTTIME, clock_gettime

import msgspec

from fairlead.runtime.controller.api import Api, ApiError, Unreachable
from fairlead.runtime.lease import Lease, LeaseMeta, LeaseSpec

RENEW_SHARE = 0.6
"""A leader that has not renewed for this share of the lease writes no more."""
RETRY_SHARE = 0.15
"""How often a leader renews."""
LOOK = 1.0
"""Seconds between two looks of a replica that waits, at most."""
PATH = "/apis/coordination.k8s.io/v1/namespaces/{}/leases"


class Leadership:
    """Whether this replica leads. ``changed`` is awaited with each change of that; the Lease is
    renewed meanwhile. ``lease`` is in seconds."""

    def __init__(
        self,
        api: Api,
        *,
        namespace: str,
        name: str,
        identity: str,
        changed: Callable[[bool], Awaitable[None]],
        told: Callable[[str], None],
        lease: float = 10.0,
    ) -> None:
        self.identity = identity
        self._api, self._changed, self._told = api, changed, told
        self._lease = lease
        self._base = PATH.format(namespace)
        self._path = f"{self._base}/{name}"
        self._meta = LeaseMeta(name, namespace)
        self._mine: Lease | None = None
        self._until = 0.0
        self._term = 0
        self._rival: tuple[str | None, str] = (None, "")
        self._rival_since = 0.0
        self._stopping = asyncio.Event()
        self._error = ""

    def valid(self) -> bool:
        """Whether this replica may write at this instant."""
        return _clock() < self._until

    @property
    def term(self) -> int:
        """Which time in office this is, counted from 1; 0 while somebody else leads, or nobody."""
        return self._term if self.valid() else 0

    @property
    def holder(self) -> str:
        """Who leads, as far as this replica knows."""
        return self.identity if self.valid() else self._rival[0] or ""

    def stop(self) -> None:
        """End :meth:`run`, and give the Lease up."""
        self._stopping.set()

    async def run(self) -> None:
        """Until :meth:`stop`: get the Lease, keep it, tell what became of it."""
        async with asyncio.TaskGroup() as tasks:
            watchdog = tasks.create_task(self._watch())
            while not self._stopping.is_set():
                await self._attempt()
                await self._pause(self._lease * RETRY_SHARE if self.valid() else self._look())
            watchdog.cancel()
        await self._release()

    def _look(self) -> float:
        return min(LOOK, self._lease * RETRY_SHARE)

    async def _watch(self) -> None:
        """Tell each change of leadership, the end of it at the moment it ends."""
        told = 0
        while True:
            term = self.term
            if term != told:
                told = 0 if told else term  # one term ends before another begins
                await self._changed(told != 0)
                continue
            left = self._until - _clock()
            await asyncio.sleep(min(max(left, 0.005), 0.1) if told else 0.02)

    async def _attempt(self) -> None:
        try:
            async with asyncio.timeout(self._lease * (1 - RENEW_SHARE) * 0.75):
                await (self._renew(self._mine) if self._mine else self._look_at())
        except (ApiError, Unreachable, TimeoutError, msgspec.MsgspecError) as error:
            self._tell(str(error) or "no answer in time")
        else:
            self._tell("")

    async def _renew(self, mine: Lease) -> None:
        mine.spec.renew_time = _now()
        try:
            await self._put(mine)
        except ApiError as error:
            if error.status not in (404, 409):
                raise
            self._mine = None  # somebody else wrote it, or removed it: look who
            await self._look_at()

    async def _look_at(self) -> None:
        asked = _clock()
        try:
            found = await self._get()
        except ApiError as error:
            if error.status != 404:
                raise
            spec = self._fresh(0)
            await self._create(Lease(LeaseMeta(self._meta.name, self._meta.namespace), spec))
            return
        holder = found.spec.holder_identity
        record = (holder, found.metadata.resource_version)
        if record != self._rival:
            self._rival, self._rival_since = record, asked
        if holder != self.identity:
            self._until = 0.0
        patience = float(found.spec.lease_duration_seconds or self._lease)
        if not holder or holder == self.identity or asked - self._rival_since > patience:
            changes = (found.spec.lease_transitions or 0) + (holder != self.identity)
            found.spec = self._fresh(changes)
            with suppress(LostRace):
                await self._put(found, race=True)

    def _fresh(self, transitions: int) -> LeaseSpec:
        now = _now()
        return LeaseSpec(self.identity, max(1, round(self._lease)), now, now, transitions)

    async def _get(self) -> Lease:
        return msgspec.json.decode(await self._api.send("GET", self._path), type=Lease)

    async def _create(self, lease: Lease) -> None:
        asked = _clock()
        try:
            answer = await self._api.send("POST", self._base, msgspec.json.encode(lease))
        except ApiError as error:
            if error.status != 409:
                raise
            return
        self._won(answer, asked)

    async def _put(self, lease: Lease, *, race: bool = False) -> None:
        asked = _clock()
        try:
            answer = await self._api.send("PUT", self._path, msgspec.json.encode(lease))
        except ApiError as error:
            if race and error.status == 409:
                raise LostRace from None
            raise
        self._won(answer, asked)

    def _won(self, answer: bytes, asked: float) -> None:
        self._mine = msgspec.json.decode(answer, type=Lease)
        if not self.valid():
            self._term += 1
        self._until = asked + self._lease * RENEW_SHARE

    async def _release(self) -> None:
        self._until = 0.0
        mine, self._mine = self._mine, None
        if mine is not None:
            mine.spec.holder_identity = ""
            mine.spec.lease_duration_seconds = 1
            with suppress(ApiError, Unreachable, TimeoutError):  # then it runs out by itself
                async with asyncio.timeout(LOOK):
                    await self._api.send("PUT", self._path, msgspec.json.encode(mine))

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    def _tell(self, error: str) -> None:
        if error != self._error:
            self._error = error
            self._told(error)


class LostRace(Exception):
    """Another replica took the Lease at the same moment."""


def _clock() -> float:
    return clock_gettime(CLOCK_BOOTTIME)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
