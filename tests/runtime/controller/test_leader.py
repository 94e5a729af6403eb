"""One replica writes at a time, whoever dies, sleeps, or has the wrong time."""

import asyncio
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

import pytest

from fairlead.lab.kubernetes import ControlPlane
from fairlead.runtime.controller.leader import RENEW_SHARE, Leadership
from fairlead.sources.kube import ApiClient, kubeconfig_access

from .cluster import Cluster, cluster, run
from .load import churn
from .manifests import service

RANGE = "192.0.2.10-192.0.2.250"


class Candidate:
    """A replica that does nothing but lead. ``told``: each change, with its time."""

    def __init__(self, one: Cluster, name: str, *, lease: float = 2.0) -> None:
        self.told: list[tuple[bool, float]] = []
        self.errors: list[str] = []
        self.cut = False
        self.sent: list[str] = []
        self._client = one.client
        self.leadership = Leadership(
            self,
            namespace=one.namespace,
            name="fairlead-controller",
            identity=name,
            changed=self._changed,
            told=self.errors.append,
            lease=lease,
        )
        self._task = asyncio.create_task(self.leadership.run())

    async def send(
        self, method: str, path: str, body: bytes | None = None, **options: Any
    ) -> bytes:
        if self.cut:
            await asyncio.sleep(3600)
        self.sent.append(method)
        return await self._client.send(method, path, body, **options)

    async def _changed(self, yes: bool) -> None:
        self.told.append((yes, monotonic()))

    @property
    def leads(self) -> bool:
        return bool(self.told) and self.told[-1][0]

    async def end(self) -> None:
        self.leadership.stop()
        await self._task

    async def crash(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


async def lease_of(one: Cluster) -> Any:
    path = f"/apis/coordination.k8s.io/v1/namespaces/{one.namespace}/leases/fairlead-controller"
    return await one.send("GET", path)


async def write_lease(one: Cluster, **spec: Any) -> None:
    path = f"/apis/coordination.k8s.io/v1/namespaces/{one.namespace}/leases/fairlead-controller"
    await one.patch(path, {"spec": spec})


def test_a_clean_stop_hands_over_within_three_seconds(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with cluster(plane, RANGE, lease=10.0) as one:
            first = await one.start("first")
            await one.until(lambda: first.leads, "the first leads")
            second = await one.start("second")

            await one.until(lambda: second.ready, "the second has read everything")
            started = monotonic()
            await first.stop()
            await one.until(lambda: second.leads, "the second leads")
            assert monotonic() - started < 3.0
            lease = (await lease_of(one))["spec"]
            assert lease["holderIdentity"] == "second"
            assert lease["leaseTransitions"] == 1

    run(scenario())


def test_after_a_crash_another_one_leads_when_the_lease_is_over(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with cluster(plane) as one:
            first = Candidate(one, "first")
            await one.until(lambda: first.leads, "the first leads")
            second = Candidate(one, "second")
            await asyncio.sleep(0.5)
            await first.crash()
            started = monotonic()
            await one.until(lambda: second.leads, "the second leads")
            took = monotonic() - started
            # no sooner than what is left of the lease after the last renewal, seen from here
            assert took > 2.0 * (1 - 0.15) - 0.5
            assert took < 2.0 + 3.0
            await second.end()

    run(scenario())


def test_a_clock_that_is_a_minute_off_changes_nothing(plane: ControlPlane) -> None:
    """What the others' clocks say is in the Lease; it must not matter. The holder is played by this
    test, so that its time can be anything: a minute behind, and a minute ahead."""

    async def scenario(minutes: int) -> None:
        async with cluster(plane) as one:
            first = Candidate(one, "first")
            await one.until(lambda: first.leads, "the first leads")
            await first.crash()
            second = Candidate(one, "second")
            # a holder a minute off that renews: nobody takes over
            for _ in range(8):
                await write_lease(one, holderIdentity="odd", renewTime=at(minutes))
                await asyncio.sleep(0.3)
                assert not second.told
            # it renews no more: whatever its last time, it takes as long as its lease says
            started = monotonic()
            await one.until(lambda: second.leads, "the second leads")
            assert monotonic() - started > 1.5
            # now the second one leads, and the odd one has to wait just the same
            await write_lease(one, renewTime=at(minutes))
            await asyncio.sleep(0.6)
            assert second.leads
            assert (await lease_of(one))["spec"]["holderIdentity"] == "second"
            await second.end()

    async def both() -> None:
        await asyncio.gather(scenario(-1), scenario(1))

    run(both())


def test_two_that_start_at_once_never_lead_at_once(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with cluster(plane) as one:
            for _ in range(5):
                both = [Candidate(one, name) for name in ("a", "b", "c")]
                await one.until(lambda b=both: any(c.leads for c in b), "somebody leads")  # type: ignore[misc]
                await asyncio.sleep(0.3)
                assert sum(c.leads for c in both) == 1
                assert sum(c.leadership.valid() for c in both) == 1
                for candidate in both:
                    await candidate.end()

    run(scenario())


def test_who_cannot_renew_stops_before_anybody_can_take_over(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with cluster(plane) as one:
            first = Candidate(one, "first", lease=2.0)
            await one.until(lambda: first.leads, "the first leads")
            second = Candidate(one, "second", lease=2.0)
            await asyncio.sleep(1.0)
            first.cut = True
            cut_at = monotonic()
            await one.until(lambda: second.leads, "the second leads")
            (ended,) = [at for yes, at in first.told if not yes]
            (began,) = [at for yes, at in second.told if yes]
            assert ended - cut_at <= 2.0 * RENEW_SHARE + 0.2
            assert began - ended > 2.0 * (1 - RENEW_SHARE) * 0.5
            assert any("no answer in time" in error for error in first.errors)
            # back again, it does not lead, and it does not take the Lease from the other
            first.cut = False
            await asyncio.sleep(1.0)
            assert second.leads
            assert not first.leads
            await second.end()
            await one.until(lambda: first.leads, "the first leads again")
            await first.end()

    run(scenario())


def test_leadership_that_was_lost_for_a_moment_is_another_term(plane: ControlPlane) -> None:
    """Somebody else led in between, for less time than it takes to notice by looking now and
    then."""

    async def scenario() -> None:
        async with cluster(plane) as one:
            first = Candidate(one, "first", lease=2.0)
            await one.until(lambda: first.leads, "the first leads")
            term = first.leadership.term
            await write_lease(one, holderIdentity="odd")
            await one.until(lambda: first.leadership.term != term, "it notices")
            await write_lease(one, holderIdentity="")
            await one.until(lambda: first.leadership.term > term, "it leads again")
            await one.until(lambda: len(first.told) == 3, "it was told so")
            assert [yes for yes, _ in first.told] == [True, False, True]
            await first.end()

    run(scenario())


def test_a_lease_that_is_deleted_is_made_again(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with cluster(plane) as one:
            first = Candidate(one, "first", lease=2.0)
            await one.until(lambda: first.leads, "the first leads")
            path = f"/apis/coordination.k8s.io/v1/namespaces/{one.namespace}/leases"
            await one.send("DELETE", f"{path}/fairlead-controller")

            async def there() -> bool:
                return await lease_of(one) is not None

            await one.eventually(there, "it is made again")
            assert first.leads
            await first.end()

    run(scenario())


def test_giving_up_clears_nobody_elses_lease(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with cluster(plane) as one:
            first = Candidate(one, "first", lease=30.0)
            await one.until(lambda: first.leads, "the first leads")
            await write_lease(one, holderIdentity="other")  # it has not noticed when it stops
            await first.end()
            assert (await lease_of(one))["spec"]["holderIdentity"] == "other"

    run(scenario())


def test_an_error_of_the_lease_is_told_once_and_its_end_too(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with cluster(plane) as one:
            client = ApiClient(kubeconfig_access([plane.kubeconfig_for("nobody-special")]))
            async with client:
                candidate = Candidate(one, "first")
                candidate._client = client
                await one.until(lambda: candidate.errors, "it says why")
                await asyncio.sleep(0.7)
                (error,) = candidate.errors
                assert 'cannot get resource "leases"' in error
                assert not candidate.leadership.valid()
                candidate._client = one.client
                await one.until(lambda: candidate.leads, "it leads")
                assert candidate.errors == [error, ""]
                await candidate.end()

    run(scenario())


@pytest.mark.parametrize("changes", [7, pytest.param(20, marks=pytest.mark.slow)])
def test_many_changes_of_leadership_under_load(plane: ControlPlane, changes: int) -> None:
    """Stopped and crashed by turns, while Services come, go and change; at the end nothing is lost
    or doubled, and who was never touched never moved."""

    async def scenario() -> None:
        async with cluster(plane, RANGE, lease=1.5) as one:
            kept = [f"kept{i}" for i in range(10)]
            await one.create(*map(service, kept))
            await one.start("r0")
            await one.settled(10)
            shown = await one.shown()
            over = asyncio.Event()
            load = asyncio.create_task(churn(one, over))
            for change in range(1, changes + 1):
                leader = await one.leader()
                await one.start(f"r{change}")
                newest = one.replicas[f"r{change}"]
                await one.until(lambda n=newest: n.ready, "the next one is ready")  # type: ignore[misc]
                await (leader.crash() if change % 7 == 0 else leader.stop())
                del one.replicas[leader.name]
                await one.until(lambda: one.leaders, "somebody leads")
                now = await one.shown()
                assert {n: now.get(n) for n in kept} == shown
            over.set()
            await load
            await one.settled()
            now = await one.shown()
            assert {n: now[n] for n in kept} == shown
            left = [s["metadata"]["name"] for s in await one.objects("Service")]
            assert sorted(now) == sorted(left)

    run(scenario(), timeout=110)


def at(minutes: int) -> str:
    moment = datetime.now(UTC) + timedelta(minutes=minutes)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
