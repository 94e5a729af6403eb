"""Replicas as processes: killed, and stopped for longer than their Lease."""

import asyncio
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairlead.lab.kubernetes import ControlPlane

from .cluster import Cluster, cluster, install, run
from .load import load
from .manifests import service
from .processes import Process, audit_flags, process, writes_in

RANGE = "10.40.0.0/20"


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the API server logs who wrote what."""
    return tmp_path_factory.mktemp("audit")


@pytest.fixture(scope="module")
def audited(audit: Path) -> Iterator[ControlPlane]:
    """An API server that does."""
    with ControlPlane(controllers=(), flags=audit_flags(audit)) as control:
        install(control)
        yield control


async def leading(one: Cluster, *those: Process) -> Process:
    await one.until(lambda: any(p.leads for p in those), "a process leads")
    return next(p for p in those if p.leads)


async def consistent(one: Cluster, served: int) -> None:
    """As :meth:`Cluster.settled`, where the replicas are elsewhere."""

    async def so() -> bool:
        found = await one.objects("Service")
        return not await one.faults() and len(await one.shown()) == served == len(found)

    await one.eventually(so, f"{served} are served and all fits together", within=60)


def test_a_leader_that_was_stopped_for_longer_than_its_lease_writes_nothing(
    audited: ControlPlane, audit: Path, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with (
            cluster(audited, RANGE) as one,
            process(audited, one.namespace, "stale", tmp_path, lease=2) as first,
        ):
            await leading(one, first)
            async with process(audited, one.namespace, "fresh", tmp_path, lease=2) as second:
                async with load(one):
                    await asyncio.sleep(1.0)
                    first.send(signal.SIGSTOP)
                    stopped = time.time()
                    await leading(one, second)
                    await asyncio.sleep(1.0)
                    first.send(signal.SIGCONT)
                    await one.until(
                        lambda: not first.leads, "the first knows that it leads no more"
                    )
                    await asyncio.sleep(1.0)
                await consistent(one, len(await one.objects("Service")))
                own = [w for w in writes_in(audit) if w.user == "stale"]
                assert any(w.at < stopped for w in own)
                # what was on its way when it was stopped is there at once
                assert [w for w in own if w.at > stopped + 0.2] == []
                assert await second.end(signal.SIGTERM) == 0
                await leading(one, first)

    run(scenario())


@pytest.mark.parametrize("kills", [1, pytest.param(5, marks=pytest.mark.slow)])
def test_leaders_are_killed_in_the_middle_of_their_writes(
    audited: ControlPlane, audit: Path, tmp_path: Path, kills: int
) -> None:
    async def scenario() -> None:
        count, begun = 150, time.time()
        async with cluster(audited, RANGE) as one:
            await one.create(*(service(f"s{i}") for i in range(count)))
            for number in range(kills):
                async with process(
                    audited, one.namespace, f"killed-{number}", tmp_path, lease=2
                ) as replica:
                    await leading(one, replica)
                    already = len(await one.shown())

                    async def some(already: int = already) -> bool:
                        return len(await one.shown()) > already

                    await one.eventually(some, "it has begun")
                    await replica.end(signal.SIGKILL)
            shown = await one.shown()
            async with process(audited, one.namespace, "last", tmp_path, lease=2) as last:
                await leading(one, last)
                await consistent(one, count)
                now = await one.shown()
                assert {name: now[name] for name in shown} == shown
                # whatever was done twice: no address was written for two
                started = [w for w in writes_in(audit) if w.at > begun]
                ours = [w for w in started if w.user.startswith(("killed", "last"))]
                made = [w.name for w in ours if w.resource == "virtualips" and w.code == 201]
                assert len(made) == len(set(made))

    run(scenario())
